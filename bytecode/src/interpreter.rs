//! From operations to memory writes and calls: the same code in the harness and in the guest.

use hvcall::{CallEntry, Frame, MAX_ENTRIES, MAX_NICS, Nr, RawCall, Request, Wire};

use crate::{Count, Invocation, MAX_OPS, Number, Op, Place, Reader, Table, Target, World};

/// The memory of the machine that runs a program.
pub trait Memory {
    /// Writes bytes that the program may write by itself: the interpreter has looked them up.
    fn write(&mut self, address: u64, bytes: &[u8]);

    /// Reads bytes of the same kind.
    fn read(&self, address: u64, bytes: &mut [u8]);
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The guest makes this call.
    Call(RawCall),
    /// This happens outside the guest, which knows nothing of it.
    World(World),
}

/// Where a program stands.
#[derive(Clone, Copy, Debug)]
pub struct Interpreter<'a> {
    reader: Reader<'a>,
    ops_left: usize,
    array: u64,
    put: u64,
    put_bytes: u64,
    batch: u64,
    queued: u64,
    last: RawCall,
}

impl<'a> Interpreter<'a> {
    /// Begins a program. Descriptors and batches go to region 0 until the program says otherwise.
    #[must_use]
    pub fn new(program: &'a [u8], table: &Table<'_>) -> Self {
        let region = table.region(0);
        Self {
            reader: Reader::new(program),
            ops_left: MAX_OPS,
            array: region.start,
            put: 0,
            put_bytes: 0,
            batch: region.start.wrapping_add((region.size_bytes / 2) & !7),
            queued: 0,
            last: RawCall::default(),
        }
    }

    /// Goes on to the next call or outside event; `None` at the program's end.
    ///
    /// No call that comes out of here sleeps: deadlines are set to the past, in registers and in the array of a `multicall`.
    pub fn next(&mut self, table: &Table<'_>, memory: &mut impl Memory) -> Option<Step> {
        while self.ops_left > 0 {
            self.ops_left -= 1;
            match Op::decode(&mut self.reader)? {
                Op::Array(at) => (self.array, self.put, self.put_bytes) = (at.address(table), 0, 0),
                Op::Frame { buffer, size, offload } => {
                    let bytes = size.bytes(buffer, table);
                    let frame = frame(buffer.address(table), bytes, offload);
                    self.put(table, memory, &frame);
                }
                Op::Request { operation, sector, data, sectors } => {
                    let request = request(operation, sector, data.address(table), sectors, self.put);
                    self.put(table, memory, &request);
                }
                Op::Fill { at, count, value } => fill(table, memory, at, count, value),
                Op::Word(at, value) => write(table, memory, at.address(table), &value.value().to_le_bytes()),
                Op::Call(invocation) => {
                    let call = self.raw(invocation, table);
                    return Some(Step::Call(tame(call, table, memory)));
                }
                Op::Queue(invocation) => {
                    let entry = CallEntry::from(self.raw(invocation, table));
                    let at = self.batch.wrapping_add(self.queued.wrapping_mul(CallEntry::SIZE_BYTES as u64));
                    let mut bytes = [0; CallEntry::SIZE_BYTES];
                    entry.write(&mut bytes);
                    write(table, memory, at, &bytes);
                    self.queued = self.queued.saturating_add(1);
                }
                Op::Batch(at) => (self.batch, self.queued) = (at.address(table), 0),
                Op::Run(more) => {
                    let count = self.queued.wrapping_add(i64::from(more).cast_unsigned());
                    self.last = raw(Nr::Multicall, [self.batch, count, 0]);
                    self.queued = 0;
                    return Some(Step::Call(tame(self.last, table, memory)));
                }
                Op::World(world) => return Some(Step::World(world)),
            }
        }
        None
    }

    fn put<T: Wire>(&mut self, table: &Table<'_>, memory: &mut impl Memory, descriptor: &T) {
        let mut bytes = [0; 32];
        descriptor.write(&mut bytes);
        write(table, memory, self.array.wrapping_add(self.put_bytes), &bytes[..T::SIZE_BYTES]);
        self.put = self.put.saturating_add(1);
        self.put_bytes = self.put_bytes.saturating_add(T::SIZE_BYTES as u64);
    }

    fn raw(&mut self, invocation: Invocation, table: &Table<'_>) -> RawCall {
        let row = |nr, device: Number, at, count| {
            let address = match at {
                Target::Array => self.array,
                Target::At(place) => place.address(table),
            };
            let count = match count {
                Count::Put(more) => self.put.wrapping_add(i64::from(more).cast_unsigned()),
                Count::Of(number) => number.value(),
            };
            raw(nr, [device.value(), address, count])
        };
        let call = match invocation {
            Invocation::Console(at, size) => {
                raw(Nr::ConsoleWrite, [at.address(table), size.bytes(at, table), 0])
            }
            Invocation::Entropy(at, size) => raw(Nr::Entropy, [at.address(table), size.bytes(at, table), 0]),
            Invocation::Wait(deadline, interest) => raw(Nr::Wait, [deadline.value(), interest.value(), 0]),
            Invocation::Send(device, at, count) => row(Nr::NetSend, device, at, count),
            Invocation::Receive(device, at, count) => row(Nr::NetRecv, device, at, count),
            Invocation::Submit(device, at, count) => row(Nr::BlockSubmit, device, at, count),
            Invocation::Reap(device, at, count) => row(Nr::BlockReap, device, at, count),
            Invocation::Clock(id) => raw(Nr::Clock, [id.value(), 0, 0]),
            Invocation::Multicall(at, count) => raw(Nr::Multicall, [at.address(table), count.value(), 0]),
            Invocation::Raw(nr, [first, second, third, fourth]) => RawCall {
                nr: nr.value(),
                arguments: [first.value(), second.value(), third.value(), fourth.value(), 0, 0],
            },
            Invocation::Spoiled { register, bit } => spoiled(self.last, register, bit),
        };
        self.last = call;
        call
    }
}

