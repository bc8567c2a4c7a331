//! The ten calls: registers in, types out, once.

use crate::{
    Events, GuestExit, Gva, MAX_CONSOLE_BYTES, MAX_DISKS, MAX_ENTRIES, MAX_ENTROPY_BYTES, MAX_NICS, Status,
    planted, wire_struct,
};

/// Number of a call, in the low 32 bits of RAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Nr {
    /// See [`Call::Exit`].
    Exit = 0,
    /// See [`Call::ConsoleWrite`].
    ConsoleWrite = 1,
    /// See [`Call::Wait`].
    Wait = 2,
    /// See [`Call::NetSend`].
    NetSend = 3,
    /// See [`Call::NetRecv`].
    NetRecv = 4,
    /// See [`Call::BlockSubmit`].
    BlockSubmit = 5,
    /// See [`Call::BlockReap`].
    BlockReap = 6,
    /// See [`Call::Clock`].
    Clock = 7,
    /// See [`Call::Entropy`].
    Entropy = 8,
    /// See [`Call::Multicall`].
    Multicall = 9,
}

impl Nr {
    /// Every call, in number order.
    pub const ALL: [Self; 10] = [
        Self::Exit,
        Self::ConsoleWrite,
        Self::Wait,
        Self::NetSend,
        Self::NetRecv,
        Self::BlockSubmit,
        Self::BlockReap,
        Self::Clock,
        Self::Entropy,
        Self::Multicall,
    ];

    /// The call of that number. The upper 32 bits are ignored: a seccomp backend never sees them.
    ///
    /// # Errors
    /// `NOSYS` if there is none.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is ignored by contract")]
    pub const fn from_raw(raw: u64) -> Result<Self, Status> {
        let low = raw as u32 as usize;
        if low < Self::ALL.len() { Ok(Self::ALL[low]) } else { Err(Status::NOSYS) }
    }

    /// How many of the six argument slots the call uses, the first ones. The others must be 0.
    #[must_use]
    pub const fn arguments(self) -> usize {
        match self {
            Self::Exit | Self::Clock => 1,
            Self::ConsoleWrite | Self::Wait | Self::Entropy | Self::Multicall => 2,
            Self::NetSend | Self::NetRecv | Self::BlockSubmit | Self::BlockReap => 3,
        }
    }

    /// Name as in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::ConsoleWrite => "console_write",
            Self::Wait => "wait",
            Self::NetSend => "net_send",
            Self::NetRecv => "net_recv",
            Self::BlockSubmit => "block_submit",
            Self::BlockReap => "block_reap",
            Self::Clock => "clock",
            Self::Entropy => "entropy",
            Self::Multicall => "multicall",
        }
    }
}

/// A call as it stands in the registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawCall {
    /// RAX.
    pub nr: u64,
    /// RDI, RSI, RDX, R10, R8, R9.
    pub arguments: [u64; 6],
}

wire_struct! {
    /// One entry of a `multicall` array.
    pub struct CallEntry {
        /// As RAX before a call.
        pub nr: u64,
        /// As the argument registers.
        pub arguments: [u64; 6],
        /// As RAX after the call; written by the monitor.
        pub result: i64,
    }
}
static_assertions::const_assert_eq!(size_of::<CallEntry>(), 64);
static_assertions::const_assert_eq!(core::mem::offset_of!(CallEntry, result), 56);

impl CallEntry {
    /// The entry's call.
    #[must_use]
    pub const fn raw(&self) -> RawCall {
        RawCall { nr: self.nr, arguments: self.arguments }
    }
}

impl From<RawCall> for CallEntry {
    fn from(raw: RawCall) -> Self {
        Self { nr: raw.nr, arguments: raw.arguments, result: 0 }
    }
}

/// A run of bytes in guest memory, as claimed by the guest: length checked against its cap, address not yet translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestSlice {
    /// First byte.
    pub address: Gva,
    /// Length, at least 1.
    pub size_bytes: u64,
}

/// An array of descriptors in guest memory, as claimed by the guest: count and alignment checked, address not yet
/// translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestArray {
    /// First entry, a multiple of 8.
    pub address: Gva,
    /// Number of entries, 0 to [`MAX_ENTRIES`].
    pub count: u64,
}

/// Which clock `clock` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockId {
    /// Nanoseconds since boot, by the formula of [`crate::ClockParameters`].
    Monotonic,
    /// Nanoseconds since 1970-01-01 UTC, by the host's clock.
    Wall,
}

