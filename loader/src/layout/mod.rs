//! What a machine looks like before its first instruction: pure functions from image and numbers to bytes.
//!
//! [`plan`] decides where everything lies, [`page_tables`] and [`descriptors`] turn the plan into what the CPU reads,
//! [`gate`] and [`stubs`] into the few instructions that are the monitor's, [`content`] into the pages' bytes.
//! [`units`] says how random a plan is.

pub mod content;
pub mod descriptors;
pub mod gate;
pub mod page_tables;
pub mod plan;
pub mod stubs;
pub mod units;

pub use gate::Gate;
pub use plan::{LayoutError, Plan, Region, RegionKind, Slot};