fn raw(nr: Nr, [first, second, third]: [u64; 3]) -> RawCall {
    RawCall { nr: nr as u64, arguments: [first, second, third, 0, 0, 0] }
}

fn spoiled(mut call: RawCall, register: u8, bit: u8) -> RawCall {
    let bit = 1 << (bit % 64);
    match call.arguments.get_mut(usize::from(register % 7)) {
        Some(argument) => *argument ^= bit,
        None => call.nr ^= bit,
    }
    call
}

/// A frame descriptor whose offload fields `offload` selects: mostly right ones for TCP over IPv4, some wrong in one field.
#[expect(clippy::cast_possible_truncation, reason = "a descriptor has room for 32 bits of a length")]
fn frame(address: u64, size_bytes: u64, offload: u8) -> Frame {
    let plain = Frame::plain(address, size_bytes as u32);
    let checksum = Frame { flags: 1, csum_start: 34, csum_offset: 16, ..plain };
    let segment = Frame { gso_type: 1, gso_size: 1448, header_bytes: 54, ..checksum };
    let edge = (size_bytes as u16).wrapping_sub(18);
    let more = u16::from(offload / 16);
    match offload % 16 {
        0..=3 => plain,
        4 => checksum,
        5 => segment,
        6 => Frame { gso_type: 4, header_bytes: 74, ..segment },
        7 => Frame { csum_start: edge.wrapping_add(more), ..checksum },
        8 => Frame { csum_offset: u16::MAX - more, ..checksum },
        9 => Frame { header_bytes: (size_bytes as u16).wrapping_add(more), ..segment },
        10 => Frame { gso_size: 0, ..segment },
        11 => Frame { flags: more, ..segment },
        12 => Frame { gso_type: more, ..segment },
        13 => Frame { csum_start: more, ..plain },
        14 => Frame { flags: 256 + more, ..checksum },
        _ => Frame { header_bytes: more, ..segment },
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a request has room for 32 bits of a sector count")]
fn request(operation: u8, sector: Number, address: u64, sectors: Number, position: u64) -> Request {
    let operation = u32::from(operation);
    // Flush and discard name no memory; one in eight does all the same.
    let address = if matches!(operation, 2 | 3) { 0 } else { address };
    let tag = position.wrapping_mul(0x0101_0101_0101_0101) ^ address ^ u64::from(operation);
    Request {
        tag,
        sector: sector.value(),
        address,
        sectors: sectors.value() as u32,
        operation: operation & 15,
    }
}

fn fill(table: &Table<'_>, memory: &mut impl Memory, at: Place, count: u8, value: u8) {
    let mut bytes = [0; u8::MAX as usize];
    let bytes = &mut bytes[..usize::from(count)];
    let mut next = value;
    for byte in &mut *bytes {
        *byte = next;
        next = next.wrapping_add(1);
    }
    write(table, memory, at.address(table), bytes);
}

fn write(table: &Table<'_>, memory: &mut impl Memory, address: u64, bytes: &[u8]) {
    if table.is_writable(address, bytes.len() as u64) {
        memory.write(address, bytes);
    }
}

/// Keeps a call from ending the run or sleeping, where it would.
fn tame(mut call: RawCall, table: &Table<'_>, memory: &mut impl Memory) -> RawCall {
    match Nr::from_raw(call.nr) {
        Ok(Nr::Exit) if !table.exits => call.nr |= 0x100,
        Ok(Nr::Wait) => call.arguments[0] = past(call.arguments[0], call.arguments[1], table),
        Ok(Nr::Multicall) => {
            let [address, count, ..] = call.arguments;
            for position in 0..count.min(MAX_ENTRIES) {
                let at = address.wrapping_add(position * CallEntry::SIZE_BYTES as u64);
                let mut bytes = [0; CallEntry::SIZE_BYTES];
                if !table.is_writable(at, bytes.len() as u64) {
                    break;
                }
                memory.read(at, &mut bytes);
                let mut entry = CallEntry::read(&bytes);
                if Nr::from_raw(entry.nr) == Ok(Nr::Wait) {
                    entry.arguments[0] = past(entry.arguments[0], entry.arguments[1], table);
                    entry.write(&mut bytes);
                    memory.write(at, &bytes);
                }
            }
        }
        _ => {}
    }
    call
}

/// A deadline that has passed, unless the call is refused anyhow because it waits for a device that is not there.
fn past(deadline: u64, interest: u64, table: &Table<'_>) -> u64 {
    let nic_bits = (1 << (2 * usize::from(table.nics).min(MAX_NICS))) - 1;
    let disk_bits = (1 << u64::from(table.disks).min(31)) - 1;
    let known = 1 | nic_bits << 1 | disk_bits << 32;
    if interest & !known != 0 { deadline } else { deadline & 1 }
}
