//! Sends back what it receives, over TCP and UDP, on port 7 (RFC 862), until the host wants it to end.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use embedded_io_async::{Read, Write};
use guest::executor::{shutdown, spawn};
use guest::log::{info, warn};
use guest::net::{self, TcpListener, TcpStream, UdpSocket};

guest::appliance! { main: main, memory: 64 * guest::MIB, nics: ["net"] }

/// The port that RFC 862 gives to this service.
const PORT: u16 = 7;

async fn main() -> Result<(), net::Error> {
    // Listening starts before there is an address, so nobody who learns it comes too early.
    let listener = TcpListener::bind(PORT)?;
    let datagrams = UdpSocket::bind(PORT)?;
    spawn(serve_streams(listener)).detach();
    spawn(serve_datagrams(datagrams)).detach();
    spawn(async {
        match net::up().await {
            Ok(_) => info!("echo on port {PORT}"),
            Err(error) => warn!("no address yet: {error}"),
        }
    })
    .detach();

    shutdown().await;
    let stats = net::stats();
    let (received, sent) = (stats.received_frames, stats.sent_frames);
    info!("{received} frames in, {sent} out, {} connections open", stats.connections);
    Ok(())
}

/// Gives every client a task of its own.
async fn serve_streams(listener: TcpListener) -> Result<(), net::Error> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        spawn(echo_stream(stream)).detach();
    }
}

/// Echoes one client until it has sent all it will.
async fn echo_stream(mut stream: TcpStream) -> Result<(), net::Error> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.close().await,
            size_bytes => stream.write_all(&buffer[..size_bytes]).await?,
        }
    }
}

async fn serve_datagrams(socket: UdpSocket) -> Result<(), net::Error> {
    let mut buffer = [0; 1500];
    loop {
        let (size_bytes, from) = socket.recv_from(&mut buffer).await?;
        // A client that cannot be reached is no reason to stop serving the others.
        if let Err(error) = socket.send_to(&buffer[..size_bytes], from).await {
            warn!("{from}: {error}");
        }
    }
}
