//! Frames as a hostile guest makes them, and a look at what arrives on a network.
#![expect(unsafe_code, reason = "packet sockets, and descriptors that another program inherits")]

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// An Ethernet frame.
#[must_use]
pub fn ethernet(to: [u8; 6], from: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet whose header `change` has changed before its checksum was made.
#[must_use]
pub fn ipv4(
    from: [u8; 4],
    to: [u8; 4],
    protocol: u8,
    payload: &[u8],
    change: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let size_bytes = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut header = vec![0x45, 0, size_bytes[0], size_bytes[1], 0, 7, 0, 0, 64, protocol, 0, 0];
    header.extend(from);
    header.extend(to);
    change(&mut header);
    let sum = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(0);
    header[10..12].copy_from_slice(&(!sum).to_be_bytes());
    [&header[..], payload].concat()
}

/// An IPv6 packet.
#[must_use]
pub fn ipv6(from: [u8; 16], to: [u8; 16], next_header: u8, payload: &[u8]) -> Vec<u8> {
    let size_bytes = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0x60, 0, 0, 0, size_bytes[0], size_bytes[1], next_header, 255][..], &from, &to, payload].concat()
}

/// A TCP segment without options, and without a checksum: nobody needs to take it.
#[must_use]
pub fn tcp(from: u16, to: u16, flags: u8, data: &[u8]) -> Vec<u8> {
    [
        &from.to_be_bytes()[..],
        &to.to_be_bytes(),
        &[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 255, 255, 0, 0, 0, 0],
        data,
    ]
    .concat()
}

/// A UDP datagram without a checksum.
#[must_use]
pub fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let size_bytes = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &size_bytes.to_be_bytes(), &[0, 0], data].concat()
}

/// As an argument.
#[must_use]
pub fn hexadecimal(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A link for `--net fd:N`: the end for the test, and the one whose number the program is told. The second is inherited by it.
///
/// # Panics
/// If there are no descriptors.
#[must_use]
pub fn link() -> (OwnedFd, OwnedFd) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket pair");
    // Only once it is there: a program that another test starts at this moment would inherit both ends.
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).expect("an open descriptor");
    (ours, theirs)
}

/// Everything that guests put on the interfaces of this network, as a packet socket sees it.
#[derive(Debug)]
pub struct Wire(OwnedFd);

impl Wire {
    /// Listens from now on.
    ///
    /// # Panics
    /// If this user may not.
    #[must_use]
    pub fn tap() -> Self {
        let every_protocol = i32::from(0x0003_u16.to_be());
        // SAFETY: makes a socket; no pointer is involved.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                every_protocol,
            )
        };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor was just made and has no other owner.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The next frame that came from a guest, if there is one.
    ///
    /// # Panics
    /// If the socket fails.
    #[must_use]
    pub fn next(&self) -> Option<Vec<u8>> {
        /// `PACKET_OUTGOING` (include/uapi/linux/if_packet.h): this host's own frames.
        const OUTGOING: u8 = 4;
        loop {
            let mut frame = vec![0_u8; 70_000];
            // SAFETY: all zeros is a value of this structure of integers.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut from_bytes = libc::socklen_t::try_from(size_of_val(&from)).unwrap_or(0);
            // SAFETY: writes at most the buffer's length to the buffer, and at most `from_bytes` bytes to `from`.
            let taken = unsafe {
                libc::recvfrom(
                    self.0.as_raw_fd(),
                    frame.as_mut_ptr().cast(),
                    frame.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut from_bytes,
                )
            };
            match usize::try_from(taken) {
                Ok(_) if from.sll_pkttype == OUTGOING => {}
                Ok(taken) => {
                    frame.truncate(taken);
                    return Some(frame);
                }
                Err(_) => {
                    let error = std::io::Error::last_os_error();
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                    return None;
                }
            }
        }
    }
}
