//! Writes patterns to a disk and verifies them: `disk [write|verify [SEED]]`, both if neither is asked for.
//!
//! Exit status: 0 all is well, 1 the disk failed or holds something else, 2 the disk is read-only, 3 wrong arguments.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod failure;
mod pattern;
mod plan;
mod work;

use guest::block::Disk;
use guest::println;

use crate::failure::Failure;

guest::appliance! {
    main: main,
    memory: 32 * guest::MIB,
    disks: ["data"]
}

async fn main() -> u8 {
    match run().await {
        Ok(()) => 0,
        Err(failure) => {
            println!("{failure}");
            failure.exit_status()
        }
    }
}

async fn run() -> Result<(), Failure> {
    let mut arguments = guest::args();
    let command = arguments.next();
    let seed = arguments.next().map_or(Ok(1), str::parse).map_err(|_| Failure::Usage)?;
    let (write, verify) = match command {
        None => (true, true),
        Some("write") => (true, false),
        Some("verify") => (false, true),
        Some(_) => return Err(Failure::Usage),
    };

    let disk =
        Disk::open("data").map_err(|error| Failure::Disk { what: "open", sector: 0, count: 0, error })?;
    let access = if disk.is_read_only() { "read-only" } else { "read-write" };
    println!("disk data: {} sectors of {} bytes, {access}", disk.sectors(), disk.sector_bytes());
    if write {
        work::write(disk, seed).await?;
        work::discard(disk).await?;
    }
    if verify {
        work::verify(disk, seed).await?;
    }
    Ok(())
}
