//! What the benchmarks share: the bare floor, statistics, results, charts.

pub mod bare;
pub mod chart;
pub mod notify;
pub mod result;
pub mod statistics;
