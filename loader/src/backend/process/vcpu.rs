//! The guest's process as a vCPU: receive a notification, answer it.
#![expect(unsafe_code, reason = "ioctls take pointers, and a descriptor is named by number")]

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use hvcall::{Gva, RawCall, Wire as _};
use libc::{seccomp_data, seccomp_notif, seccomp_notif_resp};
use rustix::event::{PollFd, PollFlags};

use super::spawn::Child;
use crate::layout::Gate;
use crate::layout::gate::GATE_FAULT;
use crate::monitor::memory::GuestMemory;
use crate::monitor::vcpu::{Exception, Registers, Trap, Vcpu, VcpuError};
use crate::monitor::wait;

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
    pub(super) listener: OwnedFd,
    pub(super) child: Child,
    pub(super) gate: Gate,
    /// Where system calls return to: the gate's, the handlers'.
    pub(super) sites: [u64; 2],
    pub(super) call: seccomp_data,
    pub(super) answer: Option<seccomp_notif_resp>,
    /// What to wait for besides notifications, on kernels that do not say on the listener that a guest is gone.
    pub(super) signals: Option<RawFd>,
}

impl ProcessVcpu {
    /// Takes the next notification, and prepares its answer.
    pub(super) fn receive(&mut self) -> Result<(), i32> {
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

pub(super) const NO_CALL: seccomp_data =
    seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };

/// What descriptors that are waited for have to say: nothing if the time was over first.
fn poll<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout_ns: Option<u64>,
) -> Result<[PollFlags; N], VcpuError> {
    let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    wait::poll(&mut fds, timeout_ns).map_err(|errno| VcpuError::Run { errno: errno.raw_os_error() })?;
    Ok(fds.map(|fd| fd.revents()))
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
                // SAFETY: the monitor that owns this vCPU owns the signalfd as well, and keeps it open.
                let signals = unsafe { BorrowedFd::borrow_raw(signals) };
                let [called, signalled] = poll([self.listener.as_fd(), signals], None)?;
                if !signalled.is_empty() {
                    return Ok(Trap::Interrupted);
                }
                if !called.contains(PollFlags::IN) {
                    if called.contains(PollFlags::HUP) { return Ok(Trap::Killed) } else { continue }
                }
            }
            match self.receive() {
                Ok(()) => break,
                Err(libc::EINTR) => {}
                // Of a killed guest's call, or for want of a guest.
                Err(libc::ENOENT) => {
                    let [called] = poll([self.listener.as_fd()], Some(0))?;
                    if called.contains(PollFlags::HUP) {
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

    /// A call carries six registers only. The answer to it that no call has makes the gate fault, and its handler reports them all.
    fn registers(&mut self, memory: &GuestMemory) -> Option<Registers> {
        let rax = u64::from(self.call.nr.cast_unsigned());
        self.answer.as_mut()?.val = GATE_FAULT;
        let Ok(Trap::Exception) = self.enter() else { return None };
        let mut registers = self.context(memory)?.registers;
        registers.general[0] = rax;
        Some(registers)
    }

    fn exception(&self, memory: &GuestMemory, _vector: u8) -> Exception {
        self.context(memory).unwrap_or_default()
    }
}

impl ProcessVcpu {
    /// What the kernel saved for the signal handler that has trapped.
    fn context(&self, memory: &GuestMemory) -> Option<Exception> {
        // RDI of a handler is the signal, RDX points to what the kernel saved (sigaction(2)).
        let [signal, _, context, ..] = self.call.args;
        let bytes =
            memory.on_fault_stack::<{ CONTEXT_WORDS * 8 }>(Gva(context.saturating_add(REGISTERS_OFFSET)))?;
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
        let refused = signal == u64::from(libc::SIGSYS.cast_unsigned());
        let vector = (!refused).then_some(u8::try_from(vector).unwrap_or(0));
        Some(Exception { vector, error_code, fault_address, registers })
    }
}
