//! The C symbols that compiled Rust expects every program to have. Only in an image: on the host libc and std define them.
#![expect(unsafe_code, reason = "defines symbols by the names that the compiler calls")]

use super::memory;

/// # Safety
/// As C has it: both ranges are valid, and do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size_bytes: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { memory::copy(to, from, size_bytes) };
    to
}

/// # Safety
/// As C has it: both ranges are valid. They may overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size_bytes: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { memory::copy_overlapping(to, from, size_bytes) };
    to
}

/// # Safety
/// As C has it: the range is valid.
#[unsafe(no_mangle)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "C converts the value to a byte")]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, size_bytes: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { memory::fill(to, byte as u8, size_bytes) };
    to
}

/// # Safety
/// As C has it: both ranges are valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, size_bytes: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { memory::compare(left, right, size_bytes) }
}

/// # Safety
/// As C has it: both ranges are valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, size_bytes: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { memory::compare(left, right, size_bytes) }
}

/// Named by the unwind tables of the prebuilt `core`. A panic here does not unwind, so it is never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
