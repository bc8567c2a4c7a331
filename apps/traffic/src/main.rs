//! What network benchmarks and tests talk to.
//!
//! `serve` answers on the old small services: echo (port 7, TCP and UDP, RFC 862), discard (9, RFC 863) and character
//! generator (19, RFC 864). `send SIZE COUNT` and `receive MILLISECONDS` move bare frames and say how long it took.
#![no_std]
#![no_main]

extern crate alloc;

mod frames;
mod serve;

guest::appliance! { main: main, memory: 64 * guest::MIB, nics: ["net"] }

async fn main() -> u8 {
    let mut words = guest::args();
    let what = words.next();
    let mut number = || words.next().and_then(|text| text.parse::<u64>().ok());
    let done = match (what, number(), number()) {
        (Some("serve"), None, None) => {
            serve::run().await.map_err(|error| guest::println!("traffic: {error}"))
        }
        (Some("send"), Some(size_bytes), Some(count)) => frames::send(size_bytes, count),
        (Some("receive"), Some(milliseconds), None) => frames::receive(milliseconds),
        _ => {
            guest::println!("traffic: say `serve`, `send SIZE COUNT` or `receive MILLISECONDS`");
            Err(())
        }
    };
    u8::from(done.is_err())
}
