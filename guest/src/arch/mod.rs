//! Everything that names a register: entry, gate, memory routines.

pub(crate) mod gate;
mod tsc;

pub(crate) use tsc::tsc;
