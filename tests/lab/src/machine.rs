//! The machine around the program: file systems, KVM's modules, the loopback interface, the end.
#![expect(
    unsafe_code,
    reason = "the loopback interface is brought up, and a virtual machine made, by ioctls"
)]

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, finit_module, reboot};

/// Port on which Bochs takes the word `Shutdown` (Bochs User Manual, section 8.24, "unmapped").
const BOCHS_SHUTDOWN_PORT: u64 = 0x8900;

/// Mounts what the program needs of file systems.
pub(crate) fn mount_all() {
    for (target, kind) in
        [("/dev", "devtmpfs"), ("/proc", "proc"), ("/sys", "sysfs"), ("/tmp", "tmpfs"), ("/dev/shm", "tmpfs")]
    {
        fs::create_dir_all(target).expect("the root file system is writable");
        mount(kind, target, kind, MountFlags::empty(), None).expect("the kernel has this file system");
    }
}

/// Seconds since the kernel started, as text.
pub(crate) fn uptime() -> String {
    let uptime = fs::read_to_string("/proc/uptime").expect("/proc is mounted");
    uptime.split(' ').next().unwrap_or_default().to_owned()
}

/// Loads KVM for this processor and gives the module's name.
pub(crate) fn load_kvm() -> &'static str {
    let processor = fs::read_to_string("/proc/cpuinfo").expect("/proc is mounted");
    let module = if processor.contains("AuthenticAMD") { "kvm-amd" } else { "kvm-intel" };
    for name in ["irqbypass", "kvm", module] {
        let path = format!("/modules/{name}.ko");
        // Not every kernel has `irqbypass` as a module.
        let Ok(file) = File::open(&path) else { continue };
        finit_module(&file, c"", 0).unwrap_or_else(|errno| fail(&format!("{path}: {errno}")));
    }
    module
}

/// Makes a virtual machine with a processor, which nobody ever runs, and keeps it as long as the lab lives. KVM turns
/// virtualisation on with the first machine and off with the last, and the kernel then rewrites code of its own (static keys:
/// `preempt_notifier_inc`, `kvm_has_noapic_vcpu`), after which an emulator translates it anew: half of what a machine costs here. Programs do not inherit it: KVM's descriptors are
/// closed on exec (virt/kvm/kvm_main.c, Linux 6.12).
pub(crate) fn keep_kvm_busy() {
    const KVM_CREATE_VM: libc::Ioctl = 0xae01;
    const KVM_CREATE_VCPU: libc::Ioctl = 0xae41;
    let device = File::open("/dev/kvm").expect("KVM is loaded");
    // SAFETY: the request takes a number, here the usual type of machine, and no pointer.
    let machine = unsafe { libc::ioctl(device.as_raw_fd(), KVM_CREATE_VM, 0) };
    assert!(machine >= 0, "a machine: {}", std::io::Error::last_os_error());
    // SAFETY: the request takes a number, here the processor's, and no pointer.
    let processor = unsafe { libc::ioctl(machine, KVM_CREATE_VCPU, 0) };
    assert!(processor >= 0, "a processor: {}", std::io::Error::last_os_error());
}

fn fail(what: &str) -> ! {
    // On the console, where a failed lab is looked into.
    eprintln!("lab: {what}");
    std::process::abort()
}

/// Brings the loopback interface up.
pub(crate) fn raise_loopback() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("the kernel has IPv4");
    // SAFETY: all zeros is a value of this structure of integers and unions of integers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    const NAME: &CStr = c"lo";
    for (to, &from) in request.ifr_name.iter_mut().zip(NAME.to_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("two low bits");
    // SAFETY: the ioctl reads the request, which lives until it returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    assert_eq!(result, 0, "the loopback interface: {}", std::io::Error::last_os_error());
}

/// Environment variables of the program, a `NAME=VALUE` per line of `/lab/environment`.
pub(crate) fn environment() -> Vec<(String, String)> {
    let text = fs::read_to_string("/lab/environment").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Ends the machine: Bochs by its port, QEMU by a restart, which it is told to take for the end.
pub(crate) fn end() -> ! {
    if let Ok(ports) = OpenOptions::new().write(true).open("/dev/port") {
        for letter in b"Shutdown" {
            // One byte per access: they are ports, not memory. Where there is no such port nothing listens.
            let _ = ports.write_at(&[*letter], BOCHS_SHUTDOWN_PORT);
        }
    }
    // It returns only if it fails, and then PID 1 ends, which stops the kernel.
    let _ = reboot(RebootCommand::Restart);
    std::process::abort()
}
