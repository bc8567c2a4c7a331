//! The status page's server.

use alloc::rc::Rc;
use alloc::vec::Vec;

use embedded_io_async::{Read as _, Write as _};
use guest::executor::{spawn, timeout};
use guest::net::{self, Buffers, ListenOptions, TcpListener, TcpStream};
use guest::time::Duration;
use lb::status::Status;

use crate::balancer::Balancer;

/// Requests are short; a page has some bytes for each of 64 backends.
const OPTIONS: ListenOptions =
    ListenOptions { backlog: 8, buffers: Buffers { receive_bytes: 2048, send_bytes: 8192 } };
/// Requests answered at a time. Further ones wait.
const SERVERS: usize = 4;
/// Time for a request and its answer, and bytes of a request's head.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_HEAD_BYTES: usize = 4096;

/// Serves the page on `port`.
pub(crate) fn publish(balancer: &'static Balancer, port: u16) -> net::Result<()> {
    let listener = Rc::new(TcpListener::bind_with(port, OPTIONS)?);
    for _ in 0..SERVERS {
        let listener = Rc::clone(&listener);
        spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                // Who is too slow gets a reset; who breaks the connection off needs no answer.
                let _done = timeout(PATIENCE, answer(balancer, stream)).await;
            }
        })
        .detach();
    }
    Ok(())
}

async fn answer(balancer: &Balancer, mut stream: TcpStream) -> net::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 512];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            size_bytes => head.extend_from_slice(&buffer[..size_bytes]),
        }
        if head.len() > MAX_HEAD_BYTES {
            stream.abort();
            return Ok(());
        }
    }
    let status = Status {
        counters: &balancer.counters,
        backends: &balancer.backends,
        connections: balancer.connections(),
        max_connections: balancer.max_connections,
        draining: balancer.draining.get(),
    };
    let answer = status.answer(&head);
    stream.write_all(answer.as_bytes()).await?;
    stream.close().await
}
