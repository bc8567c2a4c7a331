//! A taken-over guest on a network: sends whatever frames it is told to, past the guest kernel's stack.
//!
//! ```text
//! send FRAME...     each frame in hexadecimal, in order
//! resolve NAME      by the guest kernel's own resolver: prints the addresses
//! ```
#![no_std]
#![no_main]

mod raw;

extern crate alloc;

use alloc::vec::Vec;

use guest::{net, println};

guest::appliance! { main: main, memory: 16 * guest::MIB, nics: ["net"] }

async fn main() -> u8 {
    let mut arguments = guest::args();
    match arguments.next() {
        Some("send") => {
            let frames: Option<Vec<Vec<u8>>> = arguments.map(bytes).collect();
            let Some(frames) = frames else {
                println!("not hexadecimal");
                return 1;
            };
            frames.iter().for_each(|frame| raw::send(frame));
            println!("sent {}", frames.len());
            0
        }
        Some("resolve") => resolve(arguments.next().unwrap_or("")).await,
        _ => 2,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

async fn resolve(name: &str) -> u8 {
    if let Err(error) = net::up().await {
        println!("no network: {error}");
        return 3;
    }
    match net::dns::resolve(name).await {
        Ok(addresses) => {
            addresses.iter().for_each(|address| println!("{name} {address}"));
            0
        }
        Err(error) => {
            println!("{name}: {error}");
            4
        }
    }
}
