//! What is decided, read and written, without a network.

mod balance;
mod config;
mod header;
mod page;
