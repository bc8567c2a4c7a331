//! The smallest appliance: says hello, where it is and what it was given, and ends.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use guest::time::Instant;
use guest::{console, print, println};

guest::appliance! { main: main, memory: guest::MIB }

async fn main() {
    println!("Hello from ring 3!");
    println!("hypercall ABI version {}", guest::hvcall::ABI_VERSION);
    println!("up for {} us", Instant::now().as_ns() / 1000);
    for (number, argument) in guest::args().enumerate() {
        // Formatting a text would bring all that `core` can do with one, padding and cutting: a sixteenth of this image.
        print!("argument {number}: ");
        console::write(argument.as_bytes());
        println!();
    }
}
