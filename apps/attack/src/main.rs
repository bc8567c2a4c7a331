//! Attacks its machine in the one way that its arguments say, and says so if it comes out of it alive.
//!
//! ```text
//! attack NAME [PARAMETER]       one instruction (`instructions`)
//! attack each NAME              one instruction with each parameter that the harness gives, faults survived (`each`)
//! attack touch HOW WHERE        one access to a place of the appliance's own choice (`places`)
//! attack gate NUMBER ARGUMENT... one call with these registers (`calls`)
//! attack int N                  one INT instruction (`interrupts`)
//! ```
//!
//! Nearly all ends the machine by a fault; which one, and what is harmless, is for the attack suite to say, per kind of host.
#![no_std]
#![no_main]

mod calls;
mod each;
mod gate;
mod instructions;
mod interrupts;
mod places;

use guest::println;

guest::appliance! { main: main, memory: guest::MIB }

/// Nothing of that name.
const UNKNOWN: u8 = 60;

async fn main() -> u8 {
    let mut arguments = guest::args();
    let name = arguments.next().unwrap_or("");
    match name {
        "each" => each::with_each_parameter(arguments.next().unwrap_or("")),
        "gate" => calls::call(arguments),
        "touch" => places::touch(arguments.next().unwrap_or(""), arguments.next().unwrap_or("")),
        _ => once(name, arguments.next().map_or(Some(0), number)),
    }
}

fn once(name: &str, parameter: Option<u64>) -> u8 {
    let (Some(execute), Some(parameter)) = (find(name), parameter) else {
        println!("no such instruction: {name}");
        return UNKNOWN;
    };
    println!("completed {:#x}", execute(parameter));
    0
}

/// The instruction of a name.
fn find(name: &str) -> Option<extern "C" fn(u64) -> u64> {
    match name {
        "int" => Some(interrupts::execute),
        _ => instructions::ALL.iter().find(|(known, _)| *known == name).map(|(_, execute)| *execute),
    }
}

/// A number, decimal or with `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
