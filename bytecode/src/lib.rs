//! The language of fuzz programs: what a hostile guest does, as bytes.
//!
//! A program is a row of [`Op`]s: memory writes, descriptors, hypercalls, and things that happen outside the guest. Addresses
//! are relative to the regions of the machine that runs it ([`Table`]), so one program means the same in every machine: in the
//! fuzzer's harness, and in `apps/fuzzer` inside a virtual machine, wherever its regions lie.
//!
//! Every row of bytes is a program: decoding never fails, it only ends. So any engine may make the bytes.
//!
//! ```text
//! number, place    operands             op          one operation and its byte form
//! interpreter      from operations to memory writes and calls, the same code on both sides of the gate
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod chunk;
pub mod codec;
pub mod interpreter;
pub mod number;
pub mod op;
pub mod place;

pub use codec::Reader;
pub use interpreter::{Interpreter, Memory, Step};
pub use number::Number;
pub use op::{Count, Invocation, Op, Target, World};
pub use place::{Anchor, Extent, Place, Size, Table};

/// Most bytes of a program.
pub const MAX_PROGRAM_BYTES: usize = 4096;
/// Most operations that are carried out of a program.
pub const MAX_OPS: usize = 256;
