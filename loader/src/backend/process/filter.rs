//! The seccomp filter of a guest's process: by address alone. What a call means is the monitor's business.

use libc::sock_filter;

/// Offsets in `struct seccomp_data` (include/uapi/linux/seccomp.h).
const ARCHITECTURE: u32 = 4;
const ADDRESS_LOW: u32 = 8;
const ADDRESS_HIGH: u32 = 12;
/// `AUDIT_ARCH_X86_64` (include/uapi/linux/audit.h): what is not this came by `int 0x80` or from 32-bit code.
const X86_64: u32 = 0xc000_003e;

/// Instructions for one address.
const SITE: usize = 5;
/// Length of a filter.
pub(super) const INSTRUCTIONS: usize = 3 + 3 * SITE + 1;

/// Notifies of system calls that return to `notify`, allows those that return to `allow`, and kills for all others.
pub(super) fn program(notify: [u64; 2], allow: u64) -> [sock_filter; INSTRUCTIONS] {
    let mut program = heapless::Vec::<sock_filter, INSTRUCTIONS>::new();
    let kill = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS);
    let _ = program.extend_from_slice(&[load(ARCHITECTURE), unless_equal(X86_64, 0), kill]);
    program[1].jt = 1;
    let actions = [libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW];
    for (address, action) in notify.into_iter().chain([allow]).zip(actions) {
        let [low, high] = halves(address);
        let _ = program.extend_from_slice(&[
            load(ADDRESS_LOW),
            unless_equal(low, 3),
            load(ADDRESS_HIGH),
            unless_equal(high, 1),
            statement(libc::BPF_RET | libc::BPF_K, action),
        ]);
    }
    let mut whole = [kill; INSTRUCTIONS];
    whole[..program.len()].copy_from_slice(&program);
    whole
}

const fn halves(address: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Skips `skip` instructions unless the loaded word is `value`.
fn unless_equal(value: u32, skip: u8) -> sock_filter {
    sock_filter { jf: skip, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value) }
}

fn statement(code: u32, k: u32) -> sock_filter {
    // The codes are all below 2^8 (bpf_common.h).
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter says of a system call, by the rules of classic BPF.
    fn verdict(program: &[sock_filter], architecture: u32, address: u64) -> u32 {
        let [low, high] = halves(address);
        let (mut at, mut word) = (0, 0);
        loop {
            let instruction = program[at];
            at += 1;
            match u32::from(instruction.code) {
                0x20 => {
                    word = [(ARCHITECTURE, architecture), (ADDRESS_LOW, low), (ADDRESS_HIGH, high)]
                        .into_iter()
                        .find(|(offset, _)| *offset == instruction.k)
                        .unwrap()
                        .1;
                }
                0x15 => {
                    at += usize::from(if word == instruction.k { instruction.jt } else { instruction.jf });
                }
                0x06 => return instruction.k,
                code => panic!("no such code {code:#x}"),
            }
        }
    }

    #[test]
    fn only_the_gate_notifies_and_everything_else_kills() {
        let (gate, second, init) = (0x1234_5678_900e, 0x1234_5678_9042, 0x2234_5678_9010);
        let program = program([gate, second], init);
        for (address, wanted) in [
            (gate, libc::SECCOMP_RET_USER_NOTIF),
            (second, libc::SECCOMP_RET_USER_NOTIF),
            (init, libc::SECCOMP_RET_ALLOW),
            (gate + 1, libc::SECCOMP_RET_KILL_PROCESS),
            (gate - 1, libc::SECCOMP_RET_KILL_PROCESS),
            (gate ^ 1 << 32, libc::SECCOMP_RET_KILL_PROCESS),
            (init & 0xffff_ffff, libc::SECCOMP_RET_KILL_PROCESS),
            (0, libc::SECCOMP_RET_KILL_PROCESS),
        ] {
            assert_eq!(verdict(&program, X86_64, address), wanted, "{address:#x}");
            assert_eq!(
                verdict(&program, 0x4000_0003, address),
                libc::SECCOMP_RET_KILL_PROCESS,
                "i386 at {address:#x}"
            );
        }
    }
}
