//! What an appliance does with a disk.

use alloc::vec;
use alloc::vec::Vec;
use core::iter;

use hvcall::manifest::DeviceKind;
use hvcall::request::MAX_REQUEST_BYTES;
use hvcall::{Operation, Request, Status};

use super::Error;
use super::driver::{DRIVER, Device};
use super::queue::Job;
use super::transfer::Transfer;

/// A disk. Copies name the same disk; any number of operations may be under way at once.
///
/// Operations that are under way at the same time may be carried out in any order. [`Disk::flush`] covers the writes that were
/// done when it was called.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    device: &'static Device,
}

impl Disk {
    /// The disk that the manifest lists under `name`.
    ///
    /// # Errors
    /// [`Error::NoSuchDisk`].
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::find(name).ok_or(Error::NoSuchDisk)
    }

    fn find(name: &str) -> Option<Self> {
        let index = crate::appliance::device_index(DeviceKind::Disk, name)?;
        let info = crate::boot::info()?;
        let count = usize::try_from(info.disk_count).ok()?;
        let disk = info.disks.iter().take(count).nth(index)?;
        DRIVER.open(index, *disk).map(|device| Self { device })
    }

    /// Size of a sector: 512 or 4096 bytes.
    #[must_use]
    pub const fn sector_bytes(&self) -> u32 {
        self.device.info.sector_bytes
    }

    /// Number of sectors.
    #[must_use]
    pub const fn sectors(&self) -> u64 {
        self.device.info.sectors
    }

    /// Whether writes and discards are refused.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.device.info.is_read_only()
    }

    /// Reads whole sectors, from `sector` on.
    ///
    /// # Errors
    /// [`Error::NotWholeSectors`], [`Error::OutOfRange`], or [`Error::Failed`]; then some of `data` may have been read.
    pub async fn read(&self, sector: u64, data: &mut [u8]) -> Result<(), Error> {
        self.check_range(sector, data.len())?;
        let pieces = data.chunks_mut(self.piece_bytes());
        for (piece, sector) in pieces.zip(self.piece_sectors(sector)) {
            let read = self.transfer(Operation::Read, sector, vec![0; piece.len()]).await?;
            piece.copy_from_slice(&read);
        }
        Ok(())
    }

    /// Writes whole sectors, from `sector` on. They are on stable storage after the next [`Self::flush`].
    ///
    /// # Errors
    /// [`Error::NotWholeSectors`], [`Error::OutOfRange`], or [`Error::Failed`]; then some of `data` may have been written.
    pub async fn write(&self, sector: u64, data: &[u8]) -> Result<(), Error> {
        self.check_range(sector, data.len())?;
        let pieces = data.chunks(self.piece_bytes());
        for (piece, sector) in pieces.zip(self.piece_sectors(sector)) {
            self.transfer(Operation::Write, sector, piece.to_vec()).await?;
        }
        Ok(())
    }

    /// Brings every write that is done to stable storage.
    ///
    /// # Errors
    /// [`Error::Failed`]; what was written since the last flush may then be lost.
    pub async fn flush(&self) -> Result<(), Error> {
        self.transfer(Operation::Flush, 0, Vec::new()).await.map(drop)
    }

    /// Gives up the content of `count` sectors, from `sector` on. They read as zeros afterwards.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] or [`Error::Failed`]; then some of the sectors may have been discarded.
    pub async fn discard(&self, sector: u64, count: u64) -> Result<(), Error> {
        self.check_end(sector, count)?;
        let (mut sector, mut left) = (sector, count);
        while left > 0 {
            let sectors = u32::try_from(left).unwrap_or(u32::MAX);
            let job = Job { operation: Operation::Discard, sector, sectors, data: Vec::new() };
            self.carry_out(job).await?;
            sector += u64::from(sectors);
            left -= u64::from(sectors);
        }
        Ok(())
    }

    async fn transfer(&self, operation: Operation, sector: u64, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        let sectors = u32::try_from(data.len() / self.sector_size()).map_err(|_| Error::OutOfRange)?;
        self.carry_out(Job { operation, sector, sectors, data }).await
    }

    async fn carry_out(&self, job: Job) -> Result<Vec<u8>, Error> {
        self.check(&job)?;
        Transfer::new(self.device, job).await.map_err(Error::Failed)
    }

    /// Finds what the monitor would refuse, so that it never refuses a whole array for one request.
    fn check(&self, job: &Job) -> Result<(), Error> {
        let Job { operation, sector, sectors, .. } = *job;
        let request = Request { tag: 0, sector, address: 0, sectors, operation: operation.to_raw() };
        match request.check(&self.device.info) {
            Ok(_) => Ok(()),
            Err(Status::INVAL) => Err(Error::OutOfRange),
            Err(status) => Err(Error::Failed(status)),
        }
    }

    fn check_range(&self, sector: u64, size_bytes: usize) -> Result<(), Error> {
        if !size_bytes.is_multiple_of(self.sector_size()) {
            return Err(Error::NotWholeSectors);
        }
        self.check_end(sector, (size_bytes / self.sector_size()) as u64)
    }

    fn check_end(&self, sector: u64, count: u64) -> Result<(), Error> {
        match sector.checked_add(count) {
            Some(end) if end <= self.sectors() => Ok(()),
            _ => Err(Error::OutOfRange),
        }
    }

    const fn sector_size(&self) -> usize {
        self.sector_bytes() as usize
    }

    /// Most data of one request: whole sectors, since their size is a power of two.
    #[expect(clippy::cast_possible_truncation, reason = "a mebibyte")]
    const fn piece_bytes(&self) -> usize {
        MAX_REQUEST_BYTES as usize
    }

    /// First sectors of the pieces of a transfer from `sector` on.
    fn piece_sectors(&self, sector: u64) -> impl Iterator<Item = u64> + use<> {
        let step = MAX_REQUEST_BYTES / u64::from(self.sector_bytes());
        iter::successors(Some(sector), move |&sector| sector.checked_add(step))
    }
}

