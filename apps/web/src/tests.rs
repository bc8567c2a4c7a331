//! The server against scripted clients, and the generated site against its own links.

mod content;
mod fields;
mod hostile;
mod machine;
mod persistence;
mod protocol;
mod slowness;
