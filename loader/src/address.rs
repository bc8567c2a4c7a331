//! Addresses and page arithmetic. Guest-virtual addresses are [`hvcall::Gva`].

/// Bytes in a page.
pub const PAGE_BYTES: u64 = 4096;
/// Bytes in a large page.
pub const LARGE_PAGE_BYTES: u64 = 2 * 1024 * 1024;

/// A guest-physical address.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gpa(pub u64);

/// `bytes` rounded down to whole pages.
#[must_use]
pub const fn page_floor(bytes: u64) -> u64 {
    bytes & !(PAGE_BYTES - 1)
}

/// `bytes` rounded up to whole pages, or `None` where that wraps.
#[must_use]
pub const fn page_ceil(bytes: u64) -> Option<u64> {
    match bytes.checked_add(PAGE_BYTES - 1) {
        Some(sum) => Some(page_floor(sum)),
        None => None,
    }
}

/// An address, offset or size as an index into host memory. Exact: the loader is built for 64-bit hosts only.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits on the only supported target")]
pub const fn index(bytes: u64) -> usize {
    bytes as usize
}
