#![no_main]

ringwall_fuzz::fuzz!("descriptor");
