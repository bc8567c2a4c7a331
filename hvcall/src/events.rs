//! What a guest can wait for.

use crate::{MAX_DISKS, MAX_NICS};

bitflags::bitflags! {
    /// A set of level-triggered conditions: the interest mask of `wait`, and its result.
    ///
    /// Bit 0 is shut-down; then one receive and one transmit bit per NIC; from bit 32 on one bit per disk.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Events: u64 {
        /// The host wants the appliance to end (SIGTERM). Sticky, and reported whether asked for or not.
        const SHUTDOWN = 1;
        /// Bits of all NICs.
        const NICS = ((1 << (2 * MAX_NICS)) - 1) << 1;
        /// Bits of all disks.
        const DISKS = ((1 << MAX_DISKS) - 1) << 32;
    }
}

impl Events {
    /// NIC `index` has a frame to receive.
    ///
    /// # Panics
    /// If `index` is not below [`MAX_NICS`].
    #[must_use]
    pub const fn nic_receive(index: usize) -> Self {
        assert!(index < MAX_NICS);
        Self::from_bits_retain(1 << (1 + 2 * index))
    }

    /// NIC `index` can take a frame to send.
    ///
    /// # Panics
    /// If `index` is not below [`MAX_NICS`].
    #[must_use]
    pub const fn nic_transmit(index: usize) -> Self {
        assert!(index < MAX_NICS);
        Self::from_bits_retain(1 << (2 + 2 * index))
    }

    /// Disk `index` has a completion to reap.
    ///
    /// # Panics
    /// If `index` is not below [`MAX_DISKS`].
    #[must_use]
    pub const fn disk(index: usize) -> Self {
        assert!(index < MAX_DISKS);
        Self::from_bits_retain(1 << (32 + index))
    }

    /// Everything an appliance with so many devices may wait for.
    #[must_use]
    pub fn for_devices(nics: usize, disks: usize) -> Self {
        let nic_bits = (0..nics).map(|index| Self::nic_receive(index) | Self::nic_transmit(index));
        let disk_bits = (0..disks).map(Self::disk);
        nic_bits.chain(disk_bits).fold(Self::SHUTDOWN, |all, bits| all | bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_a_bit_of_its_own() {
        let all = Events::for_devices(MAX_NICS, MAX_DISKS);
        assert_eq!(all.bits().count_ones() as usize, 1 + 2 * MAX_NICS + MAX_DISKS);
        assert_eq!(all, Events::SHUTDOWN | Events::NICS | Events::DISKS);
        assert_eq!(Events::for_devices(1, 1).bits(), 0x1_0000_0007);
    }
}
