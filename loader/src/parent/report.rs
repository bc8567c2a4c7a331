//! What a monitor has written to its pipe.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use hvcall::Wire;

use crate::evidence::record::{Closing, Opening};
use crate::monitor::end::{End, EndRecord};

/// The records, as far as the monitor got. All of it was written by a process that had met a hostile guest, but for the first.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Before the first entry.
    pub(super) opening: Option<Opening>,
    /// How the guest ended.
    pub(super) end: Option<(EndRecord, End)>,
    /// After the last exit.
    pub(super) closing: Option<Closing>,
}

impl Report {
    /// Reads what is there. The monitor is gone, so nothing more will come.
    pub(super) fn read(pipe: &OwnedFd) -> Self {
        const MOST: usize = size_of::<Opening>() + size_of::<EndRecord>() + size_of::<Closing>();
        let mut bytes = Vec::with_capacity(MOST);
        // What could not be read is not there.
        let _ = pipe.try_clone().map(|pipe| File::from(pipe).take(MOST as u64).read_to_end(&mut bytes));
        let mut rest = bytes.as_slice();
        let opening = next(&mut rest);
        let end = next(&mut rest).and_then(|record: EndRecord| Some((record, record.end()?)));
        Self { opening, end, closing: next(&mut rest) }
    }

    /// Whether what must not change is the same at the end. Nothing if that was not asked for, or the monitor did not get as far.
    pub(super) fn unchanged(&self) -> Option<bool> {
        let (opening, closing) = (self.opening?, self.closing?);
        (opening.has_digests == 1 && closing.has_digests == 1).then_some(opening.digests == closing.digests)
    }
}

fn next<T: Wire>(rest: &mut &[u8]) -> Option<T> {
    let (record, behind) = rest.split_at_checked(T::SIZE_BYTES)?;
    *rest = behind;
    Some(T::read(record))
}
