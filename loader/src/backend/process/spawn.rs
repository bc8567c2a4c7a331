//! Making the guest's process, up to the moment before its first instruction.
#![expect(unsafe_code, reason = "maps pages at chosen addresses, and forks into them")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::thread::futex;

use super::init::{self, INIT_BYTES, Init, NO_LISTENER, TASK_END};
use super::{ProcessError, ProcessVcpu, rseq};
use crate::address::{PAGE_BYTES, index, page_ceil};
use crate::layout::{Gate, Plan};
use crate::memory::{SealedMemory, WritableMemory};
use crate::monitor::memory::GuestMemory;

/// How often a wait for the new process looks whether it is dead. It normally takes a tenth of a millisecond.
const PATIENCE: Duration = Duration::from_millis(20);

/// Size of a fault stack that holds any signal frame of this host, with room for the monitor's own use of it before the first.
#[must_use]
pub fn fault_stack_bytes() -> u64 {
    /// `AT_MINSIGSTKSZ` (include/uapi/linux/auxvec.h).
    const MINSIGSTKSZ: libc::c_ulong = 51;
    // SAFETY: looks a number up; 0 if the kernel does not give it.
    let minimum = unsafe { libc::getauxval(MINSIGSTKSZ) };
    page_ceil(minimum.max(2048)).unwrap_or(PAGE_BYTES) + PAGE_BYTES
}

fn step(step: &'static str) -> impl Fn(io::Error) -> ProcessError {
    move |source| ProcessError::Step { step, source }
}

/// Addresses of this process that are kept free for the init pages.
#[derive(Debug)]
pub struct Reservation {
    base: u64,
}

impl Reservation {
    /// Reserves what a plan needs, or `None` if something is mapped there already: then it takes another plan.
    ///
    /// # Errors
    /// [`ProcessError::Step`] if the host refuses.
    pub fn new(plan: &Plan) -> Result<Option<Self>, ProcessError> {
        let base = init::base(plan);
        let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
        let address = std::ptr::without_provenance_mut(index(base));
        // SAFETY: a mapping that replaces no other.
        let mapped =
            unsafe { rustix::mm::mmap_anonymous(address, index(INIT_BYTES), ProtFlags::empty(), flags) };
        match mapped {
            Ok(_) => Ok(Some(Self { base })),
            Err(rustix::io::Errno::EXIST) => Ok(None),
            Err(errno) => Err(step("reserving addresses")(errno.into())),
        }
    }

