//! The appliance's one stack, and its part in an executor turn.
//!
//! A turn sends what is queued, waits, and receives into buffers that stand ready: `net_send` goes before the wait in the
//! batch, `net_recv` after it. Between staging and completion the buffers belong to the monitor and nothing here touches
//! them; descriptors and buffers live on the heap, in a static, for ever.
#![expect(unsafe_code, reason = "says which receive buffers the monitor has filled")]

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use hvcall::boot::Offloads;
use hvcall::frame::MAX_FRAME_BYTES;
use hvcall::{Call, Events, Frame, MAX_ENTRIES, MAX_NICS, Status};
use spin::{Mutex, MutexGuard, Once};

use super::StaticConfig;
use super::frame::Outgoing;
use super::link::Link;
use super::receive::ReceiveBuffers;
use super::stack::Stack;
use crate::executor::{self, Driver};
use crate::hv::{self, Batch, Slot};
use crate::time::Instant;

/// Frames per call.
#[expect(clippy::cast_possible_truncation, reason = "it is 64")]
const RING: usize = MAX_ENTRIES as usize;
/// With so many frames to send, the wait also ends when the NIC takes more: the host may not take all of them at once, and
/// whether it did is known only after the wait.
const LARGE_BURST: usize = 16;

static NET: Once<Mutex<Net>> = Once::new();
static BAKED: Mutex<heapless::Vec<(usize, StaticConfig), MAX_NICS>> = Mutex::new(heapless::Vec::new());

struct Net {
    stack: Stack,
    rings: Vec<Ring>,
}

/// What one NIC shares with the monitor.
struct Ring {
    /// Frames to send, oldest first, and as many descriptors.
    outgoing: VecDeque<Outgoing>,
    send: Box<[Frame; RING]>,
    send_slot: Option<Slot>,
    /// The NIC took less than it was given.
    blocked: bool,
    buffers: ReceiveBuffers,
    receive_slot: Option<Slot>,
    /// Buffers that hold a frame, the first ones.
    arrived: usize,
    /// The host's device is gone.
    failed: bool,
}

/// Uses the stack. It is made, and put into the executor's turn, the first time.
pub(super) fn with<R>(act: impl FnOnce(&mut Stack) -> R) -> R {
    act(&mut acquire().stack)
}

/// Locks the stack, and tells it the time. Not inlined: it would be, into every operation of every socket.
#[inline(never)]
fn acquire() -> MutexGuard<'static, Net> {
    let mut net = NET.call_once(|| Mutex::new(start())).lock();
    net.stack.now = Instant::now();
    net
}

/// Remembers addresses for [`start`].
pub(super) fn bake(nic: usize, config: StaticConfig) {
    let mut baked = BAKED.lock();
    baked.retain(|(other, _)| *other != nic);
    if baked.push((nic, config)).is_err() {
        log::error!("net: there is no NIC {nic}");
    }
}

#[cold]
#[inline(never)]
fn start() -> Net {
    let now = Instant::now();
    // Peers decide how many connections there are. The other half of the heap is safe from them, so that the appliance does
    // not run out of memory, which would be its end.
    let heap_bytes = crate::boot::info().map_or(0, |info| info.heap_bytes);
    let heap_bytes = usize::try_from(heap_bytes).unwrap_or(usize::MAX);
    let mut stack = Stack::new(crate::entropy::u64, heap_bytes / 2);
    let baked = BAKED.lock();
    let infos = crate::boot::info()
        .map_or(&[][..], |info| info.nics.get(..info.nic_count as usize).unwrap_or_default());
    for (index, info) in infos.iter().enumerate() {
        let config = baked.iter().find(|(nic, _)| *nic == index).map(|(_, config)| config);
        stack.add_nic(info, config, now);
    }
    let rings = stack.nics.iter().map(|nic| Ring::new(&nic.link, heap_bytes)).collect();
    executor::register(&NetDriver);
    Net { stack, rings }
}

impl Ring {
    fn new(link: &Link, heap_bytes: usize) -> Self {
        let uncut = link.offloads.contains(Offloads::SEGMENTATION);
        Self {
            outgoing: VecDeque::with_capacity(RING),
            send: Box::new([Frame::default(); RING]),
            send_slot: None,
            blocked: false,
            buffers: ReceiveBuffers::new(link.mtu, uncut, heap_bytes),
            receive_slot: None,
            arrived: 0,
            failed: false,
        }
    }

