//! Devices with both ends in hand.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use bytecode::World as Outside;
use hvcall::boot::{DISK_READ_ONLY, Offloads};
use hvcall::{DiskInfo, NicInfo};
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, pipe_with};

use super::World;
use crate::fuzz::model::{DiskModel, NicModel, Violation};
use crate::monitor::disk::Disk;
use crate::monitor::nic::Nic;

/// Most frames that wait to be received.
const MAX_INBOUND: usize = 8;
/// Most bytes of them.
const MAX_INBOUND_BYTES: usize = 96 * 1024;
/// Half of what the kernel makes of it, which has to be enough for the longest frame, and no more: so that it is soon full.
const SEND_BUFFER_BYTES: usize = 33_200;
/// Bytes of a disk's unit of truncation.
const PIECE_BYTES: usize = 4096;
/// The disks: bytes of a sector, number of sectors, whether read-only. The second one is larger than the largest request.
const DISKS: [(u32, u64, bool); 2] = [(512, 512, false), (4096, 320, true)];
/// The NICs: whether they have offloads.
const NICS: [bool; 2] = [false, true];

/// The harness's ends.
#[derive(Debug)]
pub(in crate::fuzz) struct Ends {
    pub(super) console: File,
    pub(super) nics: Vec<NicEnds>,
    pub(super) disks: Vec<File>,
    pub(super) signals: File,
    /// Room for a message.
    pub(super) buffer: Vec<u8>,
    /// What frames that arrive are made of.
    pub(super) payload: Vec<u8>,
}

/// A socket pair.
#[derive(Debug)]
pub(super) struct NicEnds {
    /// The other end.
    pub(super) peer: File,
    /// The monitor's end, to take what it left.
    pub(super) own: File,
}

/// The monitor's ends, and the models.
pub(in crate::fuzz) struct Devices {
    pub(in crate::fuzz) console: OwnedFd,
    pub(in crate::fuzz) nics: Vec<Nic>,
    pub(in crate::fuzz) disks: Vec<Disk>,
    pub(in crate::fuzz) signals: OwnedFd,
    pub(in crate::fuzz) nic_models: Vec<NicModel>,
    pub(in crate::fuzz) disk_models: Vec<DiskModel>,
}

impl Ends {
    pub(in crate::fuzz) fn new() -> io::Result<(Self, Devices)> {
        let console = memfd()?;
        let (signals, signals_writer) = signals_pipe()?;
        let mut devices = Devices {
            console: console.try_clone()?.into(),
            nics: Vec::new(),
            disks: Vec::new(),
            signals,
            nic_models: Vec::new(),
            disk_models: Vec::new(),
        };
        let mut ends = Self {
            console,
            nics: Vec::new(),
            disks: Vec::new(),
            signals: signals_writer,
            buffer: vec![0; 70_000],
            payload: (0..70_000_usize).map(|at| (at % 251).to_le_bytes()[0]).collect(),
        };
        for offloads in NICS {
            let (own, peer) = rustix::net::socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
                None,
            )?;
            rustix::net::sockopt::set_socket_send_buffer_size(&own, SEND_BUFFER_BYTES)?;
            let offered = if offloads { Offloads::all() } else { Offloads::empty() };
            let info = NicInfo { mtu: 1500, offloads: offered.bits(), ..NicInfo::default() };
            ends.nics.push(NicEnds { peer: peer.into(), own: own.try_clone()?.into() });
            devices.nics.push(Nic::new(own, info, offloads));
            devices.nic_models.push(NicModel { offloads, ..NicModel::default() });
        }
        for (sector_bytes, sectors, read_only) in DISKS {
            let file = memfd()?;
            let len = crate::address::index(sectors * u64::from(sector_bytes));
            let content: Vec<u8> =
                (0..len).map(|at| (at / 512 * 5 + at % 253 + 1).to_le_bytes()[0]).collect();
            file.write_all_at(&content, 0)?;
            let flags = if read_only { DISK_READ_ONLY } else { 0 };
            devices.disks.push(Disk::new(file.try_clone()?, DiskInfo { sectors, sector_bytes, flags }));
            devices.disk_models.push(DiskModel::new(content, u64::from(sector_bytes), read_only));
            ends.disks.push(file);
        }
        Ok((ends, devices))
    }
}

pub(super) fn signals_pipe() -> io::Result<(OwnedFd, File)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((reader, writer.into()))
}

fn memfd() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("ringwall-fuzz", MemfdFlags::CLOEXEC)?.into())
}

impl World {
    /// Makes something happen outside the guest.
    ///
    /// # Errors
    /// [`Violation`] if frames that were sent differ from what they have to be.
    pub fn happen(&mut self, outside: Outside) -> Result<(), Violation> {
        match outside {
            Outside::Inject { nic, size, seed } => self.inject(usize::from(nic), size.value(), seed),
            Outside::Drain { nic } => return self.take_outbound(usize::from(nic) % self.ends.nics.len()),
            Outside::Shutdown if !self.model.shutdown => {
                use io::Write as _;
                // One record of a signalfd (signalfd(2)).
                self.model.shutdown = self.ends.signals.write_all(&[0; 128]).is_ok();
            }
            Outside::Shutdown => {}
            Outside::Truncate { pieces, .. } => {
                let size_bytes = usize::from(pieces) * PIECE_BYTES;
                if size_bytes < self.model.disks[0].content.len()
                    && self.ends.disks[0].set_len(size_bytes as u64).is_ok()
                {
                    self.model.disks[0].truncate(size_bytes);
                }
            }
        }
        Ok(())
    }

    fn inject(&mut self, nic: usize, size_bytes: u64, seed: u8) {
        let nic = nic % self.ends.nics.len();
        let model = &mut self.model.nics[nic];
        let waiting: usize = model.inbound.iter().map(Vec::len).sum();
        if model.inbound.len() >= MAX_INBOUND || waiting > MAX_INBOUND_BYTES {
            return;
        }
        let len = usize::try_from(size_bytes).unwrap_or(usize::MAX).clamp(1, 65_535);
        let mut message = Vec::with_capacity(len + 10);
        if model.offloads {
            let header = [seed & 3, seed >> 2 & 5, 54, 0, seed, 5, 34, 0, 16, 0];
            message.extend_from_slice(if seed & 0x80 == 0 { &[0; 10] } else { &header });
        }
        message.extend_from_slice(&self.ends.payload[usize::from(seed)..][..len]);
        if rustix::io::write(&self.ends.nics[nic].peer, &message) == Ok(message.len()) {
            model.inbound.push_back(message);
        }
    }
}
