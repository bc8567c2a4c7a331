//! Breaks in the way its argument says, so that tests can see how the monitor takes it.
//!
//! Unlike other appliances this one is full of unsafe code, all of it wrong on purpose. Each way to break has a function of its
//! own, never inlined, whose name a fault report must show.
#![no_std]
#![no_main]

extern crate alloc;

mod calls;
mod contract;
mod faults;
mod heap;
mod memory;
mod panics;

use guest::println;

guest::appliance! { main: main }

async fn main() -> u8 {
    let mut arguments = guest::args();
    let how = arguments.next().unwrap_or("help");
    let number = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    println!("crash: {how}");
    match how {
        "null" => memory::read_null(),
        "locals" => memory::read_null_among_locals(),
        "stack" => memory::overflow_stack(),
        "jump-data" => memory::jump_to_data(),
        "write-text" => memory::write_to_text(),
        "wild-jump" => memory::jump_to_nowhere(),
        "oom" => memory::exhaust_heap(),
        "free-twice" => heap::free_twice(),
        "free-foreign" => heap::free_foreign(),
        "overwrite-heap" => heap::overwrite(),
        "panic-in-panic" => panics::panic_in_panic(),
        "panic-without-end" => panics::panic_without_end(),
        "panic-recursion" => panics::recurse(),
        "ud2" => faults::undefined_instruction(),
        "hlt" => faults::halt(),
        "div0" => faults::divide_by_zero(),
        "loop" => faults::loop_for_ever(),
        "panic" => faults::panic_on_purpose(),
        "out" => contract::out_beside_the_gate(),
        "vmmcall" => contract::vmmcall_beside_the_gate(),
        "vmcall" => contract::vmcall_beside_the_gate(),
        "gate-padding" => contract::call_padding_of_gate(),
        "syscall" => contract::syscall_beside_the_gate(39),
        "uprobe" => contract::syscall_beside_the_gate(336),
        "bad-exit" => contract::exit_with_bad_status(),
        "exit" => return number,
        "syscalls" => calls::try_all(),
        "ignore-term" => contract::wait_for_ever(),
        "term" => {
            guest::executor::shutdown().await;
            println!("crash: told to end");
            return 7;
        }
        _ => {
            println!("crash: no such way to break");
            return 1;
        }
    }
    println!("crash: still alive");
    0
}
