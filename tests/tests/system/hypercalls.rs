//! The ten calls: what they check, in what order, and what they leave alone.

mod arguments;
mod batches;
mod frames;
mod registers;
mod waiting;
