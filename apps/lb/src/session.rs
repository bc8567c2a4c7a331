//! One client from its arrival to its end.

use core::net::SocketAddr;

use embedded_io_async::{Read as _, Write as _};
use guest::executor::timeout;
use guest::net::{Error, TcpStream};
use guest::time::Duration;
use lb::balance::{Place, Tried};
use lb::proxy::Header;

use crate::balancer::Balancer;
use crate::probe;
use crate::relay::{Outcome, relay};

/// How long a client that is turned away may take to see it, and how much it may still send.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_READS: usize = 64;

/// Serves a client.
pub(crate) async fn serve(balancer: &Balancer, mut client: TcpStream, peer: SocketAddr) {
    let counters = &balancer.counters;
    let Some((mut server, place)) = reach(balancer).await else {
        counters.turned_away.add(1);
        return turn_away(client).await;
    };
    if balancer.config.proxy {
        let header = Header::proxied(peer, client.local_addr());
        // A backend that is gone already shows in the relay, too.
        let _sent = server.write_all(header.as_bytes()).await;
    }
    let outcome =
        relay(&mut client, &mut server, &place.backend.counters, balancer.config.idle_timeout).await;
    match outcome {
        Outcome::Finished => counters.finished.add(1),
        Outcome::ClientFailed => {
            counters.client_failed.add(1);
            server.abort();
        }
        Outcome::BackendFailed => {
            counters.backend_failed.add(1);
            client.abort();
        }
        Outcome::Idle => {
            counters.idle.add(1);
            client.abort();
            server.abort();
        }
    }
}

/// A connection to a backend: the one whose turn it is, or else another one.
async fn reach(balancer: &Balancer) -> Option<(TcpStream, Place<'_>)> {
    let mut tried = Tried::default();
    while let Some(place) = balancer.backends.choose(tried) {
        let connect = TcpStream::connect_with(place.backend.address, balancer.buffers);
        match timeout(balancer.config.connect_timeout, connect).await {
            Ok(Ok(server)) => {
                probe::note(place.backend, true);
                if tried.is_any() {
                    balancer.counters.retried.add(1);
                }
                return Some((server, place));
            }
            // Not the backend's fault, and others would not help.
            Ok(Err(Error::OutOfMemory | Error::AddressInUse)) => return None,
            Ok(Err(_)) | Err(_) => {
                place.backend.counters.refused.add(1);
                probe::note(place.backend, false);
                tried.add(&place);
            }
        }
    }
    None
}

/// Ends a connection in order: the client reads an end of stream, rather than a reset for what it has sent meanwhile.
async fn turn_away(mut client: TcpStream) {
    client.shutdown();
    let _gone = timeout(FAREWELL, async {
        let mut unread = [0; 512];
        for _ in 0..FAREWELL_READS {
            if !matches!(client.read(&mut unread).await, Ok(1..)) {
                break;
            }
        }
    })
    .await;
}
