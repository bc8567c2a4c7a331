//! Whole-system tests: one module per feature, each test once per backend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod bad_images;
mod bad_links;
mod block;
mod cli;
mod cores;
mod faults;
mod frames;
mod fuzz;
mod hello;
mod hypercalls;
mod invariants;
mod lb;
mod names;
mod network;
mod new;
mod process;
mod receipts;
mod relay;
mod sandbox;
mod signatures;
mod sizes;
mod tap;
mod web;
