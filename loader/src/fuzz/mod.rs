//! Fuzzing of the hypercall boundary, and of everything else that hostile bytes meet.
//!
//! ```text
//! generate, mutate    programs: rows of calls that are often nearly right          listing    a program as a person reads it
//! plan, world         the real dispatcher and devices on made-up memory            model      the contract, told a second time
//! ```
//!
//! Nothing here runs when `ringwall` runs an appliance.

pub mod engine;
pub mod generate;
pub mod model;
pub mod mutate;
pub mod plan;
pub mod rng;
pub mod target;
pub mod vm;
pub mod world;

#[cfg(test)]
mod tests;
