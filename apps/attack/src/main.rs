//! Executes one instruction that a guest has no business to execute, and says if it was completed.
//!
//! The argument names the instruction. Nearly all end the machine by a fault; which one, and which are harmless, is for the tests
//! to say, per kind of host.
#![no_std]
#![no_main]

mod instructions;

use guest::println;

guest::appliance! { main: main }

async fn main() -> u8 {
    let name = guest::args().next().unwrap_or("");
    let Some((_, execute)) = instructions::ALL.iter().find(|(known, _)| *known == name) else {
        println!("no such instruction: {name}");
        return 1;
    };
    println!("completed {:#x}", execute());
    0
}
