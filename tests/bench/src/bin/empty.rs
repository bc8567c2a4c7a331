//! The floor of starting and ending a program that is built like the loader.

fn main() {}
