//! The gate: the one page from which a guest may leave.
//!
//! An image has one page that holds exactly [`page`]: `vmcall; ret` and padding. Before it seals the image, the monitor
//! checks that content byte for byte and puts the sequence there that reaches it on this host. Calling the page's first
//! byte with the registers of [`crate::RawCall`] makes the call.

/// Size and alignment of the gate.
pub const GATE_BYTES: usize = 4096;
/// `vmcall; ret` (SDM Vol. 2C, VMCALL; Vol. 2B, RET).
pub const GATE_CODE: [u8; 4] = [0x0f, 0x01, 0xc1, 0xc3];
/// Everything after the code: `int3`.
pub const GATE_PADDING: u8 = 0xcc;

/// The whole page as it stands in every image file.
#[must_use]
pub const fn page() -> [u8; GATE_BYTES] {
    let mut page = [GATE_PADDING; GATE_BYTES];
    let mut index = 0;
    while index < GATE_CODE.len() {
        page[index] = GATE_CODE[index];
        index += 1;
    }
    page
}
