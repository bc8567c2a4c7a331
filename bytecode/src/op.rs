//! Operations.

use crate::codec::Sink;
use crate::{Number, Place, Reader, Size};

/// How many entries an array is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many more than were put there.
    Put(i8),
    /// So many.
    Of(Number),
}

/// What a call works on: the array that was filled last, or any place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The array.
    Array,
    /// A place.
    At(Place),
}

/// A hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// `console_write`.
    Console(Place, Size),
    /// `entropy`.
    Entropy(Place, Size),
    /// `wait`, with deadline and interest.
    Wait(Number, Number),
    /// `net_send`, with device, array and count.
    Send(Number, Target, Count),
    /// `net_recv`.
    Receive(Number, Target, Count),
    /// `block_submit`.
    Submit(Number, Target, Count),
    /// `block_reap`.
    Reap(Number, Target, Count),
    /// `clock`.
    Clock(Number),
    /// `multicall` on any place.
    Multicall(Place, Number),
    /// Number and arguments as they are.
    Raw(Number, [Number; 4]),
    /// Another call with one bit of one register turned over: RAX for 6, else argument 0 to 5.
    Spoiled {
        /// Which register, modulo 7.
        register: u8,
        /// Which bit, modulo 64.
        bit: u8,
    },
}

/// What happens outside the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// A frame of `size` bytes arrives.
    Inject {
        /// NIC, wrapping.
        nic: u8,
        /// Length, cut at what a frame can have.
        size: Number,
        /// What its bytes are made of.
        seed: u8,
    },
    /// The frames that were sent are taken.
    Drain {
        /// NIC, wrapping.
        nic: u8,
    },
    /// The host asks the guest to end.
    Shutdown,
    /// A disk's file is cut.
    Truncate {
        /// Disk, wrapping.
        disk: u8,
        /// To so many pieces of 4,096 bytes.
        pieces: u8,
    },
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Descriptors go here from now on, the first one first.
    Array(Place),
    /// Puts a frame descriptor into the array.
    Frame {
        /// Where the frame is or goes.
        buffer: Place,
        /// Its length.
        size: Size,
        /// Selects the offload fields; 0 for none.
        offload: u8,
    },
    /// Puts a block request into the array.
    Request {
        /// Operation.
        operation: u8,
        /// First sector.
        sector: Number,
        /// Where the data is or goes.
        data: Place,
        /// Number of sectors.
        sectors: Number,
    },
    /// Sets bytes.
    Fill {
        /// From here.
        at: Place,
        /// So many.
        count: u8,
        /// To this, and one more for each further byte.
        value: u8,
    },
    /// Sets eight bytes.
    Word(Place, Number),
    /// Makes a call.
    Call(Invocation),
    /// Puts a call into the batch.
    Queue(Invocation),
    /// The batch goes here, empty.
    Batch(Place),
    /// Carries the batch out by `multicall`, with a count that is so much too high.
    Run(i8),
    /// Something happens outside.
    World(World),
}

impl Count {
    const PUT: u8 = 253;

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.rest().first() != Some(&Self::PUT) {
            return Some(Self::Of(Number::decode(reader)?));
        }
        let [_, more] = reader.bytes()?;
        Some(Self::Put(more.cast_signed()))
    }

    fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Put(more) => out.extend([Self::PUT, more.cast_unsigned()]),
            Self::Of(number) => number.encode(out),
        }
    }
}

impl Target {
    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(if reader.byte()? & 3 == 0 { Self::At(Place::decode(reader)?) } else { Self::Array })
    }

    fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Array => out.byte(1),
            Self::At(place) => {
                out.byte(0);
                place.encode(out);
            }
        }
    }
}

impl Invocation {
    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let row = |reader: &mut Reader<'_>| {
            Some((Number::decode(reader)?, Target::decode(reader)?, Count::decode(reader)?))
        };
        Some(match reader.byte()? % 11 {
            0 => Self::Console(Place::decode(reader)?, Size::decode(reader)?),
            1 => Self::Entropy(Place::decode(reader)?, Size::decode(reader)?),
            2 => Self::Wait(Number::decode(reader)?, Number::decode(reader)?),
            3 => row(reader).map(|(device, at, count)| Self::Send(device, at, count))?,
            4 => row(reader).map(|(device, at, count)| Self::Receive(device, at, count))?,
            5 => row(reader).map(|(device, at, count)| Self::Submit(device, at, count))?,
            6 => row(reader).map(|(device, at, count)| Self::Reap(device, at, count))?,
            7 => Self::Clock(Number::decode(reader)?),
            8 => Self::Multicall(Place::decode(reader)?, Number::decode(reader)?),
            9 => {
                let nr = Number::decode(reader)?;
                let mut arguments = [Number::Small(0); 4];
                for argument in &mut arguments {
                    *argument = Number::decode(reader)?;
                }
                Self::Raw(nr, arguments)
            }
            _ => Self::Spoiled { register: reader.byte()?, bit: reader.byte()? },
        })
    }

    fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Console(place, size) | Self::Entropy(place, size) => {
                out.byte(u8::from(matches!(self, Self::Entropy(..))));
                place.encode(out);
                size.encode(out);
            }
            Self::Wait(deadline, interest) => {
                out.byte(2);
                deadline.encode(out);
                interest.encode(out);
            }
            Self::Send(device, at, count) => row(out, 3, device, at, count),
            Self::Receive(device, at, count) => row(out, 4, device, at, count),
            Self::Submit(device, at, count) => row(out, 5, device, at, count),
            Self::Reap(device, at, count) => row(out, 6, device, at, count),
            Self::Clock(id) => {
                out.byte(7);
                id.encode(out);
            }
            Self::Multicall(place, count) => {
                out.byte(8);
                place.encode(out);
                count.encode(out);
            }
            Self::Raw(nr, arguments) => {
                out.byte(9);
                nr.encode(out);
                for argument in arguments {
                    argument.encode(out);
                }
            }
            Self::Spoiled { register, bit } => out.extend([10, register, bit]),
        }
    }
}