    /// Feeds what arrived to the stack.
    fn take_in(&mut self, nic: usize, stack: &mut Stack, now: Instant) -> bool {
        let arrived = core::mem::take(&mut self.arrived);
        // SAFETY: `complete` counted what the monitor filled, and nothing has been staged since.
        for (frame, flags) in unsafe { self.buffers.filled(arrived) } {
            stack.receive(nic, frame, flags, now);
        }
        arrived > 0
    }

    fn stage_send(&mut self, nic: usize, stack: &mut Stack, batch: &mut Batch) -> Events {
        while self.outgoing.len() < RING
            && let Some(frame) = stack.pop_frame(nic)
        {
            self.outgoing.push_back(frame);
        }
        if self.failed {
            self.outgoing.drain(..).for_each(|frame| stack.recycle(nic, frame));
            return Events::empty();
        }
        for (descriptor, frame) in self.send.iter_mut().zip(&mut self.outgoing) {
            let size_bytes = u32::try_from(frame.bytes.len()).unwrap_or(MAX_FRAME_BYTES);
            *descriptor = Frame { address: frame.bytes.as_mut_ptr() as u64, size_bytes, ..frame.descriptor };
        }
        let count = self.outgoing.len();
        if count > 0 {
            let frames = hv::array_of(&self.send[..count]);
            self.send_slot = batch.push(&Call::NetSend { device: nic, frames });
        }
        let wants_room = self.blocked || count >= LARGE_BURST;
        Events::nic_receive(nic) | if wants_room { Events::nic_transmit(nic) } else { Events::empty() }
    }

    fn stage_receive(&mut self, nic: usize, batch: &mut Batch) {
        if self.failed || self.arrived > 0 {
            return;
        }
        let frames = hv::array_of_mut(self.buffers.empty());
        self.receive_slot = batch.push(&Call::NetRecv { device: nic, frames });
    }

    fn complete(&mut self, nic: usize, stack: &mut Stack, batch: &Batch) {
        if let Some(slot) = self.send_slot.take() {
            let sent = match batch.result(slot) {
                Ok(sent) => usize::try_from(sent).unwrap_or(usize::MAX).min(self.outgoing.len()),
                Err(Status::AGAIN) => 0,
                Err(status) => self.fail(nic, status),
            };
            self.outgoing.drain(..sent).for_each(|frame| stack.recycle(nic, frame));
            self.blocked = !self.outgoing.is_empty();
        }
        if let Some(slot) = self.receive_slot.take() {
            self.arrived = match batch.result(slot) {
                Ok(arrived) => usize::try_from(arrived).unwrap_or(0),
                Err(Status::AGAIN) => 0,
                Err(status) => self.fail(nic, status),
            };
        }
    }

    /// The host's device is gone, or the contract is broken: nothing more goes in or out.
    fn fail(&mut self, nic: usize, status: Status) -> usize {
        if !self.failed {
            log::error!("net{nic}: {status}");
            self.failed = true;
        }
        0
    }
}

struct NetDriver;

impl Driver for NetDriver {
    fn poll(&self, now: Instant) -> bool {
        each(|net| {
            let Net { stack, rings } = net;
            let mut worked = false;
            for (nic, ring) in rings.iter_mut().enumerate() {
                worked |= ring.take_in(nic, stack, now);
            }
            // Tasks come before connections are looked at: what they have to say about it leaves with the acknowledgement, and a
            // connection is looked at once, not before and after.
            worked || stack.poll(now)
        })
        .unwrap_or(false)
    }

    fn deadline(&self) -> Instant {
        each(|net| net.stack.deadline()).unwrap_or(Instant::FAR_FUTURE)
    }

    fn stage_output(&self, batch: &mut Batch) -> Events {
        each(|Net { stack, rings }| {
            let staged = rings.iter_mut().enumerate().map(|(nic, ring)| ring.stage_send(nic, stack, batch));
            staged.fold(Events::empty(), |all, events| all | events)
        })
        .unwrap_or_default()
    }

    fn stage_input(&self, batch: &mut Batch) {
        each(|net| {
            for (nic, ring) in net.rings.iter_mut().enumerate() {
                ring.stage_receive(nic, batch);
            }
        });
    }

    fn complete(&self, batch: &Batch) {
        each(|Net { stack, rings }| {
            for (nic, ring) in rings.iter_mut().enumerate() {
                ring.complete(nic, stack, batch);
            }
        });
    }
}

/// Uses the stack and its rings, if there are any yet.
fn each<R>(act: impl FnOnce(&mut Net) -> R) -> Option<R> {
    NET.get().map(|net| act(&mut net.lock()))
}
