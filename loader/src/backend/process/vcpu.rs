//! The guest's process as a vCPU: receive a notification, answer it.
#![expect(unsafe_code, reason = "ioctls and ppoll take pointers")]

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use hvcall::{Gva, RawCall, Wire as _};
use libc::{seccomp_data, seccomp_notif, seccomp_notif_resp};

use super::spawn::Child;
use crate::layout::Gate;
use crate::monitor::memory::GuestMemory;
use crate::monitor::vcpu::{Exception, Registers, Trap, Vcpu, VcpuError};

/// The ioctls of a running guest's listener.
pub const IOCTLS: [u64; 2] = [libc::SECCOMP_IOCTL_NOTIF_RECV, libc::SECCOMP_IOCTL_NOTIF_SEND];
// include/uapi/linux/seccomp.h: `_IOWR('!', 0, struct seccomp_notif)`, `_IOWR('!', 1, struct seccomp_notif_resp)`.
static_assertions::const_assert_eq!(libc::SECCOMP_IOCTL_NOTIF_RECV, 0xc050_2100);
static_assertions::const_assert_eq!(libc::SECCOMP_IOCTL_NOTIF_SEND, 0xc018_2101);

/// Offset of the general registers in `ucontext_t` (arch/x86/include/uapi/asm/sigcontext.h, include/uapi/asm-generic/ucontext.h).
const REGISTERS_OFFSET: u64 = 40;
/// Words there: 16 general registers, RIP, RFLAGS, selectors, error code, vector, mask, CR2.
const CONTEXT_WORDS: usize = 23;

/// A guest's process.
#[derive(Debug)]
pub struct ProcessVcpu {
    listener: OwnedFd,
    _child: Child,
    gate: Gate,
    /// Where system calls return to: the gate's, the handlers'.
    sites: [u64; 2],
    call: seccomp_data,
    answer: Option<seccomp_notif_resp>,
    /// What to wait for besides notifications, on kernels that do not say on the listener that a guest is gone.
    signals: Option<RawFd>,
}

impl ProcessVcpu {
    pub(super) const fn new(listener: OwnedFd, child: Child, gate: Gate, sites: [u64; 2]) -> Self {
        Self { listener, _child: child, gate, sites, call: NO_CALL, answer: None, signals: None }
    }

    /// Takes the process's request to unmap its init pages, the last that it makes itself. The first entry will grant it.
    pub(super) fn admit(&mut self, base: u64, size_bytes: u64) -> bool {
        let expected = self.receive().is_ok()
            && i64::from(self.call.nr) == libc::SYS_munmap
            && self.call.instruction_pointer == self.sites[0]
            && self.call.args[..2] == [base, size_bytes];
        if let Some(answer) = &mut self.answer {
            answer.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(0);
        }
        expected
    }

    /// Waits on `signals`, the signalfd that gets SIGCHLD, as well as on the listener, if this kernel needs it: since Linux 6.11 a wait
    /// for notifications ends when there is nobody left to send one.
    pub fn watch_signals(&mut self, signals: RawFd) {
        if !ends_by_itself(rustix::system::uname().release().to_str().unwrap_or_default()) {
            self.signals = Some(signals);
        }
    }

    /// The descriptor, for the sandbox.
    #[must_use]
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Takes the next notification, and prepares its answer.
    fn receive(&mut self) -> Result<(), i32> {
        let mut notification = seccomp_notif { id: 0, pid: 0, flags: 0, data: NO_CALL };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification)?;
        self.call = notification.data;
        self.answer = Some(seccomp_notif_resp { id: notification.id, val: 0, error: 0, flags: 0 });
        Ok(())
    }

    fn ioctl<T>(&self, request: libc::Ioctl, argument: *mut T) -> Result<(), i32> {
        // SAFETY: both ioctls read or write one structure of their own type at the pointer (seccomp_unotify(2)), which is what the two
        // callers pass.
        match unsafe { libc::ioctl(self.listener.as_raw_fd(), request, argument) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        }
    }
}

const NO_CALL: seccomp_data = seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };

/// Whether this kernel release is 6.11 or newer. One that does not look like a release is taken for old.
fn ends_by_itself(release: &str) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 11),
        _ => false,
    }
}

