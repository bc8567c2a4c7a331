#![no_main]

ringwall_fuzz::fuzz!("image");
