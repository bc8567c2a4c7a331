//! The Ringwall hypercall contract: everything a guest and its monitor must agree on.
//!
//! A Ringwall guest runs entirely at CPL 3 and has one way out: the *gate*, a page of its image that holds `vmcall; ret`
//! ([`gate`]). Calling the gate with registers loaded as [`RawCall`] describes is a *hypercall*. There are ten ([`Nr`]).
//!
//! # Transport
//! | register | before | after |
//! |---|---|---|
//! | RAX | call number in the low 32 bits, the upper 32 are ignored | result: `-4095..=-1` is a [`Status`], else a value |
//! | RDI, RSI, RDX, R10, R8, R9 | arguments 0 to 5; slots that a call does not use are 0 | unchanged |
//! | RCX, R11 | anything | may be clobbered |
//! | all others, vector state included | anything | unchanged |
//!
//! # Who writes what
//! The monitor writes [`BootInfo`] before the first guest instruction and never again. Descriptor arrays ([`Frame`],
//! [`Request`], [`CallEntry`]) belong to the guest; the monitor copies them once, checks the copy, and acts on the copy.
//! It writes back only what each call's documentation says, and only into memory that the guest itself may write.
//!
//! # Versioning
//! [`ABI_VERSION`] travels in the image's manifest. A loader refuses an image of another version and names both.
//!
//! # Reading order
//! [`call`] has the ten calls, [`status`] what they return, [`events`] what can be waited for, [`frame`] and [`request`] the
//! descriptors, [`boot`] and [`manifest`] what each side declares to the other, [`gate`] and [`note`] how an image shows both,
//! [`exit`] how everything ends.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod call;
pub mod events;
pub mod exit;
pub mod frame;
pub mod gate;
pub mod manifest;
pub mod note;
pub mod planted;
pub mod request;
pub mod status;
pub mod wire;

pub use boot::{BootInfo, ClockParameters, DiskInfo, NicInfo};
pub use call::{Call, CallEntry, GuestArray, GuestSlice, Nr, RawCall};
pub use events::Events;
pub use exit::{ExitCode, GuestExit};
pub use frame::Frame;
pub use manifest::Manifest;
pub use request::{Completion, Operation, Request};
pub use status::Status;
pub use wire::Wire;

/// Version of everything in this crate. Changes when an image built against the old text could misbehave under the new.
pub const ABI_VERSION: u32 = 1;

/// Most entries in any array a call takes.
pub const MAX_ENTRIES: u64 = 64;
/// Most bytes one `console_write` takes.
pub const MAX_CONSOLE_BYTES: u64 = 64 * 1024;
/// Most bytes one `entropy` call gives.
pub const MAX_ENTROPY_BYTES: u64 = 256;
/// Most NICs in one appliance.
pub const MAX_NICS: usize = 8;
/// Most disks in one appliance.
pub const MAX_DISKS: usize = 8;

/// A guest-virtual address. In a call it is only a claim, until the monitor has translated it.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gva(pub u64);

impl Gva {
    /// The address `bytes` further on, or `None` where that wraps.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Whether the address is a multiple of `alignment`, a power of two.
    #[must_use]
    pub const fn is_aligned(self, alignment: u64) -> bool {
        self.0 & (alignment - 1) == 0
    }
}

impl core::fmt::LowerHex for Gva {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::LowerHex::fmt(&self.0, formatter)
    }
}
