//! Boot information: what the monitor tells the guest once, before its first instruction.
//!
//! RDI holds its guest-virtual address at entry. It lies in read-only pages, never changes, and holds no secret: the guest
//! seeds its random generator with the `entropy` call.

use crate::wire_struct;
use crate::{MAX_DISKS, MAX_NICS};

/// First word of [`BootInfo`]: `RINGWALL` in ASCII, little-endian.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"RINGWALL");

/// Most bytes of arguments (`ringwall run IMAGE -- ARGS`), NUL terminators included.
pub const MAX_ARGUMENT_BYTES: usize = 8 * 1024;

/// [`ClockParameters::flags`]: the host's TSC is invariant, so the formula holds. Without it use the `clock` call.
pub const CLOCK_TSC_USABLE: u32 = 1;

bitflags::bitflags! {
    /// What a NIC can do for the guest: [`NicInfo::offloads`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Offloads: u32 {
        /// Frames may leave, and may arrive, with their checksum still to be filled in.
        const CHECKSUM = 1;
        /// TCP segments over IPv4 and IPv6 of up to 65,535 bytes may leave, to be cut on the way, and may arrive uncut.
        const SEGMENTATION = 2;
    }
}

/// [`Ipv4Config::flags`], [`Ipv6Config::flags`]: the addresses here are to be used. Without it the guest asks DHCP (IPv4) or
/// listens for router advertisements (IPv6), or uses what was baked into the image.
pub const IP_STATIC: u8 = 1;

/// [`DiskInfo::flags`]: writes and discards end with `ROFS`.
pub const DISK_READ_ONLY: u32 = 1;

wire_struct! {
    /// Monotonic nanoseconds since boot = `((tsc - tsc_base) * multiplier) >> shift`, in 128-bit arithmetic.
    pub struct ClockParameters {
        /// TSC at nanosecond 0.
        pub tsc_base: u64,
        /// Multiplier.
        pub multiplier: u64,
        /// Right shift, 0 to 63.
        pub shift: u32,
        /// [`CLOCK_TSC_USABLE`].
        pub flags: u32,
    }
}

impl ClockParameters {
    /// Parameters for a TSC of `tsc_khz` whose reading now is `tsc_base`.
    #[must_use]
    pub const fn from_khz(tsc_base: u64, tsc_khz: u64, flags: u32) -> Self {
        const SHIFT: u32 = 32;
        let divisor = if tsc_khz == 0 { 1 } else { tsc_khz };
        Self { tsc_base, multiplier: (1_000_000 << SHIFT) / divisor, shift: SHIFT, flags }
    }

    /// Monotonic nanoseconds at `tsc`. 0 for a reading before the base.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "capped just before")]
    pub const fn ns_at(&self, tsc: u64) -> u64 {
        let ticks = tsc.saturating_sub(self.tsc_base) as u128;
        let ns = (ticks * self.multiplier as u128) >> (self.shift & 63);
        if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 }
    }
}

wire_struct! {
    /// IPv4 addresses the host chose for a NIC.
    pub struct Ipv4Config {
        /// The guest's own address.
        pub address: [u8; 4],
        /// Default router, or 0.0.0.0 for none.
        pub gateway: [u8; 4],
        /// Resolver, or 0.0.0.0 for none.
        pub dns: [u8; 4],
        /// Prefix length, 0 to 32.
        pub prefix: u8,
        /// [`IP_STATIC`].
        pub flags: u8,
        /// 0.
        pub reserved: [u8; 2],
    }
}

wire_struct! {
    /// IPv6 addresses the host chose for a NIC. The link-local address follows from the MAC.
    pub struct Ipv6Config {
        /// The guest's own address.
        pub address: [u8; 16],
        /// Default router, or :: for none.
        pub gateway: [u8; 16],
        /// Resolver, or :: for none.
        pub dns: [u8; 16],
        /// Prefix length, 0 to 128.
        pub prefix: u8,
        /// [`IP_STATIC`].
        pub flags: u8,
        /// 0.
        pub reserved: [u8; 6],
    }
}

