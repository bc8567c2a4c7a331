//! Disks: asynchronous sector I/O.
//!
//! A [`Disk`] turns each read, write, flush and discard into requests of the contract's size, which wait in the disk's
//! [queue] until the executor's next turn submits them, all of a turn in one call. Completions wake whoever awaits them.
//!
//! **Dropping a future is safe at any time.** The host may read or write a request's data until the request completes, so that
//! data lies in a buffer which the queue owns, never in the caller's memory. The price is one copy.

mod disk;
mod driver;
mod error;
mod queue;
mod transfer;

pub use disk::Disk;
pub use error::Error;
