//! What the benchmarks share: the bare floor, statistics, results.

pub mod bare;
pub mod notify;
pub mod result;
pub mod statistics;