#[cfg(test)]
mod tests {
    use super::super::driver::BlockDriver;
    use super::*;
    use crate::executor::{run, sleep, spawn, timeout, yield_now};
    use crate::testing;
    use crate::time::Duration;
    use hvcall::boot::DISK_READ_ONLY;

    const SECTOR: usize = 512;

    /// Gives this test's monitor a disk, and opens it.
    fn disk(change: impl FnOnce(&mut testing::Disk)) -> Disk {
        let mut disk = testing::Disk::new(8192, SECTOR);
        change(&mut disk);
        let driver = Box::leak(Box::new(BlockDriver::new()));
        let device = driver.open(0, disk.info).unwrap();
        testing::monitor(|monitor| monitor.disks.push(disk));
        Disk { device }
    }

    fn host<T>(look: impl FnOnce(&mut testing::Disk) -> T) -> T {
        testing::monitor(|monitor| look(&mut monitor.disks[0]))
    }

    fn pattern(size_bytes: usize) -> Vec<u8> {
        (0..=250).cycle().take(size_bytes).collect()
    }

    #[test]
    fn what_was_written_is_read_back_in_pieces_of_a_mebibyte() {
        let disk = disk(|_| {});
        let data = pattern((2 << 20) + 3 * SECTOR);
        let mut back = vec![0; data.len()];
        run(async {
            disk.write(5, &data).await.unwrap();
            disk.flush().await.unwrap();
            disk.read(5, &mut back).await.unwrap();
        });
        assert!(back == data);
        assert!(host(|disk| disk.content[5 * SECTOR..][..data.len()] == data[..]));
        let seen: Vec<_> = host(|disk| disk.seen.iter().map(|seen| (seen.sector, seen.sectors)).collect());
        assert_eq!(seen[..4], [(5, 2048), (2053, 2048), (4101, 3), (0, 0)]);
    }

    #[test]
    fn many_operations_share_a_trap() {
        let disk = disk(|_| {});
        run(async {
            let writers: Vec<_> =
                (0..64).map(|sector| spawn(async move { disk.write(sector, &[1; SECTOR]).await })).collect();
            for writer in writers {
                writer.await.unwrap();
            }
        });
        assert_eq!(testing::monitor(|monitor| monitor.waits.len()), 1);
        assert_eq!(disk.device.queue.lock().len(), 0);
    }

