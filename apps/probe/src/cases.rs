//! Every kind of call, made with every register set to a value of its own.

use guest::hvcall::call::ClockId;
use guest::hvcall::{Call, CallEntry, Events, GuestArray, GuestSlice, Gva, RawCall};
use guest::println;

use crate::state::{self, State};

/// RFLAGS with every status flag and the direction flag set, and with none. Bit 1 is always set; IF is at entry.
const FLAGS: [u64; 2] = [0xed7, 0x202];

/// Makes each call with each value of RFLAGS and prints what came back changed that should not. Exit status 1 if anything did.
pub(crate) fn check_all() -> u8 {
    let mut random = [0_u8; 64];
    let mut batch = [CallEntry::from(Call::Clock(ClockId::Wall).encode()); 3];
    let random = GuestSlice { address: Gva(random.as_mut_ptr() as u64), size_bytes: 64 };
    let batch = GuestArray { address: Gva(batch.as_mut_ptr() as u64), count: 3 };
    let text = "text\n";
    let text = GuestSlice { address: Gva(text.as_ptr() as u64), size_bytes: text.len() as u64 };
    let soon = guest::time::Instant::now().as_ns() + 1_000_000;
    let calls = [
        ("console_write", Call::ConsoleWrite(text).encode()),
        ("wait, polling", Call::Wait { deadline_ns: 0, interest: Events::empty() }.encode()),
        ("wait, sleeping", Call::Wait { deadline_ns: soon, interest: Events::empty() }.encode()),
        ("net_send of no device", Call::NetSend { device: 0, frames: batch }.encode()),
        ("net_recv of no device", Call::NetRecv { device: 0, frames: batch }.encode()),
        ("block_submit of no device", Call::BlockSubmit { device: 0, requests: batch }.encode()),
        ("block_reap of no device", Call::BlockReap { device: 0, completions: batch }.encode()),
        ("clock", Call::Clock(ClockId::Monotonic).encode()),
        ("entropy", Call::Entropy(random).encode()),
        ("multicall", Call::Multicall(batch).encode()),
        ("unknown call", RawCall { nr: 0xffff_0000_0000_0063, arguments: [1, 2, 3, 4, 5, 6] }),
    ];
    let mut changed = 0;
    for (name, call) in calls {
        for flags in FLAGS {
            changed += check(name, &call, flags);
        }
    }
    println!("{changed} changed");
    u8::from(changed != 0)
}

fn check(name: &str, call: &RawCall, flags: u64) -> u32 {
    let before = State::patterned(call, flags);
    let mut after = before;
    state::call_with(&mut after);
    let mut changed = 0;
    for register in before.differences(&after) {
        println!("{name} with flags {flags:#x}: {register} changed");
        changed += 1;
    }
    changed
}
