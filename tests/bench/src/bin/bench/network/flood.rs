//! A thread that sends as many frames into an interface as it can.
#![expect(unsafe_code, reason = "a packet socket and sendmmsg have no safe wrapper")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const BATCH: usize = 64;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Starts to send frames of `size_bytes` bytes.
    pub(super) fn start(interface: &str, size_bytes: usize) -> io::Result<Self> {
        let socket = packet_socket(interface)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut frame = vec![0_u8; size_bytes];
            frame[..6].fill(0xff);
            frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
            while !stopped.load(Ordering::Relaxed) {
                send_batch(&socket, &mut frame);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn packet_socket(interface: &str) -> io::Result<OwnedFd> {
    let name = CString::new(interface)?;
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a C string that lives until the call returns.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(0),
        sll_protocol: 0,
        sll_ifindex: i32::try_from(index).unwrap_or(0),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let size_bytes = u32::try_from(size_of_val(&address)).unwrap_or(0);
    // SAFETY: the address is a whole one of its family.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_bytes) };
    if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// Sends a frame many times with one call. What the interface does not take is lost, as on a wire.
fn send_batch(socket: &OwnedFd, frame: &mut [u8]) {
    let mut part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
    let header = libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    };
    let mut messages = [libc::mmsghdr { msg_hdr: header, msg_len: 0 }; BATCH];
    // SAFETY: each message names one part, which is the borrowed frame; the kernel reads it and writes `msg_len`.
    unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), 64, 0) };
}