/// A decoded call. All numbers are within their documented ranges; addresses are still claims.
///
/// Common errors: `NOSYS` for an unknown number; `INVAL` for an unused argument slot that is not 0, a count above
/// [`MAX_ENTRIES`], an array that is not 8-byte aligned, a data length of 0 or above its cap; `NODEV` for a device that the
/// appliance does not have; `FAULT` for memory that is not the guest's own or, for what the monitor writes, not writable.
/// An array without entries is nowhere: its address has to be aligned and nothing else, and the call's result is 0.
/// A call that returns a status had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Ends the guest.
    ///
    /// RDI: status 0 to 63, or bit 32 alone for a panic. Does not return. Accepted block requests are carried out first. Any
    /// other value ends the guest for breaking the contract. Refused inside `multicall`. Since ABI 1.
    Exit(
        /// How.
        GuestExit,
    ),
    /// Writes text to the console.
    ///
    /// RDI: address, any alignment; RSI: length in bytes, 1 to 65,536. Result: bytes taken, at least 1. `IO` when the console
    /// is gone. May be held back by a slow reader. Since ABI 1.
    ConsoleWrite(
        /// The text, any bytes.
        GuestSlice,
    ),
    /// Sleeps until something is ready or the deadline passed.
    ///
    /// RDI: deadline in monotonic ns, 0 polls, `u64::MAX` never passes; RSI: [`Events`] of interest. Result: the events that are
    /// ready now, of those asked for; 0 when the deadline passed. Shut-down is always reported, asked for or not, and ends a
    /// sleep until it has been reported once; from then on only where it is asked for, so that a guest that knows can sleep
    /// while it finishes its work. `INVAL` for the bit of a device that does not exist,
    /// `IO` if the host cannot wait. The only call that sleeps. Since ABI 1.
    Wait {
        /// Monotonic ns.
        deadline_ns: u64,
        /// Conditions.
        interest: Events,
    },
    /// Sends frames.
    ///
    /// RDI: NIC; RSI: array of [`crate::Frame`]; RDX: count, 0 to 64. Result: frames sent, the first ones. All descriptors are
    /// checked before the first frame leaves. `AGAIN` if the NIC takes none right now, `IO` if it is gone. Since ABI 1.
    NetSend {
        /// NIC index.
        device: usize,
        /// Frames.
        frames: GuestArray,
    },
    /// Receives frames.
    ///
    /// RDI: NIC; RSI: array of [`crate::Frame`], each a buffer; RDX: count, 0 to 64. Result: frames received, into the first
    /// buffers, their descriptors' lengths and offload fields written. A frame longer than its buffer is dropped, and the buffer
    /// may hold its beginning. Buffers beyond the frames' ends are untouched. `AGAIN` if there is none, `IO` if the NIC is gone. Since ABI 1.
    NetRecv {
        /// NIC index.
        device: usize,
        /// Buffers.
        frames: GuestArray,
    },
    /// Starts block requests.
    ///
    /// RDI: disk; RSI: array of [`crate::Request`]; RDX: count, 0 to 64. Result: requests accepted, the first ones. All
    /// descriptors are checked before the first is carried out. `ROFS`: see [`crate::Request::check`]. `AGAIN` if none can be
    /// accepted before completions are reaped. Since ABI 1.
    BlockSubmit {
        /// Disk index.
        device: usize,
        /// Requests.
        requests: GuestArray,
    },
    /// Collects finished block requests.
    ///
    /// RDI: disk; RSI: array of [`crate::Completion`], written; RDX: count, 0 to 64. Result: completions written, 0 if there is
    /// none. Since ABI 1.
    BlockReap {
        /// Disk index.
        device: usize,
        /// Room for completions.
        completions: GuestArray,
    },
    /// Reads a clock.
    ///
    /// RDI: 0 monotonic, 1 wall. Result: ns. `INVAL` for another clock. Since ABI 1.
    Clock(
        /// Which.
        ClockId,
    ),
    /// Fills memory with random bytes from the host's generator.
    ///
    /// RDI: address, any alignment; RSI: length in bytes, 1 to 256. Result: the length. `IO` if the host has none. Since ABI 1.
    Entropy(
        /// Where to.
        GuestSlice,
    ),
    /// Carries out several calls.
    ///
    /// RDI: array of [`CallEntry`], in writable memory; RSI: count, 0 to 64. Result: calls carried out. Each entry gets its own
    /// result; the row goes on after an error. Entries that are `exit` or `multicall` get `INVAL`. Since ABI 1.
    Multicall(
        /// Entries.
        GuestArray,
    ),
}

