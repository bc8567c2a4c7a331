//! Health checks.

use core::fmt::Write as _;

use embedded_io_async::{Read as _, Write as _};
use guest::executor::{sleep, timeout};
use guest::log::{info, warn};
use guest::net::{self, Buffers, TcpStream};
use lb::balance::Backend;
use lb::health::is_good;
use lb::proxy::Header;

use crate::balancer::Balancer;

/// A check is a few bytes each way.
const BUFFERS: Buffers = Buffers { receive_bytes: 2048, send_bytes: 2048 };

/// Checks a backend for ever.
pub(crate) async fn watch(balancer: &'static Balancer, backend: &'static Backend) {
    let check = &balancer.config.check;
    loop {
        let healthy = timeout(check.timeout, ask(balancer, backend)).await == Ok(Ok(true));
        if !healthy {
            backend.counters.checks_failed.add(1);
        }
        note(backend, healthy);
        sleep(check.interval).await;
    }
}

/// Takes note of a success or failure with a backend.
pub(crate) fn note(backend: &Backend, success: bool) {
    if backend.health.observe(success) {
        let address = backend.address;
        if success {
            info!("{address} is up");
        } else {
            warn!("{address} is down");
        }
    }
}

/// One check.
async fn ask(balancer: &Balancer, backend: &Backend) -> net::Result<bool> {
    let mut stream = TcpStream::connect_with(backend.address, BUFFERS).await?;
    if balancer.config.proxy {
        stream.write_all(Header::local().as_bytes()).await?;
    }
    let path = &balancer.config.check.path;
    if path.is_empty() {
        return Ok(true);
    }
    let mut head = alloc::string::String::new();
    // Writing to a string cannot fail.
    let _written =
        write!(head, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", backend.address);
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 12];
    let mut size_bytes = 0;
    while let Some(rest) = answer.get_mut(size_bytes..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest).await? {
            0 => return Ok(false),
            read => size_bytes += read,
        }
    }
    Ok(is_good(&answer))
}
