//! I1, I2, I3: read from the machine as KVM has it, not from the code that means to build it.
//!
//! Special registers come from KVM_GET_SREGS, tables and descriptors from the memory that CR3, GDTR and IDTR lead to, by a
//! walker of the tests' own.

mod no_ring_0;
mod randomness;
mod sealed_tables;
mod write_xor_execute;
