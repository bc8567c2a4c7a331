//! What is decided, read and written, without a network.

mod balance;
mod config;
mod counters;
mod header;
mod page;
