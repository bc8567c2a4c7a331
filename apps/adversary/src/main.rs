//! Makes random calls with random arguments, frames and requests, for ever or so many times: `adversary SEED [ROUNDS]`.
//!
//! Every number comes from the seed, so a run can be repeated. It ends with 0 after its rounds, or when it hears of a shut-down.
#![no_std]
#![no_main]

extern crate alloc;

mod gate;
mod random;

use alloc::vec;

use guest::hvcall::{Events, Nr, Status};
use guest::println;

use random::Random;

guest::appliance! { main: main, memory: 2 * guest::MIB, nics: ["net"], disks: ["data"] }

/// Bytes that calls may read and write.
const ARENA_BYTES: usize = 256 * 1024;

async fn main() -> u8 {
    let mut numbers = guest::args().map(|text| text.parse().unwrap_or(0));
    let (seed, rounds) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(u64::MAX));
    println!("adversary {seed}");
    let mut arena = vec![0_u8; ARENA_BYTES];
    let mut random = Random::new(seed);
    let mut told = 0_u64;
    for _ in 0..rounds {
        let call = random.call(&mut arena);
        let result = gate::call(&call);
        // The low half of RAX alone is the number.
        let is_wait = call[0] & 0xffff_ffff == u64::from(Nr::Wait as u32);
        if is_wait && Status::from_result(result).is_ok_and(|events| events & Events::SHUTDOWN.bits() != 0) {
            return 0;
        }
        told = told.wrapping_add(u64::from(result < 0));
    }
    println!("refused {told}");
    0
}