/// Events of descriptors: as ppoll, with none for what cannot be waited for.
fn poll<const N: usize>(fds: [RawFd; N], timeout: Option<Duration>) -> [i16; N] {
    let mut fds = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().cast_signed(),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: an array of that many entries, a timeout that is null or valid, and no signal mask.
    let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), N as u64, timeout, std::ptr::null()) };
    if ready > 0 { fds.map(|fd| fd.revents) } else { [0; N] }
}

/// Whether a notification waits, or comes in time.
pub(super) fn is_readable(listener: BorrowedFd<'_>, timeout: Duration) -> bool {
    poll([listener.as_raw_fd()], Some(timeout))[0] & libc::POLLIN != 0
}

impl Vcpu for ProcessVcpu {
    fn enter(&mut self) -> Result<Trap, VcpuError> {
        if let Some(mut answer) = self.answer.take() {
            match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) {
                // ENOENT: it has been killed meanwhile. The next wait will tell.
                Ok(()) | Err(libc::ENOENT) => {}
                Err(errno) => return Err(VcpuError::Run { errno }),
            }
        }
        loop {
            if let Some(signals) = self.signals {
                let [called, signalled] = poll([self.listener.as_raw_fd(), signals], None);
                if signalled != 0 {
                    return Ok(Trap::Interrupted);
                }
                if called & libc::POLLIN == 0 {
                    continue;
                }
            }
            match self.receive() {
                Ok(()) => break,
                Err(libc::EINTR) => {}
                // Of a killed guest's call, or for want of a guest.
                Err(libc::ENOENT) => {
                    if poll([self.listener.as_raw_fd()], Some(Duration::ZERO))[0] & libc::POLLHUP != 0 {
                        return Ok(Trap::Killed);
                    }
                }
                Err(errno) => return Err(VcpuError::Run { errno }),
            }
        }
        let ip = self.call.instruction_pointer;
        if ip == self.sites[1] {
            return Ok(Trap::Exception);
        }
        let call = RawCall { nr: u64::from(self.call.nr.cast_unsigned()), arguments: self.call.args };
        Ok(Trap::Gate { site: self.gate.site(ip), call })
    }

    fn set_result(&mut self, result: i64) {
        if let Some(answer) = &mut self.answer {
            answer.val = result;
        }
    }

    /// What a notification has: the registers of a call. The others are 0.
    fn registers(&self) -> Registers {
        let [rdi, rsi, rdx, r10, r8, r9] = self.call.args;
        let rax = u64::from(self.call.nr.cast_unsigned());
        Registers {
            general: [rax, 0, 0, rdx, rsi, rdi, 0, 0, r8, r9, r10, 0, 0, 0, 0, 0],
            rip: self.call.instruction_pointer,
            rflags: 0,
        }
    }

    fn exception(&self, memory: &GuestMemory, _vector: u8) -> Exception {
        // RDX of a signal handler points to what the kernel saved (sigaction(2)).
        let context = Gva(self.call.args[2].saturating_add(REGISTERS_OFFSET));
        let Some(bytes) = memory.on_fault_stack::<{ CONTEXT_WORDS * 8 }>(context) else {
            return Exception { registers: self.registers(), ..Exception::default() };
        };
        let [
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rdi,
            rsi,
            rbp,
            rbx,
            rdx,
            rax,
            rcx,
            rsp,
            rip,
            rflags,
            _cs,
            error_code,
            vector,
            _mask,
            fault_address,
        ] = <[u64; CONTEXT_WORDS]>::read(&bytes);
        let general = [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15];
        let registers = Registers { general, rip, rflags };
        Exception { vector: u8::try_from(vector).unwrap_or(0), error_code, fault_address, registers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_leave_a_monitor_waiting_are_known() {
        for old in ["5.19.0", "6.1.0-44-amd64", "6.8.0-generic", "6.10.14", "", "x.y"] {
            assert!(!ends_by_itself(old), "{old}");
        }
        for new in ["6.11.0", "6.12-rc1", "6.18.44-fc", "7.0"] {
            assert!(ends_by_itself(new), "{new}");
        }
    }
}
