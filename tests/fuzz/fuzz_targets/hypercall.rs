#![no_main]

ringwall_fuzz::fuzz!("hypercall");
