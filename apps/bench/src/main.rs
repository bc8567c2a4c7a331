//! What the benchmarks run inside: `calls N` makes N hypercalls and ends, `idle` says so and waits to be told to end.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use guest::hvcall::call::ClockId;

guest::appliance! { main: main, memory: guest::MIB }

async fn main() -> u8 {
    let mut arguments = guest::args();
    match (arguments.next(), arguments.next().map(str::parse::<u64>)) {
        (Some("calls"), Some(Ok(count))) => {
            let failed = (0..count).filter(|_| guest::hv::clock(ClockId::Monotonic).is_err()).count();
            u8::from(failed != 0)
        }
        (Some("idle"), None) => {
            guest::println!("idle");
            guest::executor::shutdown().await;
            0
        }
        _ => {
            guest::println!("bench: say `calls N` or `idle`");
            2
        }
    }
}
