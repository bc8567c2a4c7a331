//! Whole-system tests: one module per feature, each test once per backend.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod block;
mod faults;
mod hello;
mod hypercalls;
mod invariants;
