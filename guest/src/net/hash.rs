//! The keyed hash of every table that a peer can put entries into.

use core::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// SipHash-1-3 under a random key, so that nobody outside can choose addresses that collide.
#[derive(Clone, Copy)]
pub(super) struct Keyed(u64, u64);

impl Keyed {
    pub(super) fn new(random: fn() -> u64) -> Self {
        Self(random(), random())
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

impl core::fmt::Debug for Keyed {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Keyed(..)")
    }
}
