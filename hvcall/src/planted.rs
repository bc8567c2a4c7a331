//! Faults that a test build can switch on, one at a time: they measure the fuzzer, as mutation testing measures tests.
//!
//! Without the feature `planted`, which no ordinary build has, [`planted!`](crate::planted!) is its right-hand side and nothing
//! else, and this module has no state.

/// A fault. Each is a classic of interfaces between parties that do not trust each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// The offset of an address in its region is computed modulo 2^32.
    AddressWraps = 1,
    /// Only the start of a range is checked.
    EndNotChecked,
    /// A range may end one byte after its region.
    OffByOneAtEnd,
    /// Read-only memory, such as text, may be a destination.
    PermissionNotChecked,
    /// Pages of the monitor's may be named in calls.
    MonitorPagesNamed,
    /// The entries of a batch are read again before each is carried out.
    DoubleFetch,
    /// A device's index is not checked against the number of devices of its kind.
    WrongDeviceTaken,
    /// The end of a block request is computed in bytes, which overflows.
    OffsetOverflows,
    /// A frame that is longer than its buffer is reported as received.
    ReplyTooLarge,
    /// A row that fails after some of its entries were carried out reports the failure and not their number.
    PartialEffectHidden,
    /// A bad entry of a row ends the row instead of refusing it.
    BadEntryEndsRow,
    /// A transfer at the end of a file goes on for ever.
    UnboundedLoop,
    /// Random bytes fill half of what was asked for.
    StaleBytes,
    /// A batch may hold batches.
    BatchNests,
    /// A read-only disk takes writes.
    ReadOnlyIgnored,
    /// Argument slots that a call does not use may hold anything.
    SlotsNotChecked,
    /// A checksum may lie behind its frame.
    ChecksumBeyondFrame,
    /// A row may have one entry too many.
    CountTooLarge,
    /// Completions for which there is no room are lost.
    CompletionsLost,
    /// Devices that are not there can be waited for.
    EventsNotChecked,
    /// The upper half of RAX counts as a part of the number.
    UpperHalfCounts,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 21] = [
        Self::AddressWraps,
        Self::EndNotChecked,
        Self::OffByOneAtEnd,
        Self::PermissionNotChecked,
        Self::MonitorPagesNamed,
        Self::DoubleFetch,
        Self::WrongDeviceTaken,
        Self::OffsetOverflows,
        Self::ReplyTooLarge,
        Self::PartialEffectHidden,
        Self::BadEntryEndsRow,
        Self::UnboundedLoop,
        Self::StaleBytes,
        Self::BatchNests,
        Self::ReadOnlyIgnored,
        Self::SlotsNotChecked,
        Self::ChecksumBeyondFrame,
        Self::CountTooLarge,
        Self::CompletionsLost,
        Self::EventsNotChecked,
        Self::UpperHalfCounts,
    ];
}

/// Only in a build that has faults: what a check of other builds looks for. In two parts here, because every `ringwall` holds this source text,
/// too, for the appliances that it makes.
#[cfg(feature = "planted")]
pub const MARKER: &str = concat!("ringwall-has", "-planted-faults");

#[cfg(feature = "planted")]
static ON: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Switches a fault on, and every other off.
#[cfg(feature = "planted")]
pub fn switch_on(fault: Fault) {
    ON.store(fault as u8, core::sync::atomic::Ordering::Relaxed);
}

/// Whether a fault is on.
#[cfg(feature = "planted")]
#[must_use]
pub fn is_on(fault: Fault) -> bool {
    ON.load(core::sync::atomic::Ordering::Relaxed) == fault as u8
}

/// `planted!(Fault => wrong, right)`: what is right, or what is wrong while that fault is on.
#[cfg(feature = "planted")]
#[macro_export]
macro_rules! planted {
    ($fault:ident => $wrong:expr, $right:expr) => {
        if $crate::planted::is_on($crate::planted::Fault::$fault) { $wrong } else { $right }
    };
}

/// `planted!(Fault => wrong, right)`: what is right.
#[cfg(not(feature = "planted"))]
#[macro_export]
macro_rules! planted {
    ($fault:ident => $wrong:expr, $right:expr) => {
        $right
    };
}
