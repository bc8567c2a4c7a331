//! What the helper makes of one frame, for the fuzzer: decoding, and the answers that need no socket.

use std::io;
use std::os::fd::OwnedFd;

use super::link::Link;
use super::packet::{Packet, decode};
use super::{answer, frame_pair};
use crate::net::tap::VNET_HEADER_BYTES;

/// Room for an answer.
const ANSWER_BYTES: usize = 70_000;

/// A link of its own, whose answers nobody reads.
#[derive(Debug)]
pub struct FrameProbe {
    link: Link,
    guest: OwnedFd,
    answer: Vec<u8>,
}

impl FrameProbe {
    /// A probe.
    ///
    /// # Errors
    /// What the host says.
    pub fn new() -> io::Result<Self> {
        let (helper, guest) = frame_pair()?;
        Ok(Self { link: Link::new(helper), guest, answer: vec![0; ANSWER_BYTES] })
    }

    /// Takes a frame. Says what kind it was, 0 for one that the helper ignores, and how long the answer is.
    pub fn take(&mut self, frame: &[u8]) -> (u32, usize) {
        let Some((source, packet)) = decode(frame) else { return (0, 0) };
        self.link.learn(source);
        let kind = match packet {
            Packet::WhoHas { target, sender } => {
                answer::arp(&mut self.link, target, sender);
                1
            }
            Packet::Solicit { target, source } => {
                answer::neighbour(&mut self.link, target, source);
                2
            }
            Packet::Echo(_) => return (3, 0),
            Packet::Tcp(segment) => {
                return (4 + u32::from(segment.opens) + 2 * u32::from(segment.resets), 0);
            }
            Packet::Udp(datagram) => {
                answer::prohibited(&mut self.link, datagram.key.peer, datagram.packet);
                answer::datagram(
                    &mut self.link,
                    datagram.key,
                    &datagram.payload[..datagram.payload.len().min(1400)],
                );
                8
            }
        };
        let mut len = 0;
        while let Ok(taken @ 1..) = rustix::io::read(&self.guest, &mut *self.answer) {
            len = taken - VNET_HEADER_BYTES.min(taken);
        }
        (kind, len)
    }
}
