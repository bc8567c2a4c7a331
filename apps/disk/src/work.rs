//! Writing and verifying, a few extents at a time.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use guest::block::{Disk, Error};
use guest::executor::spawn;
use guest::println;
use guest::time::{Duration, Instant};

use crate::failure::Failure;
use crate::pattern;
use crate::plan::{self, Extent};

/// Extents under way at once.
const WORKERS: usize = 4;

/// Fills all extents with the seed's pattern and brings them to stable storage.
pub(crate) async fn write(disk: Disk, seed: u64) -> Result<(), Failure> {
    let start = Instant::now();
    let total = for_each_extent(disk, async move |extent: Extent, data: &mut [u8]| {
        pattern::fill(data, seed, extent.sector, sector_bytes(disk));
        disk.write(extent.sector, data).await.map_err(failed("write", extent))
    })
    .await?;
    flush(disk).await?;
    report("wrote and flushed", &total, start.elapsed());
    Ok(())
}

/// Discards the hole.
pub(crate) async fn discard(disk: Disk) -> Result<(), Failure> {
    let hole = plan::hole(disk);
    disk.discard(hole.sector, hole.count).await.map_err(failed("discard", hole))?;
    flush(disk).await?;
    println!("discarded {} sectors from sector {} on", hole.count, hole.sector);
    Ok(())
}

/// Checks that the extents hold the seed's pattern, and the hole zeros.
pub(crate) async fn verify(disk: Disk, seed: u64) -> Result<(), Failure> {
    let start = Instant::now();
    let hole = plan::hole(disk);
    let total = for_each_extent(disk, async move |extent: Extent, data: &mut [u8]| {
        disk.read(extent.sector, data).await.map_err(failed("read", extent))?;
        let mut wanted = vec![0; sector_bytes(disk)];
        for (found, sector) in data.chunks_exact(wanted.len()).zip(extent.sector..) {
            if hole.contains(sector) {
                wanted.fill(0);
            } else {
                let sector_bytes = wanted.len();
                pattern::fill(&mut wanted, seed, sector, sector_bytes);
            }
            check(found, &wanted, sector)?;
        }
        Ok(())
    })
    .await?;
    report("verified", &total, start.elapsed());
    Ok(())
}

fn check(found: &[u8], wanted: &[u8], sector: u64) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    let mut pairs = found.iter().zip(wanted).enumerate();
    match pairs.find(|(_, (found, wanted))| found != wanted) {
        Some((offset, (&found, &wanted))) => Err(Failure::Mismatch { sector, offset, found, wanted }),
        None => Ok(()),
    }
}

/// Has some workers do `work` on every extent, each with a buffer of the extent's size. Returns what they did it on.
async fn for_each_extent<W>(disk: Disk, work: W) -> Result<Total, Failure>
where
    W: AsyncFn(Extent, &mut [u8]) -> Result<(), Failure> + Clone + 'static,
{
    let extents = plan::extents(disk);
    let total = Total::of(&extents, disk);
    let queue = Rc::new(RefCell::new(extents.into_iter()));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (queue, work) = (Rc::clone(&queue), work.clone());
            spawn(async move {
                loop {
                    let Some(extent) = queue.borrow_mut().next() else { return Ok(()) };
                    work(extent, &mut buffer(extent, disk)).await?;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await?;
    }
    Ok(total)
}

fn buffer(extent: Extent, disk: Disk) -> Vec<u8> {
    // At most an edge or a piece, a mebibyte or two.
    let sectors = usize::try_from(extent.count).unwrap_or(0);
    vec![0; sectors * sector_bytes(disk)]
}

async fn flush(disk: Disk) -> Result<(), Failure> {
    disk.flush().await.map_err(failed("flush", Extent { sector: 0, count: 0 }))
}

fn failed(what: &'static str, extent: Extent) -> impl Fn(Error) -> Failure {
    move |error| Failure::Disk { what, sector: extent.sector, count: extent.count, error }
}

const fn sector_bytes(disk: Disk) -> usize {
    disk.sector_bytes() as usize
}

/// How much there was to do.
struct Total {
    extents: usize,
    bytes: u64,
}

impl Total {
    fn of(extents: &[Extent], disk: Disk) -> Self {
        let sectors: u64 = extents.iter().map(|extent| extent.count).sum();
        Self { extents: extents.len(), bytes: sectors * u64::from(disk.sector_bytes()) }
    }
}

fn report(what: &str, total: &Total, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let rate = total.bytes / micros;
    println!("{what} {} bytes in {} extents: {rate} MB/s", total.bytes, total.extents);
}
