//! A hostile guest: runs the programs that the fuzzer hands it, at full speed, and ends as it is told. Only the fuzzer can start it:
//! under any other monitor the call by which it asks for programs does not exist.
#![no_std]
#![no_main]

mod ends;
mod memory;

use bytecode::chunk::{self, ARENA_BYTES, Head, LEAVE, NEXT_CHUNK};
use bytecode::{Interpreter, Step, Table};

use crate::memory::{Raw, call};

guest::appliance! {
    main: main,
    memory: 8 * guest::MIB,
    stack: 2 * guest::MIB,
    nics: ["plain", "offload"],
    disks: ["data", "constant"],
    log: Off
}

async fn main() -> u8 {
    loop {
        let (buffer, arena) = (memory::chunk_address(), memory::arena_address());
        let arguments = [buffer, memory::CHUNK_BYTES as u64, arena, ARENA_BYTES as u64, 0, 0];
        let Ok(len) = usize::try_from(call(NEXT_CHUNK, arguments)) else {
            guest::println!("fuzzer: only `ringwall fuzz --vm` can run this appliance");
            return 1;
        };
        let bytes = memory::chunk(len);
        let Some(head) = Head::from_bytes(bytes) else { return 2 };
        run(&head, bytes.get(Head::SIZE_BYTES..).unwrap_or(&[]));
        ends::end(head.end, head.regions[0].start);
    }
}

/// Runs a chunk's programs, until the harness wants to leave it.
fn run(head: &Head, mut programs: &[u8]) {
    let table = Table { regions: &head.regions, nics: head.nics, disks: head.disks, exits: false };
    while let Some((program, rest)) = chunk::split_program(programs) {
        programs = rest;
        let mut interpreter = Interpreter::new(program, &table);
        while let Some(step) = interpreter.next(&table, &mut Raw) {
            if let Step::Call(raw) = step
                && call(raw.nr, raw.arguments) == LEAVE
            {
                return;
            }
        }
    }
}
