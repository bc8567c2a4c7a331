//! The seccomp filter of a guest's process: by address alone. What a call means is the monitor's business.

use libc::sock_filter;

/// Offsets in `struct seccomp_data` (include/uapi/linux/seccomp.h).
const ARCHITECTURE: u32 = 4;
const ADDRESS_LOW: u32 = 8;
const ADDRESS_HIGH: u32 = 12;
/// `AUDIT_ARCH_X86_64` (include/uapi/linux/audit.h): what is not this came by `int 0x80` or from 32-bit code.
const X86_64: u32 = 0xc000_003e;

/// Length of a filter.
pub(super) const INSTRUCTIONS: usize = 13;

/// Notifies of system calls that return to `notify`, allows those that return to `allow`, and makes all others a signal, whose handler
/// reports them. Both of
/// `notify` lie within 4 GiB that begin at a multiple of that, as all that is on one page does.
pub(super) fn program(notify: [u64; 2], allow: u64) -> [sock_filter; INSTRUCTIONS] {
    let [[first, gates], [second, _], [init, inits]] = [notify[0], notify[1], allow].map(halves);
    // The further an instruction is from the verdicts at the end, the further it jumps.
    [
        load(ARCHITECTURE),
        jump_if_equal(X86_64, 0, 10),
        load(ADDRESS_LOW),
        jump_if_equal(first, 2, 0),
        jump_if_equal(second, 1, 0),
        jump_if_equal(init, 2, 6),
        load(ADDRESS_HIGH),
        jump_if_equal(gates, 2, 4),
        load(ADDRESS_HIGH),
        jump_if_equal(inits, 1, 2),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_TRAP),
    ]
}

const fn halves(address: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

/// Skips `then` instructions if the loaded word is `value`, and `otherwise` ones if not.
fn jump_if_equal(value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { jt: then, jf: otherwise, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value) }
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
    fn only_the_gate_notifies_and_everything_else_is_refused() {
        let (gate, second, init) = (0x1234_5678_900e, 0x1234_5678_9042, 0x2234_5678_9010);
        let program = program([gate, second], init);
        for (address, wanted) in [
            (gate, libc::SECCOMP_RET_USER_NOTIF),
            (second, libc::SECCOMP_RET_USER_NOTIF),
            (init, libc::SECCOMP_RET_ALLOW),
            (gate + 1, libc::SECCOMP_RET_TRAP),
            (gate - 1, libc::SECCOMP_RET_TRAP),
            (gate ^ 1 << 32, libc::SECCOMP_RET_TRAP),
            ((init & !0xffff_ffff) | (gate & 0xffff_ffff), libc::SECCOMP_RET_TRAP),
            ((gate & !0xffff_ffff) | (init & 0xffff_ffff), libc::SECCOMP_RET_TRAP),
            (init & 0xffff_ffff, libc::SECCOMP_RET_TRAP),
            (0, libc::SECCOMP_RET_TRAP),
        ] {
            assert_eq!(verdict(&program, X86_64, address), wanted, "{address:#x}");
            assert_eq!(
                verdict(&program, 0x4000_0003, address),
                libc::SECCOMP_RET_TRAP,
                "i386 at {address:#x}"
            );
        }
    }
}
