//! Disks: files and block devices with positioned reads and writes.
//!
//! Requests are carried out when they are submitted; their completions wait in a queue of fixed size until reaped. The
//! backing file is never mapped, so a file that shrinks under the guest is an error status and not a signal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use hvcall::{Completion, DiskInfo, Gva, Operation, Request, Status, Wire as _, planted};
use rustix::fs::FallocateFlags;

use crate::address::index;

use super::memory::{GuestMemory, Source, Target};
use super::transfer;

const ENTRIES: usize = index(hvcall::MAX_ENTRIES);

/// One disk.
#[derive(Debug)]
pub struct Disk {
    file: File,
    info: DiskInfo,
    completions: heapless::Deque<Completion, ENTRIES>,
    flush_failed: bool,
}

/// A checked request with its memory.
#[derive(Debug)]
enum Job {
    Read(Target),
    Write(Source),
    Flush,
    Discard,
}

impl Disk {
    /// A disk on `file`, whose size and mode the opener has checked against `info`.
    #[must_use]
    pub const fn new(file: File, info: DiskInfo) -> Self {
        Self { file, info, completions: heapless::Deque::new(), flush_failed: false }
    }

    /// What the guest is told.
    #[must_use]
    pub const fn info(&self) -> &DiskInfo {
        &self.info
    }

    /// The descriptor's number, for the sandbox.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Whether a completion waits.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.completions.is_empty()
    }

    /// Carries out the requests described by `descriptors`, as many as there is room for completions.
    ///
    /// # Errors
    /// See [`hvcall::Call::BlockSubmit`].
    pub fn submit(
        &mut self,
        memory: &GuestMemory,
        descriptors: &Source,
        count: usize,
    ) -> Result<u64, Status> {
        let mut copy = [0; ENTRIES * Request::SIZE_BYTES];
        descriptors.copy_to(&mut copy);
        let mut jobs = heapless::Vec::<(Request, Job), ENTRIES>::new();
        for request in copy.chunks_exact(Request::SIZE_BYTES).take(count).map(Request::read) {
            let job = match self.check(memory, &request) {
                Err(_) if planted!(BadEntryEndsRow => true, false) => break,
                job => job?,
            };
            let _ = jobs.push((request, job));
        }
        let mut accepted = 0;
        for (request, job) in &jobs {
            if planted!(CompletionsLost => false, self.completions.is_full()) {
                break;
            }
            let result = self.carry_out(request, job).map_or_else(Status::to_result, |()| 0);
            let _ = self.completions.push_back(Completion { tag: request.tag, result });
            accepted += 1;
        }
        if accepted == 0 && count != 0 { Err(Status::AGAIN) } else { Ok(accepted) }
    }

    /// Writes waiting completions to `room`, at most `count`.
    pub fn reap(&mut self, room: &Target, count: usize) -> u64 {
        let mut written = 0;
        while written < count {
            let Some(completion) = self.completions.pop_front() else { break };
            let mut bytes = [0; Completion::SIZE_BYTES];
            completion.write(&mut bytes);
            room.from_offset(written * Completion::SIZE_BYTES).copy_from(&bytes);
            written += 1;
        }
        written as u64
    }

    fn check(&self, memory: &GuestMemory, request: &Request) -> Result<Job, Status> {
        let (address, size_bytes) = (Gva(request.address), request.data_bytes(&self.info));
        Ok(match request.check(&self.info)? {
            Operation::Read => Job::Read(memory.target(address, size_bytes)?),
            Operation::Write => Job::Write(memory.source(address, size_bytes)?),
            Operation::Flush => Job::Flush,
            Operation::Discard => Job::Discard,
        })
    }

    fn carry_out(&mut self, request: &Request, job: &Job) -> Result<(), Status> {
        // Within the disk by `Request::check`, and the opener refused disks of more than 2^63 bytes.
        let position = request.sector.saturating_mul(u64::from(self.info.sector_bytes));
        let fd = self.file.as_fd();
        let result = match job {
            Job::Read(target) => transfer::read_at(fd, target, position),
            Job::Write(source) => transfer::write_at(fd, source, position),
            Job::Flush => return self.flush(),
            Job::Discard => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(fd, flags, position, request.data_bytes(&self.info)).map_err(Into::into)
            }
        };
        result.map_err(|error| status_of(&error))
    }

    /// After one flush failed, the kernel may have dropped the data and will report success next time (fsync(2), "EIO"), so no
    /// later flush of this machine claims it.
    fn flush(&mut self) -> Result<(), Status> {
        if !self.flush_failed && rustix::fs::fdatasync(&self.file).is_err() {
            self.flush_failed = true;
        }
        if self.flush_failed { Err(Status::IO) } else { Ok(()) }
    }
}

fn status_of(error: &io::Error) -> Status {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Status::NOSPC,
        _ => Status::IO,
    }
}
