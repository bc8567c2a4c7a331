//! Bare frames, without the network stack: what the boundary itself can carry.
#![expect(unsafe_code, reason = "makes hypercalls that name memory")]

use alloc::vec;
use alloc::vec::Vec;

use guest::hv::{self, Batch};
use guest::hvcall::{Call, Events, Frame, MAX_ENTRIES, Status};
use guest::time::Instant;

const NIC: usize = 0;
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
const BATCH: usize = MAX_ENTRIES as usize;
/// Calls per trap, of up to [`BATCH`] frames each.
const CALLS: usize = 8;
/// Holds a frame of the usual MTU, its Ethernet header included.
const BUFFER_BYTES: usize = 2048;

/// Sends `count` frames of `size_bytes` bytes to everybody, with an EtherType that is for experiments (IEEE 802, 0x88b5).
pub(crate) fn send(size_bytes: u64, count: u64) -> Result<(), ()> {
    let size_bytes = usize::try_from(size_bytes).unwrap_or(0).clamp(14, BUFFER_BYTES);
    let mut frame = vec![0_u8; size_bytes];
    frame[..6].fill(0xff);
    frame[6] = 2;
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    let frames = vec![Frame::plain(frame.as_ptr() as u64, u32::try_from(size_bytes).unwrap_or(60)); BATCH];
    let started = Instant::now();
    let mut sent = 0;
    while sent < count {
        sent += run(&Call::Wait { deadline_ns: u64::MAX, interest: Events::nic_transmit(NIC) }, || {
            Call::NetSend { device: NIC, frames: hv::array_of(&frames) }
        })?;
    }
    report(sent, started);
    Ok(())
}

/// Receives frames for `milliseconds`, counted from the first one.
pub(crate) fn receive(milliseconds: u64) -> Result<(), ()> {
    let mut buffers = vec![0_u8; BATCH * BUFFER_BYTES];
    let mut frames = vec![Frame::default(); CALLS * BATCH];
    guest::println!("traffic: receiving");
    let mut started: Option<Instant> = None;
    let mut received = 0;
    while started.is_none_or(|at| Instant::now().as_ns() < at.as_ns() + milliseconds * 1_000_000) {
        // Every call fills the same buffers, whose contents nobody reads.
        for row in frames.chunks_exact_mut(BATCH) {
            for (frame, buffer) in row.iter_mut().zip(buffers.chunks_exact_mut(BUFFER_BYTES)) {
                *frame = Frame::plain(buffer.as_mut_ptr() as u64, u32::try_from(BUFFER_BYTES).unwrap_or(0));
            }
        }
        let mut rows = frames.chunks_exact_mut(BATCH);
        let interest = Events::nic_receive(NIC);
        received += run(&Call::Wait { deadline_ns: u64::MAX, interest }, || Call::NetRecv {
            device: NIC,
            frames: hv::array_of_mut(rows.next().unwrap_or_default()),
        })?;
        started.get_or_insert_with(Instant::now);
    }
    report(received, started.unwrap_or_default());
    Ok(())
}

/// A wait and then calls that move frames, in one trap. Says how many frames went.
fn run(wait: &Call, mut moves: impl FnMut() -> Call) -> Result<u64, ()> {
    let mut batch = Batch::default();
    let _slot = batch.push(wait);
    let slots: Vec<_> = (0..CALLS).filter_map(|_| batch.push(&moves())).collect();
    // SAFETY: the calls name frames and buffers of the caller's, which it leaves alone until this returns.
    unsafe { batch.run() }.map_err(|status| guest::println!("traffic: {status}"))?;
    let mut moved = 0;
    for slot in slots {
        match batch.result(slot) {
            Ok(count) => moved += count,
            Err(Status::AGAIN) => {}
            Err(status) => {
                guest::println!("traffic: {status}");
                return Err(());
            }
        }
    }
    Ok(moved)
}

fn report(frames: u64, started: Instant) {
    guest::println!("traffic: {frames} frames in {} ns", Instant::now().duration_since(started).as_nanos());
}