fn row(out: &mut impl Sink, tag: u8, device: Number, at: Target, count: Count) {
    out.byte(tag);
    device.encode(out);
    at.encode(out);
    count.encode(out);
}

impl World {
    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.byte()? & 7 {
            0..=3 => {
                Self::Inject { nic: reader.byte()?, size: Number::decode(reader)?, seed: reader.byte()? }
            }
            4 | 5 => Self::Drain { nic: reader.byte()? },
            6 => Self::Shutdown,
            _ => Self::Truncate { disk: reader.byte()?, pieces: reader.byte()? },
        })
    }

    fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Inject { nic, size, seed } => {
                out.extend([0, nic]);
                size.encode(out);
                out.byte(seed);
            }
            Self::Drain { nic } => out.extend([4, nic]),
            Self::Shutdown => out.byte(6),
            Self::Truncate { disk, pieces } => out.extend([7, disk, pieces]),
        }
    }
}

impl Op {
    /// Decodes the next operation; `None` at the end of the bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.byte()? % 10 {
            0 => Self::Array(Place::decode(reader)?),
            1 => Self::Frame {
                buffer: Place::decode(reader)?,
                size: Size::decode(reader)?,
                offload: reader.byte()?,
            },
            2 => Self::Request {
                operation: reader.byte()?,
                sector: Number::decode(reader)?,
                data: Place::decode(reader)?,
                sectors: Number::decode(reader)?,
            },
            3 => Self::Fill { at: Place::decode(reader)?, count: reader.byte()?, value: reader.byte()? },
            4 => Self::Word(Place::decode(reader)?, Number::decode(reader)?),
            5 => Self::Call(Invocation::decode(reader)?),
            6 => Self::Queue(Invocation::decode(reader)?),
            7 => Self::Batch(Place::decode(reader)?),
            8 => Self::Run(reader.byte()?.cast_signed()),
            _ => Self::World(World::decode(reader)?),
        })
    }

    /// Encodes.
    pub fn encode(self, out: &mut impl Sink) {
        match self {
            Self::Array(at) => {
                out.byte(0);
                at.encode(out);
            }
            Self::Frame { buffer, size, offload } => {
                out.byte(1);
                buffer.encode(out);
                size.encode(out);
                out.byte(offload);
            }
            Self::Request { operation, sector, data, sectors } => {
                out.extend([2, operation]);
                sector.encode(out);
                data.encode(out);
                sectors.encode(out);
            }
            Self::Fill { at, count, value } => {
                out.byte(3);
                at.encode(out);
                out.extend([count, value]);
            }
            Self::Word(at, value) => {
                out.byte(4);
                at.encode(out);
                value.encode(out);
            }
            Self::Call(call) => {
                out.byte(5);
                call.encode(out);
            }
            Self::Queue(call) => {
                out.byte(6);
                call.encode(out);
            }
            Self::Batch(at) => {
                out.byte(7);
                at.encode(out);
            }
            Self::Run(more) => out.extend([8, more.cast_unsigned()]),
            Self::World(world) => {
                out.byte(9);
                world.encode(out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use alloc::vec::Vec;

    use super::*;

    /// Any bytes decode to operations, and operations survive their byte form.
    #[test]
    fn any_bytes_are_operations_and_operations_survive_their_bytes() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state.to_le_bytes()[6]
                })
                .collect();
            let mut reader = Reader::new(&bytes);
            while let Some(op) = Op::decode(&mut reader) {
                let mut encoded = Vec::new();
                op.encode(&mut encoded);
                let mut again = Reader::new(&encoded);
                assert_eq!(Op::decode(&mut again), Some(op));
                assert!(again.rest().is_empty(), "{op:?}");
            }
        }
    }
}
