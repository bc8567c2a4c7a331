//! Boot information, kept where everything can read it.

use hvcall::BootInfo;

static INFO: spin::Once<&'static BootInfo> = spin::Once::new();

/// Remembers the boot information. The first call counts.
pub(crate) fn set(info: &'static BootInfo) {
    INFO.call_once(|| info);
}

/// The boot information, or `None` before entry has stored it (and on the host).
pub fn info() -> Option<&'static BootInfo> {
    INFO.get().copied()
}
