//! Copying, filling and comparing memory.
//!
//! Most calls are short: those go through a handful of unaligned loads and stores that may overlap each other, every load
//! before the first store, so that the ranges may overlap, too. Long ones are left to the CPU's own string instructions, which
//! on processors with ERMS (Intel 2012, AMD 2020) move a cache line a cycle, but take their time to start.
//!
//! Loops are in assembly. The compiler would recognise a copying loop in Rust, and replace it by a call to `memcpy`: itself.
#![expect(unsafe_code, reason = "raw memory is what it works on")]

use core::arch::asm;
use core::cmp::Ordering;

/// Up to here a copy is a few moves, all loads first.
const SHORT_BYTES: usize = 128;
/// Up to here a copy or fill is a loop of moves; above, a string instruction has paid back its start.
const MEDIUM_BYTES: usize = 1024;

/// Copies.
///
/// # Safety
/// `from` must be valid for reading and `to` for writing `size_bytes` bytes. The ranges may overlap if `to` does not lie
/// inside `from`'s range.
#[inline]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, size_bytes: usize) {
    if size_bytes <= SHORT_BYTES {
        // SAFETY: as the caller promises.
        unsafe { copy_short(to, from, size_bytes) };
        return;
    }
    if size_bytes <= MEDIUM_BYTES {
        // SAFETY: as the caller promises.
        unsafe { copy_medium(to, from, size_bytes) };
        return;
    }
    // SAFETY: moves `size_bytes` bytes upwards, which the caller has vouched for; the direction flag is clear by the ABI.
    unsafe {
        asm!("rep movsb", inout("rcx") size_bytes => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

/// Copies where the ranges may overlap in any way.
///
/// # Safety
/// `from` must be valid for reading and `to` for writing `size_bytes` bytes.
#[inline]
pub(super) unsafe fn copy_overlapping(to: *mut u8, from: *const u8, size_bytes: usize) {
    let distance = (to as usize).wrapping_sub(from as usize);
    if size_bytes <= SHORT_BYTES || distance >= size_bytes {
        // SAFETY: as the caller promises. `to` does not lie inside `from`'s range, or the copy is short.
        unsafe { copy(to, from, size_bytes) };
        return;
    }
    let mut left = size_bytes;
    // SAFETY: copies 64 bytes at a time from the end downwards, loads before stores, while that many are left: each store lies
    // above everything still to be loaded.
    unsafe {
        asm!(
            "2:",
            "movups {a}, [{from} + {left} - 16]",
            "movups {b}, [{from} + {left} - 32]",
            "movups {c}, [{from} + {left} - 48]",
            "movups {d}, [{from} + {left} - 64]",
            "movups [{to} + {left} - 16], {a}",
            "movups [{to} + {left} - 32], {b}",
            "movups [{to} + {left} - 48], {c}",
            "movups [{to} + {left} - 64], {d}",
            "sub {left}, 64",
            "cmp {left}, 64",
            "jae 2b",
            from = in(reg) from,
            to = in(reg) to,
            left = inout(reg) left,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
    // SAFETY: the rest, at the ranges' starts, is short, and not yet overwritten.
    unsafe { copy_short(to, from, left) };
}

/// Copies upwards, 64 bytes at a time, then the last 64.
///
/// # Safety
/// As for [`copy`], with more than 64 bytes.
#[inline]
unsafe fn copy_medium(to: *mut u8, from: *const u8, size_bytes: usize) {
    // SAFETY: loads and stores stay within the ranges. The last 64 bytes are loaded before the first store. Each other load comes
    // before any store to where it loads from, as `to` does not lie inside `from`'s range: stores trail loads.
    unsafe {
        asm!(
            "movups {e}, [{from} + {last}]",
            "movups {f}, [{from} + {last} + 16]",
            "movups {g}, [{from} + {last} + 32]",
            "movups {h}, [{from} + {last} + 48]",
            "2:",
            "movups {a}, [{from} + {at}]",
            "movups {b}, [{from} + {at} + 16]",
            "movups {c}, [{from} + {at} + 32]",
            "movups {d}, [{from} + {at} + 48]",
            "movups [{to} + {at}], {a}",
            "movups [{to} + {at} + 16], {b}",
            "movups [{to} + {at} + 32], {c}",
            "movups [{to} + {at} + 48], {d}",
            "add {at}, 64",
            "cmp {at}, {last}",
            "jb 2b",
            "movups [{to} + {last}], {e}",
            "movups [{to} + {last} + 16], {f}",
            "movups [{to} + {last} + 32], {g}",
            "movups [{to} + {last} + 48], {h}",
            from = in(reg) from,
            to = in(reg) to,
            last = in(reg) size_bytes.wrapping_sub(64),
            at = inout(reg) 0_usize => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            e = out(xmm_reg) _,
            f = out(xmm_reg) _,
            g = out(xmm_reg) _,
            h = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// Copies at most [`SHORT_BYTES`]: the first and the last words of the range, which overlap where it is shorter than both.
///
/// # Safety
/// As for [`copy_overlapping`].
#[inline]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one branch runs")]
unsafe fn copy_short(to: *mut u8, from: *const u8, size_bytes: usize) {
    // SAFETY: each branch asks for no more than a range of that size has, which the caller vouches for.
    unsafe {
        match size_bytes {
            0 => {}
            1 => copy_ends::<u8>(to, from, size_bytes),
            2..=3 => copy_ends::<u16>(to, from, size_bytes),
            4..=7 => copy_ends::<u32>(to, from, size_bytes),
            8..=15 => copy_ends::<u64>(to, from, size_bytes),
            16..=32 => copy_ends::<u128>(to, from, size_bytes),
            33..=64 => copy_two_at_ends(to, from, size_bytes),
            _ => copy_four_at_ends(to, from, size_bytes),
        }
    }
}

/// Copies the first and the last word.
///
/// # Safety
/// As for [`copy_overlapping`], with room for one word.
#[inline]
unsafe fn copy_ends<T: Copy>(to: *mut u8, from: *const u8, size_bytes: usize) {
    let last = size_bytes.wrapping_sub(size_of::<T>());
    // SAFETY: within the range.
    let head = unsafe { load::<T>(from, 0) };
    // SAFETY: within the range.
    let tail = unsafe { load::<T>(from, last) };
    // SAFETY: within the range.
    unsafe { store(to, 0, head) };
    // SAFETY: within the range.
    unsafe { store(to, last, tail) };
}

/// Copies the first and the last 32 bytes.
///
/// # Safety
/// As for [`copy_overlapping`], with room for 32 bytes.
#[inline]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one argument for all")]
unsafe fn copy_two_at_ends(to: *mut u8, from: *const u8, size_bytes: usize) {
    let (third, fourth) = (size_bytes.wrapping_sub(32), size_bytes.wrapping_sub(16));
    // SAFETY: 16 bytes from each of these places lie within a range of at least 32.
    unsafe {
        let (a, b) = (load::<u128>(from, 0), load::<u128>(from, 16));
        let (c, d) = (load::<u128>(from, third), load::<u128>(from, fourth));
        store(to, 0, a);
        store(to, 16, b);
        store(to, third, c);
        store(to, fourth, d);
    }
}

/// Copies the first and the last 64 bytes.
///
/// # Safety
/// As for [`copy_overlapping`], with room for 64 bytes.
#[inline]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one argument for all")]
unsafe fn copy_four_at_ends(to: *mut u8, from: *const u8, size_bytes: usize) {
    let (to_last, from_last) =
        (to.wrapping_add(size_bytes).wrapping_sub(64), from.wrapping_add(size_bytes).wrapping_sub(64));
    // SAFETY: 64 bytes from each of the four places lie within a range of at least 64.
    unsafe {
        let (a, b) = (load::<u128>(from, 0), load::<u128>(from, 16));
        let (c, d) = (load::<u128>(from, 32), load::<u128>(from, 48));
        let (e, f) = (load::<u128>(from_last, 0), load::<u128>(from_last, 16));
        let (g, h) = (load::<u128>(from_last, 32), load::<u128>(from_last, 48));
        store(to, 0, a);
        store(to, 16, b);
        store(to, 32, c);
        store(to, 48, d);
        store(to_last, 0, e);
        store(to_last, 16, f);
        store(to_last, 32, g);
        store(to_last, 48, h);
    }
}

/// # Safety
/// There must be a `T` to read, at any alignment, `offset` bytes from `from`.
#[inline]
unsafe fn load<T: Copy>(from: *const u8, offset: usize) -> T {
    // SAFETY: as the caller promises.
    unsafe { from.wrapping_add(offset).cast::<T>().read_unaligned() }
}

/// # Safety
/// There must be room to write a `T`, at any alignment, `offset` bytes from `to`.
#[inline]
unsafe fn store<T: Copy>(to: *mut u8, offset: usize, word: T) {
    // SAFETY: as the caller promises.
    unsafe { to.wrapping_add(offset).cast::<T>().write_unaligned(word) };
}

/// Fills with one byte.
///
/// # Safety
/// `to` must be valid for writing `size_bytes` bytes.
#[inline]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one branch runs")]
pub(super) unsafe fn fill(to: *mut u8, byte: u8, size_bytes: usize) {
    let wide = u128::from_ne_bytes([byte; 16]);
    // SAFETY: each branch asks for no more than a range of that size has, which the caller vouches for; the direction flag is
    // clear by the ABI.
    unsafe {
        match size_bytes {
            0 => {}
            1 => fill_ends(to, byte, size_bytes),
            2..=3 => fill_ends(to, u16::from_ne_bytes([byte; 2]), size_bytes),
            4..=7 => fill_ends(to, u32::from_ne_bytes([byte; 4]), size_bytes),
            8..=15 => fill_ends(to, u64::from_ne_bytes([byte; 8]), size_bytes),
            16..=32 => fill_ends(to, wide, size_bytes),
            33..=64 => {
                fill_ends(to, wide, size_bytes);
                fill_ends(to.wrapping_add(16), wide, size_bytes.wrapping_sub(32));
            }
            65..=MEDIUM_BYTES => fill_medium(to, byte, size_bytes),
            _ => {
                asm!("rep stosb", inout("rcx") size_bytes => _, inout("rdi") to => _, in("al") byte,
                    options(nostack, preserves_flags));
            }
        }
    }
}

/// Fills 64 bytes at a time, then the last 64.
///
/// # Safety
/// As for [`fill`], with more than 64 bytes.
#[inline]
unsafe fn fill_medium(to: *mut u8, byte: u8, size_bytes: usize) {
    let word = u64::from_ne_bytes([byte; 8]);
    // SAFETY: all stores lie within the range.
    unsafe {
        asm!(
            "movq {wide}, {word}",
            "punpcklqdq {wide}, {wide}",
            "2:",
            "movups [{to} + {at}], {wide}",
            "movups [{to} + {at} + 16], {wide}",
            "movups [{to} + {at} + 32], {wide}",
            "movups [{to} + {at} + 48], {wide}",
            "add {at}, 64",
            "cmp {at}, {last}",
            "jb 2b",
            "movups [{to} + {last}], {wide}",
            "movups [{to} + {last} + 16], {wide}",
            "movups [{to} + {last} + 32], {wide}",
            "movups [{to} + {last} + 48], {wide}",
            word = in(reg) word,
            to = in(reg) to,
            last = in(reg) size_bytes.wrapping_sub(64),
            at = inout(reg) 0_usize => _,
            wide = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// Fills the first and the last word of a range.
///
/// # Safety
/// As for [`fill`], with room for one word.
#[inline]
unsafe fn fill_ends<T: Copy>(to: *mut u8, word: T, size_bytes: usize) {
    // SAFETY: within the range.
    unsafe { store(to, 0, word) };
    // SAFETY: within the range.
    unsafe { store(to, size_bytes.wrapping_sub(size_of::<T>()), word) };
}

/// Compares: negative, zero or positive as the first byte that differs is smaller, does not exist, or is larger on the left.
///
/// # Safety
/// `left` and `right` must be valid for reading `size_bytes` bytes.
#[inline]
pub(super) unsafe fn compare(left: *const u8, right: *const u8, size_bytes: usize) -> i32 {
    let words_end = size_bytes & !7;
    let mut at = 0_usize;
    while at < words_end {
        // SAFETY: eight bytes are left in both ranges.
        let a: u64 = unsafe { load(left, at) };
        // SAFETY: as above.
        let b: u64 = unsafe { load(right, at) };
        if a != b {
            // The first byte in memory decides: it is the most significant of the big-endian value.
            return order(a.swap_bytes().cmp(&b.swap_bytes()));
        }
        at = at.wrapping_add(8);
    }
    while at < size_bytes {
        // SAFETY: a byte is left in both ranges.
        let a: u8 = unsafe { load(left, at) };
        // SAFETY: as above.
        let b: u8 = unsafe { load(right, at) };
        if a != b {
            return order(a.cmp(&b));
        }
        at = at.wrapping_add(1);
    }
    0
}

const fn order(ordering: Ordering) -> i32 {
    match ordering {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: core::ops::RangeInclusive<usize> = 0..=300;

    fn pattern(size_bytes: usize) -> Vec<u8> {
        (0..=250).cycle().take(size_bytes).collect()
    }

    #[test]
    fn copies_every_size_and_nothing_beyond() {
        for size in SIZES.chain([1000, 1023, 1024, 1025, 4096, 70_000]) {
            let from = pattern(size);
            let mut to = vec![0xee; size + 32];
            // SAFETY: `to` has room for `size` bytes from offset 16 on.
            unsafe { copy(to.as_mut_ptr().wrapping_add(16), from.as_ptr(), size) };
            assert_eq!(to[16..16 + size], from, "{size} bytes");
            assert!(to[..16].iter().chain(&to[16 + size..]).all(|&byte| byte == 0xee), "{size} bytes");
        }
    }

    #[test]
    fn overlapping_copies_are_as_if_through_a_third_place() {
        for size in SIZES.chain([1000, 1024, 1025, 5000]) {
            for (to, from) in [(0, 1), (1, 0), (0, 16), (16, 0), (0, 63), (63, 0), (200, 0), (0, 200), (5, 5)]
            {
                let mut bytes = pattern(size + 200);
                let mut expected = bytes.clone();
                expected.copy_within(from..from + size, to);
                let start = bytes.as_mut_ptr();
                // SAFETY: both ranges lie in `bytes`.
                unsafe { copy_overlapping(start.wrapping_add(to), start.wrapping_add(from), size) };
                assert!(bytes == expected, "{size} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn fills_every_size_and_nothing_beyond() {
        for size in SIZES.chain([1000, 1024, 1025, 4096]) {
            let mut to = vec![0xee; size + 32];
            // SAFETY: `to` has room for `size` bytes from offset 16 on.
            unsafe { fill(to.as_mut_ptr().wrapping_add(16), 0x5a, size) };
            assert!(to[16..16 + size].iter().all(|&byte| byte == 0x5a), "{size} bytes");
            assert!(to[..16].iter().chain(&to[16 + size..]).all(|&byte| byte == 0xee), "{size} bytes");
        }
    }

    #[test]
    fn compares_like_slices() {
        for size in 0..40 {
            let left = pattern(size);
            // SAFETY: both are `size` bytes long.
            assert_eq!(unsafe { compare(left.as_ptr(), left.as_ptr(), size) }, 0);
            for index in 0..size {
                for byte in [0, 0x7f, 0x80, 0xff] {
                    let mut right = left.clone();
                    right[index] = byte;
                    // SAFETY: both are `size` bytes long.
                    let result = unsafe { compare(left.as_ptr(), right.as_ptr(), size) };
                    assert_eq!(result.cmp(&0), left.cmp(&right), "{size} bytes, {byte:#x} at {index}");
                }
            }
        }
    }
}
