//! Host memory that backs a guest: sealed for what never changes, anonymous for the rest.

mod anonymous;
mod sealed;

pub use anonymous::AnonymousMemory;
pub use sealed::SealedMemory;