    #[test]
    fn a_queue_that_is_full_takes_the_rest_later_in_order() {
        let disk = disk(|disk| disk.depth = 3);
        run(async {
            let writers: Vec<_> = (0..200_u8)
                .map(|number| spawn(async move { disk.write(number.into(), &[number; SECTOR]).await }))
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
        });
        host(|disk| {
            assert!((0..200_u8).all(|number| disk.content[usize::from(number) * SECTOR] == number));
            assert!(disk.seen.is_sorted_by_key(|request| request.sector));
        });
    }

    #[test]
    fn a_dropped_read_keeps_its_buffer_until_the_host_is_done() {
        let disk = disk(|disk| {
            disk.content.fill(7);
            disk.stalled = true;
        });
        run(async {
            let reader = spawn(async move {
                let mut data = vec![0; SECTOR];
                disk.read(0, &mut data).await
            });
            let tick = Duration::from_millis(1);
            sleep(tick).await;
            reader.abort();
            sleep(tick).await;
            // The task is gone. Its request is in flight: the testing monitor will write to the buffer when it completes.
            assert_eq!(disk.device.queue.lock().len(), 1);
            host(|disk| disk.stalled = false);
            sleep(tick).await;
            assert_eq!(disk.device.queue.lock().len(), 0);
        });
    }

    #[test]
    fn a_request_dropped_before_it_was_submitted_never_happens() {
        let disk = disk(|_| {});
        run(async {
            let writer = spawn(async move { disk.write(1, &[1; SECTOR]).await });
            yield_now().await;
            writer.abort();
            disk.write(0, &[2; SECTOR]).await.unwrap();
        });
        assert_eq!(host(|disk| disk.seen.len()), 1);
        assert_eq!(disk.device.queue.lock().len(), 0);
    }

    #[test]
    fn discarded_sectors_read_as_zeros() {
        let disk = disk(|disk| disk.content.fill(7));
        let mut data = [1; 3 * SECTOR];
        run(async {
            disk.discard(4, 1).await.unwrap();
            disk.read(3, &mut data).await.unwrap();
        });
        assert_eq!([data[0], data[SECTOR], data[2 * SECTOR]], [7, 0, 7]);
    }

    #[test]
    fn what_the_disk_cannot_do_is_refused_without_a_trap() {
        let disk = disk(|disk| disk.info.flags = DISK_READ_ONLY);
        run(async {
            let mut data = [0; 2 * SECTOR];
            assert_eq!(disk.write(0, &data).await, Err(Error::Failed(Status::ROFS)));
            assert_eq!(disk.discard(0, 1).await, Err(Error::Failed(Status::ROFS)));
            assert_eq!(disk.read(0, &mut data[..100]).await, Err(Error::NotWholeSectors));
            assert_eq!(disk.read(8191, &mut data).await, Err(Error::OutOfRange));
            assert_eq!(disk.read(u64::MAX, &mut data).await, Err(Error::OutOfRange));
            assert_eq!(disk.discard(8192, 1).await, Err(Error::OutOfRange));
            assert_eq!(disk.read(8192, &mut []).await, Ok(()));
        });
        assert_eq!(testing::monitor(|monitor| monitor.traps), 0);
    }

    #[test]
    fn a_failed_request_says_so_and_the_next_may_succeed() {
        let disk = disk(|disk| disk.failure = Some(Status::IO));
        run(async {
            assert_eq!(disk.flush().await, Err(Error::Failed(Status::IO)));
            host(|disk| disk.failure = None);
            assert_eq!(disk.flush().await, Ok(()));
        });
    }

    #[test]
    fn a_disk_that_takes_nothing_at_all_fails_instead_of_trying_for_ever() {
        let disk = disk(|disk| disk.depth = 0);
        let outcome = run(timeout(Duration::from_millis(1), disk.flush()));
        assert_eq!(outcome, Ok(Err(Error::Failed(Status::AGAIN))));
    }
}
