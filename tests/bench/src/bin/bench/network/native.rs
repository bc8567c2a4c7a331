//! The same small services natively: threads over the kernel's own TCP.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::Failure;

/// Bytes per read or write, as in the appliance.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

pub(super) const DISCARD: u16 = 9;
pub(super) const GENERATOR: u16 = 19;

/// Starts them at an address in the network of the calling thread. They end with the process.
pub(super) fn serve(address: &'static str) -> Result<(), Failure> {
    accept(address, DISCARD, |mut stream| {
        let mut buffer = vec![0; CHUNK_BYTES];
        while stream.read(&mut buffer).is_ok_and(|taken| taken > 0) {}
    })?;
    accept(address, GENERATOR, |mut stream| {
        let letters: Vec<u8> = (b' '..=b'~').cycle().take(CHUNK_BYTES).collect();
        while stream.write_all(&letters).is_ok() {}
    })
}

fn accept(address: &str, port: u16, serve: fn(TcpStream)) -> Result<(), Failure> {
    let listener = TcpListener::bind((address, port))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    Ok(())
}
