//! What can be fuzzed: a name, a way to run one input, and ways to make inputs.

mod bytes;
mod frame;
mod hypercall;
mod image;
mod text;

use std::io;

use super::model::Violation;
use super::rng::Rng;
use super::world::Depth;

pub use hypercall::{Hypercall, list};

/// Something that hostile bytes meet.
pub trait Target {
    /// Runs an input.
    ///
    /// # Errors
    /// [`Violation`] if what came of it is wrong. Panics and signals say it too, in their own way.
    fn run(&mut self, input: &[u8], depth: Depth) -> Result<(), Violation>;

    /// Puts a new input into `input`, which is empty.
    fn generate(&mut self, rng: &mut Rng, input: &mut Vec<u8>);

    /// Changes an input, with pieces of `other`.
    fn mutate(&mut self, rng: &mut Rng, input: &mut Vec<u8>, other: &[u8]);

    /// What the last input did, in numbers: an input with a number that was not there before is kept.
    fn features(&self) -> &[u32];

    /// Hypercalls that the last input made; 0 for targets that make none.
    fn calls(&self) -> u64 {
        0
    }

    /// Smaller inputs to try in the place of one, one after the other from `from` on; `None` when there are no more.
    fn shrink(&self, input: &[u8], attempt: usize) -> Option<Vec<u8>> {
        bytes::shrink(input, attempt)
    }
}

/// Name and purpose of each target.
pub const TARGETS: [(&str, &str); 9] = [
    ("hypercall", "rows of hypercalls against the dispatcher, its devices and a model of the contract"),
    ("image", "image files: parser, address plan, placement, relocation"),
    ("audit", "image files: the auditor"),
    ("manifest", "manifests: decoding and checking"),
    ("note", "note segments: finding manifest and gate"),
    ("relocation", "relocation tables"),
    ("device", "values of --net, --block, --publish and --allow"),
    ("frame", "frames that a guest sends to the network helper"),
    ("descriptor", "frame and block descriptors, call registers: decoding and checking"),
];

/// Makes a target ready.
///
/// # Errors
/// What the host says; `NotFound` for a name that is not in [`TARGETS`].
pub fn open(name: &str) -> io::Result<Box<dyn Target>> {
    Ok(match name {
        "hypercall" => Box::new(Hypercall::new()?),
        "image" => Box::new(image::image()),
        "audit" => Box::new(image::audit()),
        "manifest" => Box::new(image::manifest()),
        "note" => Box::new(image::note()),
        "relocation" => Box::new(image::relocation()),
        "device" => Box::new(text::device()),
        "frame" => Box::new(frame::frame()),
        "descriptor" => Box::new(frame::descriptor()),
        _ => return Err(io::ErrorKind::NotFound.into()),
    })
}
