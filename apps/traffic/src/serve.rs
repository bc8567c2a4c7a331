//! Echo, discard and character generator.

use alloc::vec;

use embedded_io_async::{Read, Write};
use guest::executor::{shutdown, spawn};
use guest::net::{self, Buffers, ListenOptions, TcpListener, TcpStream, UdpSocket};

const ECHO: u16 = 7;
const DISCARD: u16 = 9;
const GENERATOR: u16 = 19;

/// Bytes per read or write where much is moved.
const CHUNK_BYTES: usize = 64 * 1024;
/// An idle connection to the echo service should be cheap, the others are for bulk.
const SMALL: Buffers = Buffers { receive_bytes: 4 * 1024, send_bytes: 4 * 1024 };
const LARGE: Buffers = Buffers { receive_bytes: 1024 * 1024, send_bytes: 1024 * 1024 };

/// Serves until the host wants the appliance to end.
pub(crate) async fn run() -> net::Result<()> {
    let listen = |port, buffers| TcpListener::bind_with(port, ListenOptions { buffers, backlog: 256 });
    let (echo, discard) = (listen(ECHO, SMALL)?, listen(DISCARD, LARGE)?);
    let generator = listen(GENERATOR, LARGE)?;
    let datagrams = UdpSocket::bind(ECHO)?;
    spawn(accept(echo, async |stream| echo_stream(stream).await)).detach();
    spawn(accept(discard, async |stream| swallow(stream).await)).detach();
    spawn(accept(generator, async |stream| generate(stream).await)).detach();
    spawn(echo_datagrams(datagrams)).detach();
    net::up().await?;
    guest::println!("traffic: serving");
    shutdown().await;
    let stats = net::stats();
    let (received, sent, open) = (stats.received_frames, stats.sent_frames, stats.connections);
    guest::println!("traffic: {received} frames in, {sent} out, {open} connections open");
    Ok(())
}

/// Gives every client a task of its own.
async fn accept<F>(listener: TcpListener, serve: F) -> net::Result<()>
where
    F: AsyncFn(TcpStream) -> net::Result<()> + Copy + 'static,
{
    loop {
        let (stream, _peer) = listener.accept().await?;
        spawn(async move { serve(stream).await }).detach();
    }
}

async fn echo_stream(mut stream: TcpStream) -> net::Result<()> {
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.close().await,
            size_bytes => stream.write_all(&buffer[..size_bytes]).await?,
        }
    }
}

async fn swallow(mut stream: TcpStream) -> net::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while stream.read(&mut buffer).await? > 0 {}
    stream.close().await
}

async fn generate(mut stream: TcpStream) -> net::Result<()> {
    let letters: vec::Vec<u8> = (b' '..=b'~').cycle().take(CHUNK_BYTES).collect();
    loop {
        stream.write_all(&letters).await?;
    }
}

async fn echo_datagrams(socket: UdpSocket) -> net::Result<()> {
    let mut buffer = [0; 1500];
    loop {
        let (size_bytes, from) = socket.recv_from(&mut buffer).await?;
        // A client that cannot be reached is no reason to stop serving the others.
        let _sent = socket.send_to(&buffer[..size_bytes], from).await;
    }
}
