//! Everything that names a register: entry, gate, memory routines.

#[cfg(ringwall_image)]
mod entry;
pub(crate) mod gate;
#[cfg(any(ringwall_image, test))]
mod memory;
#[cfg(ringwall_image)]
mod symbols;
mod tsc;

pub(crate) use tsc::tsc;
