//! A taken-over guest on a network: sends whatever frames it is told to, past the guest kernel's stack.
//!
//! ```text
//! send FRAME...     each frame in hexadecimal, in order; behind a slash and with dots between them its offload fields can follow:
//!                   flags, segmentation type, header's length, pieces' length, checksum's start and offset
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
            let frames: Option<Vec<(Vec<u8>, [u16; 6])>> = arguments.map(frame).collect();
            let Some(frames) = frames else {
                println!("not a frame");
                return 1;
            };
            frames.iter().for_each(|(bytes, offload)| raw::send(bytes, *offload));
            println!("sent {}", frames.len());
            0
        }
        Some("resolve") => resolve(arguments.next().unwrap_or("")).await,
        _ => 2,
    }
}

fn frame(text: &str) -> Option<(Vec<u8>, [u16; 6])> {
    let (hexadecimal, fields) = text.split_once('/').unwrap_or((text, "0.0.0.0.0.0"));
    let fields: Option<Vec<u16>> = fields.split('.').map(|field| field.parse().ok()).collect();
    Some((bytes(hexadecimal)?, fields?.try_into().ok()?))
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