    /// Puts the init pages there.
    fn fill(&self, content: &[u8]) -> Result<(), ProcessError> {
        let pages = SealedMemory::new(index(INIT_BYTES), [(0, content)])
            .map_err(step("memory for its first code"))?;
        let address = std::ptr::without_provenance_mut(index(self.base));
        let (access, flags) = (ProtFlags::READ | ProtFlags::EXEC, MapFlags::SHARED | MapFlags::FIXED);
        // SAFETY: replaces this reservation, which holds nothing.
        let mapped = unsafe { rustix::mm::mmap(address, index(INIT_BYTES), access, flags, pages.file(), 0) };
        mapped.map(drop).map_err(|errno| step("mapping its first code")(errno.into()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let address = std::ptr::without_provenance_mut(index(self.base));
        // SAFETY: unmaps what this value has mapped; no pointer into it was ever given out.
        let unmapped = unsafe { rustix::mm::munmap(address, index(INIT_BYTES)) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Everything that the process needs, before there is one.
#[derive(Debug)]
pub struct Launch {
    reservation: Reservation,
    init: Init,
    sites: [u64; 2],
    gate: Gate,
}

impl Launch {
    /// Prepares a process for a plan over its memory, and writes there what it will find.
    ///
    /// # Errors
    /// [`ProcessError`] if the host refuses, or `memory` is not shared.
    pub fn new(
        plan: &Plan,
        gate: Gate,
        reservation: Reservation,
        memory: &mut GuestMemory,
    ) -> Result<Self, ProcessError> {
        let not_shared = || step("guest memory")(io::ErrorKind::Unsupported.into());
        let writable = memory.writable().file().ok_or_else(not_shared)?;
        let init = Init::new(plan, &gate, memory.sealed().file(), writable);
        reservation.fill(&init.content)?;
        for (offset, bytes) in init.prepared.iter().chain([&init.stack]) {
            memory.writable_mut().fill(index(*offset), bytes);
        }
        Ok(Self { reservation, init, sites: init::sites(plan, &gate), gate })
    }

    /// Keeps this process's memory out of every process that it makes from now on, but for what the guest's process needs: there is
    /// nothing to copy then, and nothing to take away there. Not for a process that forks anything else.
    pub fn share_nothing(&self) {
        let all = std::ptr::without_provenance_mut(index(PAGE_BYTES));
        // SAFETY: advice about processes to come, which changes nothing in this one.
        let refused =
            unsafe { rustix::mm::madvise(all, index(TASK_END - PAGE_BYTES), Advice::LinuxDontFork) };
        // It means that there are gaps, and comes in the end. If anything is left for the new process, that takes it away by itself.
        debug_assert_eq!(refused, Err(rustix::io::Errno::NOMEM));
        let init = std::ptr::without_provenance_mut(index(self.reservation.base));
        // SAFETY: as above.
        let _ = unsafe { rustix::mm::madvise(init, index(INIT_BYTES), Advice::LinuxDoFork) };
    }

    /// Makes the process and waits until it asks for its last step. `memory` is the writable half of what [`Launch::new`] was
    /// given, and the descriptors of both halves are still open.
    ///
    /// # Errors
    /// [`ProcessError`] if the host refuses, or the process ends instead.
    pub fn start(self, memory: &mut WritableMemory) -> Result<ProcessVcpu, ProcessError> {
        rseq::unregister()?;
        let pid = fork_into(self.reservation.base).map_err(step("fork"))?;
        let child = Child(pid);
        let listener = self.listener(pid, memory)?;
        let flags: libc::c_ulong = 1;
        // SAFETY: `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` (include/uapi/linux/seccomp.h) as a value. Kernels before 6.6 refuse it, and
        // are slower.
        let _ = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) };
        while !super::admit::is_readable(listener.as_fd(), PATIENCE) {
            self.check(pid)?;
        }
        let mut vcpu = ProcessVcpu::new(listener, child, self.gate, self.sites);
        if !vcpu.admit(self.reservation.base, INIT_BYTES) {
            return Err(ProcessError::Lost);
        }
        for (offset, bytes) in &self.init.prepared {
            memory.fill(index(*offset), &vec![0; bytes.len()]);
        }
        Ok(vcpu)
    }

    /// Waits for the number of the listener, which the process puts into shared memory. It shares our descriptors until then.
    fn listener(&self, pid: Pid, memory: &WritableMemory) -> Result<OwnedFd, ProcessError> {
        let offset = index(self.init.listener_offset);
        assert!(offset + size_of::<AtomicU32>() <= memory.size_bytes() && offset.is_multiple_of(4));
        // SAFETY: within the memory by the assertion.
        let word = unsafe { memory.base().add(offset) }.cast::<AtomicU32>();
        // SAFETY: aligned, as the memory begins with a page; it lives for this function, and both processes treat it as atomic.
        let word = unsafe { word.as_ref() };
        loop {
            let number = word.load(Ordering::Acquire);
            if number != NO_LISTENER {
                let number = number.cast_signed();
                if number < 0 {
                    let _ = waitpid(pid, None);
                    return Err(ProcessError::filter(-number));
                }
                // SAFETY: the kernel has just made it in the table that both processes share, and nobody else knows of it.
                return Ok(unsafe { OwnedFd::from_raw_fd(number) });
            }
            let patience = rustix::event::Timespec::try_from(PATIENCE).ok();
            if futex::wait(word, futex::Flags::empty(), NO_LISTENER, patience.as_ref())
                == Err(rustix::io::Errno::TIMEDOUT)
            {
                self.check(pid)?;
            }
        }
    }

    /// Whether the process still lives.
    fn check(&self, pid: Pid) -> Result<(), ProcessError> {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => Ok(()),
            Ok(WaitStatus::Exited(_, position)) => {
                let step = usize::try_from(position).ok().and_then(|position| self.init.steps.get(position));
                Err(ProcessError::Init { step: step.map_or("something", |&call| name(call)) })
            }
            _ => Err(ProcessError::Lost),
        }
    }
}

impl ProcessVcpu {
    /// The guest's process.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.child.0
    }
}

/// A child process, which does not outlive this value.
#[derive(Debug)]
pub(super) struct Child(Pid);

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended, and been waited for, already.
        let _ = nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

/// Makes a process that shares our descriptors and has nothing to run but the init pages. It dies with us.
fn fork_into(init: u64) -> io::Result<Pid> {
    let own = nix::unistd::getpid().as_raw();
    let result: i64;
    // SAFETY: the init pages hold a function that forks and returns here in this process only, with the registers of a system call
    // changed and R13 as it was. The new process never leaves those pages, and needs neither stack nor state of this program.
    unsafe {
        std::arch::asm!(
            "call {init}",
            init = in(reg) init,
            in("r13") own,
            out("rax") result,
            out("rdi") _, out("rsi") _, out("rdx") _, out("r10") _, out("r8") _, out("rcx") _, out("r11") _,
        );
    }
    match i32::try_from(result) {
        Ok(pid @ 1..) => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::from_raw_os_error(i32::try_from(-result).unwrap_or(0))),
    }
}

/// Name of a system call of the table.
const fn name(call: i64) -> &'static str {
    match call {
        libc::SYS_prctl => "prctl",
        libc::SYS_munmap => "munmap",
        libc::SYS_mmap => "mmap",
        libc::SYS_sigaltstack => "sigaltstack",
        libc::SYS_rt_sigaction => "rt_sigaction",
        libc::SYS_rt_sigprocmask => "rt_sigprocmask",
        libc::SYS_arch_prctl => "arch_prctl",
        libc::SYS_seccomp => "seccomp",
        libc::SYS_futex => "futex",
        libc::SYS_close_range => "close_range",
        _ => "something",
    }
}
