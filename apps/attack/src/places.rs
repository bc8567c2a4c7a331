//! Accesses to places that the appliance can name.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use guest::println;

/// Variables with a value, and without. The value is `ret`.
static DATA: AtomicU64 = AtomicU64::new(0xc3);
static ZEROS: AtomicU64 = AtomicU64::new(0);
/// A constant that holds code: `ret`.
static CONSTANT: u64 = 0xc3;

/// Reads, writes or calls a place: `touch read|write|call PLACE[+OFFSET|-OFFSET]`.
pub(crate) fn touch(how: &str, place: &str) -> u8 {
    let how = match how {
        "read" => "read",
        "write" => "write-same",
        "call" => "call",
        other => other,
    };
    let (Some(execute), Some(address)) = (crate::find(how), address(place)) else {
        println!("no such access: {how} {place}");
        return crate::UNKNOWN;
    };
    DATA.store(0xc3, Ordering::Relaxed);
    ZEROS.store(0, Ordering::Relaxed);
    println!("completed {:#x}", execute(address));
    0
}

/// Address of a place, with an offset, or of a number.
pub(crate) fn address(place: &str) -> Option<u64> {
    if let Some(number) = crate::number(place) {
        return Some(number);
    }
    let at = place.find(['+', '-']).unwrap_or(place.len());
    let (name, offset) = place.split_at(at);
    let base = base(name)?;
    match offset.split_at_checked(1) {
        Some(("+", offset)) => Some(base.wrapping_add(crate::number(offset)?)),
        Some((_, offset)) => Some(base.wrapping_sub(crate::number(offset)?)),
        None => Some(base),
    }
}

fn base(name: &str) -> Option<u64> {
    let info = guest::boot::info()?;
    let local = black_box(0xc3_u64);
    Some(match name {
        "text" => touch as fn(&str, &str) -> u8 as usize as u64,
        "gate" => crate::gate::address(),
        "constant" => core::ptr::from_ref(black_box(&CONSTANT)) as u64,
        "data" => DATA.as_ptr() as u64,
        "zeros" => ZEROS.as_ptr() as u64,
        "boot" => core::ptr::from_ref(info) as u64,
        "stack" => info.stack_base,
        "stack_end" => info.stack_base.wrapping_add(info.stack_bytes),
        "local" => core::ptr::from_ref(black_box(&local)) as u64,
        "heap" => info.heap_base,
        "heap_end" => info.heap_base.wrapping_add(info.heap_bytes),
        _ => return None,
    })
}
