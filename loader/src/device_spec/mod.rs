//! What a person writes after `--net` and `--block`, as types, and the disks opened.
//!
//! Both options are one word: `NAME=WHAT[,OPTION]...`. `NAME` is the device's name in the image's manifest and may be left
//! out where the appliance has only one device of that kind, which the caller checks against the manifest. Anything that
//! is not understood is an error that shows an example; nothing is ignored.

mod disk;
mod mac;
mod net;
mod open_disk;

pub use disk::{DiskSpec, DiskSpecError};
pub use mac::{Mac, MacError, default_mac};
pub use net::{NetKind, NetSpec, NetSpecError};
pub use open_disk::{DiskError, OpenDisk, open};

use hvcall::manifest::MAX_DEVICE_NAME_BYTES;

/// Whether a manifest could name a device like that: 1 to 24 characters of `a-z 0-9 -`.
fn is_device_name(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.len() <= MAX_DEVICE_NAME_BYTES && text.bytes().all(allowed)
}