impl Call {
    /// Decodes registers.
    ///
    /// # Errors
    /// `NOSYS`, `INVAL` or `NODEV` as each call's documentation says, for everything that can be seen without memory and
    /// without knowing the machine's devices.
    pub fn decode(raw: &RawCall) -> Result<Self, Status> {
        let nr = Nr::from_raw(planted!(UpperHalfCounts => raw.nr | raw.nr >> 32, raw.nr))?;
        if raw.arguments[nr.arguments()..].iter().any(|&slot| planted!(SlotsNotChecked => false, slot != 0)) {
            return Err(Status::INVAL);
        }
        let [first, second, third, ..] = raw.arguments;
        Ok(match nr {
            Nr::Exit => Self::Exit(GuestExit::from_raw(first)?),
            Nr::ConsoleWrite => Self::ConsoleWrite(slice(first, second, MAX_CONSOLE_BYTES)?),
            Nr::Wait => {
                Self::Wait { deadline_ns: first, interest: Events::from_bits(second).ok_or(Status::INVAL)? }
            }
            Nr::NetSend => Self::NetSend { device: index(first, MAX_NICS)?, frames: array(second, third)? },
            Nr::NetRecv => Self::NetRecv { device: index(first, MAX_NICS)?, frames: array(second, third)? },
            Nr::BlockSubmit => {
                Self::BlockSubmit { device: index(first, MAX_DISKS)?, requests: array(second, third)? }
            }
            Nr::BlockReap => {
                Self::BlockReap { device: index(first, MAX_DISKS)?, completions: array(second, third)? }
            }
            Nr::Clock => Self::Clock(match first {
                0 => ClockId::Monotonic,
                1 => ClockId::Wall,
                _ => return Err(Status::INVAL),
            }),
            Nr::Entropy => Self::Entropy(slice(first, second, MAX_ENTROPY_BYTES)?),
            Nr::Multicall => Self::Multicall(array(first, second)?),
        })
    }

    /// Encodes into registers.
    #[must_use]
    pub const fn encode(&self) -> RawCall {
        let (nr, first, second, third) = match *self {
            Self::Exit(exit) => (Nr::Exit, exit.to_raw(), 0, 0),
            Self::ConsoleWrite(text) => (Nr::ConsoleWrite, text.address.0, text.size_bytes, 0),
            Self::Wait { deadline_ns, interest } => (Nr::Wait, deadline_ns, interest.bits(), 0),
            Self::NetSend { device, frames } => (Nr::NetSend, device as u64, frames.address.0, frames.count),
            Self::NetRecv { device, frames } => (Nr::NetRecv, device as u64, frames.address.0, frames.count),
            Self::BlockSubmit { device, requests } => {
                (Nr::BlockSubmit, device as u64, requests.address.0, requests.count)
            }
            Self::BlockReap { device, completions } => {
                (Nr::BlockReap, device as u64, completions.address.0, completions.count)
            }
            Self::Clock(id) => (Nr::Clock, id as u64, 0, 0),
            Self::Entropy(bytes) => (Nr::Entropy, bytes.address.0, bytes.size_bytes, 0),
            Self::Multicall(calls) => (Nr::Multicall, calls.address.0, calls.count, 0),
        };
        RawCall { nr: nr as u64, arguments: [first, second, third, 0, 0, 0] }
    }

    /// The call's number.
    #[must_use]
    pub const fn nr(&self) -> Nr {
        match self {
            Self::Exit(_) => Nr::Exit,
            Self::ConsoleWrite(_) => Nr::ConsoleWrite,
            Self::Wait { .. } => Nr::Wait,
            Self::NetSend { .. } => Nr::NetSend,
            Self::NetRecv { .. } => Nr::NetRecv,
            Self::BlockSubmit { .. } => Nr::BlockSubmit,
            Self::BlockReap { .. } => Nr::BlockReap,
            Self::Clock(_) => Nr::Clock,
            Self::Entropy(_) => Nr::Entropy,
            Self::Multicall(_) => Nr::Multicall,
        }
    }
}

