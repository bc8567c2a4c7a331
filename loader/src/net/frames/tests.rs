//! What passes and what does not, frame by frame.

mod build;
mod hostile;
mod offload;
mod relay;
mod rules;
