//! Breaches of the hypercall contract, and other use of the gate than the library's.
#![expect(unsafe_code, reason = "the crash is the purpose")]

use core::arch::asm;
use core::hint::black_box;

use guest::hv;
use guest::hvcall::{Events, Nr};

unsafe extern "C" {
    /// The gate page of the guest library.
    fn ringwall_gate();
}

/// Makes a call with registers of the caller's choice.
#[inline(never)]
pub(crate) fn raw_call(nr: u64, arguments: [u64; 6]) -> i64 {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: i64;
    // SAFETY: the gate changes RAX, RCX and R11, and what the call says. Which calls are made here, with what, is the purpose of this
    // appliance: all are refused, or name memory of their own.
    unsafe {
        asm!(
            "call {gate}",
            gate = sym ringwall_gate,
            inlateout("rax") nr => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Executes an OUT to the port that the port gate uses, but not in the gate.
#[inline(never)]
pub(crate) fn out_beside_the_gate() {
    // SAFETY: none, the crash is the purpose. RAX names a harmless call, `clock`.
    unsafe {
        asm!("out 0x7e, al", inout("rax") u64::from(Nr::Clock as u32) => _, in("rdi") 0, out("rcx") _, out("r11") _);
    }
}

/// Executes AMD's hypercall instruction, but not in the gate.
#[inline(never)]
pub(crate) fn vmmcall_beside_the_gate() {
    // SAFETY: none, the crash is the purpose. RAX names a harmless call, `clock`.
    unsafe {
        asm!("vmmcall", inout("rax") u64::from(Nr::Clock as u32) => _, in("rdi") 0, out("rcx") _, out("r11") _);
    }
}

/// Executes SYSCALL, but not in the gate. Linux takes 39 for `getpid`; 336 is `uprobe`, which its filters do not see.
#[inline(never)]
pub(crate) fn syscall_beside_the_gate(number: u64) {
    // SAFETY: none, the crash is the purpose. Neither number changes anything.
    unsafe { asm!("syscall", inout("rax") number => _, in("rdi") 0, out("rcx") _, out("r11") _) };
}

/// Executes Intel's hypercall instruction, but not in the gate.
#[inline(never)]
pub(crate) fn vmcall_beside_the_gate() {
    // SAFETY: none, the crash is the purpose. RAX names a harmless call, `clock`.
    unsafe {
        asm!("vmcall", inout("rax") u64::from(Nr::Clock as u32) => _, in("rdi") 0, out("rcx") _, out("r11") _);
    }
}

/// Where the gate's page is padding on every host: behind the longest trap and its return.
const PADDING: usize = 32;

/// Calls padding of the gate's page.
#[inline(never)]
pub(crate) fn call_padding_of_gate() {
    let padding = (ringwall_gate as unsafe extern "C" fn() as usize).wrapping_add(PADDING);
    // SAFETY: none: whatever lies there on this host is executed.
    unsafe {
        asm!("call {padding}", padding = in(reg) padding, inout("rax") u64::from(Nr::Clock as u32) => _, in("rdi") 0,
            clobber_abi("C"));
    }
}

/// Ends with a status that does not exist.
#[inline(never)]
pub(crate) fn exit_with_bad_status() {
    black_box(raw_call(u64::from(Nr::Exit as u32), [77, 0, 0, 0, 0, 0]));
}

/// Sleeps again and again, whatever the host wants.
#[inline(never)]
pub(crate) fn wait_for_ever() {
    loop {
        // Whatever it says is ignored: that is the purpose.
        let _ = hv::wait(u64::MAX, Events::empty());
    }
}