wire_struct! {
    /// One NIC. Index and name are the manifest's.
    pub struct NicInfo {
        /// The guest's MAC address.
        pub mac: [u8; 6],
        /// Largest IP packet, 1,280 to 65,521 bytes.
        pub mtu: u16,
        /// [`Offloads`].
        pub offloads: u32,
        /// IPv4.
        pub ipv4: Ipv4Config,
        /// 0.
        pub reserved: u32,
        /// IPv6.
        pub ipv6: Ipv6Config,
    }
}

impl NicInfo {
    /// The offloads as flags; bits that this version does not know are dropped.
    #[must_use]
    pub const fn offloads(&self) -> Offloads {
        Offloads::from_bits_truncate(self.offloads)
    }
}

wire_struct! {
    /// One disk. Index and name are the manifest's.
    pub struct DiskInfo {
        /// Capacity in sectors.
        pub sectors: u64,
        /// 512 or 4096.
        pub sector_bytes: u32,
        /// [`DISK_READ_ONLY`].
        pub flags: u32,
    }
}

impl DiskInfo {
    /// Whether the disk refuses changes.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.flags & DISK_READ_ONLY != 0
    }
}

wire_struct! {
    /// The page at RDI.
    pub struct BootInfo {
        /// [`BOOT_MAGIC`].
        pub magic: u64,
        /// [`crate::ABI_VERSION`] of the monitor.
        pub abi: u32,
        /// Number of NICs, the first entries of `nics`.
        pub nic_count: u32,
        /// Number of disks, the first entries of `disks`.
        pub disk_count: u32,
        /// Length of the arguments, each ended by a NUL; they follow this structure directly.
        pub argument_bytes: u32,
        /// Guest-virtual address of the heap: read-write pages, all zero.
        pub heap_base: u64,
        /// Length of the heap, a multiple of 4096.
        pub heap_bytes: u64,
        /// Lowest usable address of the stack that RSP points into.
        pub stack_base: u64,
        /// Length of that stack. The page below `stack_base` is unmapped.
        pub stack_bytes: u64,
        /// Time.
        pub clock: ClockParameters,
        /// NICs.
        pub nics: [NicInfo; MAX_NICS],
        /// Disks.
        pub disks: [DiskInfo; MAX_DISKS],
    }
}
static_assertions::const_assert_eq!(core::mem::offset_of!(BootInfo, clock), 56);
static_assertions::const_assert_eq!(core::mem::offset_of!(BootInfo, nics), 80);
static_assertions::const_assert_eq!(size_of::<NicInfo>(), 88);
static_assertions::const_assert!(size_of::<BootInfo>() + MAX_ARGUMENT_BYTES <= 3 * 4096);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wire;

    #[test]
    fn clock_formula_is_exact_to_a_part_in_a_billion() {
        for khz in [1_000_000, 2_449_998, 3_600_000] {
            let clock = ClockParameters::from_khz(1_000, khz, CLOCK_TSC_USABLE);
            assert_eq!(clock.ns_at(0), 0);
            assert_eq!(clock.ns_at(1_000), 0);
            let day_ns = 86_400_000_000_000_u64;
            let error = clock.ns_at(1_000 + khz * 86_400_000).abs_diff(day_ns);
            assert!(error < day_ns / 1_000_000_000 + 1, "{khz} kHz is off by {error} ns a day");
        }
        assert!(ClockParameters::from_khz(0, 0, 0).ns_at(u64::MAX) > 0);
    }

    #[test]
    fn boot_info_survives_its_byte_form() {
        let mut boot = BootInfo { magic: BOOT_MAGIC, abi: 1, nic_count: 2, ..BootInfo::default() };
        boot.nics[1].mac = [2, 0, 0, 0, 0, 9];
        boot.disks[7] = DiskInfo { sectors: 1 << 50, sector_bytes: 4096, flags: DISK_READ_ONLY };
        let mut bytes = [0; BootInfo::SIZE_BYTES];
        boot.write(&mut bytes);
        assert_eq!(&bytes[..8], b"RINGWALL");
        assert_eq!(BootInfo::read(&bytes), boot);
    }
}
