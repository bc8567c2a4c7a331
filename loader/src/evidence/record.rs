//! Records around the end record, as they cross the pipe: one before the first entry, one after the last exit.

use crate::layout::units::{UNIT_COUNT, Units};

/// Bytes of a digest (SHA-256).
pub const DIGEST_BYTES: usize = 32;

hvcall::wire_struct! {
    /// Digests of memory that does not change while a guest runs.
    pub struct Digests {
        /// Code, this host's gate included.
        pub text: [u8; DIGEST_BYTES],
        /// Read-only data, and data that is constant after relocation.
        pub constants: [u8; DIGEST_BYTES],
        /// Boot information and fault stubs.
        pub monitor_pages: [u8; DIGEST_BYTES],
        /// The page with GDT, IDT and TSS; zeros for a machine without one.
        pub descriptors: [u8; DIGEST_BYTES],
        /// All page tables; zeros for a machine without any.
        pub page_tables: [u8; DIGEST_BYTES],
    }
}

hvcall::wire_struct! {
    /// What is known before the first entry. It stays with the parent: a guest that runs must not be betrayed by its bases.
    pub struct Opening {
        /// Where each unit lies.
        pub units: Units,
        /// Entropy of each base, in thousandths of a bit.
        pub entropy_millibits: [u32; UNIT_COUNT],
        /// Name of the gate, ended by zeros.
        pub gate: [u8; 16],
        /// 1 if there are digests.
        pub has_digests: u32,
        /// 0.
        pub reserved: u32,
        /// Digests before the first entry.
        pub digests: Digests,
    }
}

hvcall::wire_struct! {
    /// What is known after the last exit.
    pub struct Closing {
        /// Bytes of the core that were written.
        pub core_bytes: u64,
        /// 1 if that is all of it.
        pub core_is_whole: u32,
        /// 1 if there are digests.
        pub has_digests: u32,
        /// Digests after the last exit.
        pub digests: Digests,
    }
}
