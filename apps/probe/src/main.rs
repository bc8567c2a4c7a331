//! Looks at its own registers: `probe registers` around every kind of call, `probe entry` as the machine started.
//!
//! Exit status: 0 if all is as the contract says, 1 if not, 2 for wrong arguments. For tests.
#![no_std]
#![no_main]

mod cases;
mod state;

use guest::println;

guest::appliance! { main: main }

async fn main() -> u8 {
    match guest::args().next() {
        Some("registers") => cases::check_all(),
        Some("entry") => {
            let (mxcsr, fcw) = state::floating_point_control();
            println!("mxcsr {mxcsr:#x}, x87 control word {fcw:#x}");
            u8::from((mxcsr, fcw) != (0x1f80, 0x37f))
        }
        _ => 2,
    }
}