fn index(raw: u64, limit: usize) -> Result<usize, Status> {
    usize::try_from(raw).ok().filter(|&index| index < limit).ok_or(Status::NODEV)
}

fn slice(address: u64, size_bytes: u64, cap: u64) -> Result<GuestSlice, Status> {
    if size_bytes == 0 || size_bytes > cap {
        return Err(Status::INVAL);
    }
    Ok(GuestSlice { address: Gva(address), size_bytes })
}

fn array(address: u64, count: u64) -> Result<GuestArray, Status> {
    if count > planted!(CountTooLarge => MAX_ENTRIES + 1, MAX_ENTRIES) || !Gva(address).is_aligned(8) {
        return Err(Status::INVAL);
    }
    Ok(GuestArray { address: Gva(address), count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(nr: u64, first: u64, second: u64, third: u64) -> RawCall {
        RawCall { nr, arguments: [first, second, third, 0, 0, 0] }
    }

    fn examples() -> [Call; 10] {
        let bytes = GuestSlice { address: Gva(0x1_0000_0001), size_bytes: 256 };
        let array = GuestArray { address: Gva(0x1_0000_0008), count: 64 };
        [
            Call::Exit(GuestExit::Panic),
            Call::ConsoleWrite(bytes),
            Call::Wait { deadline_ns: u64::MAX, interest: Events::SHUTDOWN | Events::nic_receive(3) },
            Call::NetSend { device: 7, frames: array },
            Call::NetRecv { device: 0, frames: array },
            Call::BlockSubmit { device: 1, requests: array },
            Call::BlockReap { device: 2, completions: array },
            Call::Clock(ClockId::Wall),
            Call::Entropy(bytes),
            Call::Multicall(array),
        ]
    }

    #[test]
    fn every_call_survives_its_register_form() {
        for (call, nr) in examples().iter().zip(Nr::ALL) {
            assert_eq!(call.nr(), nr);
            assert_eq!(call.encode().nr, u64::from(nr as u32));
            assert_eq!(Call::decode(&call.encode()).as_ref(), Ok(call));
        }
    }

    #[test]
    fn only_the_low_half_of_rax_counts() {
        for call in examples() {
            let mut raw = call.encode();
            raw.nr |= 0xdead_beef_0000_0000;
            assert_eq!(Call::decode(&raw), Ok(call));
        }
        for nr in [10, 0xffff_ffff, 1 << 31, 0xffff_ffff_ffff_ffff] {
            assert_eq!(Call::decode(&raw(nr, 0, 0, 0)), Err(Status::NOSYS), "{nr:#x}");
        }
    }

    #[test]
    fn unused_slots_are_zero() {
        for call in examples() {
            for slot in call.nr().arguments()..6 {
                for bit in 0..64 {
                    let mut raw = call.encode();
                    raw.arguments[slot] = 1 << bit;
                    assert_eq!(Call::decode(&raw), Err(Status::INVAL), "{call:?} slot {slot}");
                }
            }
        }
    }

    #[test]
    fn ranges_are_closed_at_both_ends() {
        for (nr, cap) in [(1, MAX_CONSOLE_BYTES), (8, MAX_ENTROPY_BYTES)] {
            assert!(Call::decode(&raw(nr, 0x1000, cap, 0)).is_ok());
            for size in [0, cap + 1, 1 << 40, u64::MAX] {
                assert_eq!(Call::decode(&raw(nr, 0x1000, size, 0)), Err(Status::INVAL));
            }
        }
        for nr in 3..=6 {
            assert!(Call::decode(&raw(nr, 7, 8, 64)).is_ok());
            assert!(Call::decode(&raw(nr, 7, 8, 0)).is_ok());
            assert_eq!(Call::decode(&raw(nr, 7, 8, 65)), Err(Status::INVAL));
            assert_eq!(Call::decode(&raw(nr, 7, 4, 1)), Err(Status::INVAL));
            for device in [8, 1 << 31, 1 << 32, u64::MAX] {
                assert_eq!(Call::decode(&raw(nr, device, 8, 1)), Err(Status::NODEV));
            }
        }
        assert_eq!(Call::decode(&raw(7, 2, 0, 0)), Err(Status::INVAL));
        assert_eq!(Call::decode(&raw(2, 0, 1 << 63, 0)), Err(Status::INVAL));
    }
}
