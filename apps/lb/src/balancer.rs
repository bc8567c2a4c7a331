//! What all connections share: who may come in, and how it ends.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Poll, Waker};

use embassy_futures::select::{Either, select};
use guest::executor::{JoinHandle, shutdown, sleep, sleep_until, spawn};
use guest::log::{info, warn};
use guest::net::{self, Buffers, TcpListener, TcpStream};
use guest::time::{Duration, Instant};
use lb::balance::Backends;
use lb::config::Config;
use lb::counters::Counters;
use slab::Slab;

use crate::session;

/// Time for last bytes to be acknowledged once all connections have ended.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// The load balancer.
#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) config: Config,
    pub(crate) backends: Backends,
    pub(crate) counters: Counters,
    /// Buffers of each connection, on either side.
    pub(crate) buffers: Buffers,
    /// Most connections at a time: as the configuration says, or as there is memory for.
    pub(crate) max_connections: usize,
    pub(crate) draining: Cell<bool>,
    sessions: RefCell<Slab<JoinHandle<()>>>,
    /// The one who waits for a session to end.
    waiting: RefCell<Option<Waker>>,
}

impl Balancer {
    pub(crate) fn new(config: Config) -> Self {
        let buffers = Buffers { receive_bytes: config.buffer_bytes, send_bytes: config.buffer_bytes };
        // Two for each, besides those that wait to be taken.
        let room = net::capacity(buffers).saturating_sub(config.backlog) / 2;
        let max_connections = config.max_connections.min(room.max(1));
        if max_connections < config.max_connections {
            warn!("there is memory for {max_connections} connections, not for {}", config.max_connections);
        }
        Self {
            backends: Backends::new(&config),
            counters: Counters::default(),
            buffers,
            max_connections,
            draining: Cell::new(false),
            sessions: RefCell::new(Slab::new()),
            waiting: RefCell::new(None),
            config,
        }
    }

    /// Connections now.
    pub(crate) fn connections(&self) -> usize {
        self.sessions.borrow().len()
    }

    /// Takes clients until the host wants the appliance to end.
    pub(crate) async fn accept_until_shutdown(&'static self, listener: &TcpListener) {
        // `shutdown` first: when both are ready, it wins.
        let _end = select(shutdown(), self.accept_all(listener)).await;
    }

    /// Takes nobody new, lets everybody who is there finish, and in the end ends those who do not.
    pub(crate) async fn drain(&'static self, listener: TcpListener) {
        let deadline = Instant::now().saturating_add(self.config.drain_timeout);
        self.draining.set(true);
        listener.stop();
        info!("draining {} connections", self.connections());
        let rest = async {
            self.accept_all(&listener).await;
            self.wait_until(0).await;
        };
        if let Either::Second(()) = select(rest, sleep_until(deadline)).await {
            self.cut();
        }
        drop(listener);
        let deadline = Instant::now().saturating_add(LAST_BYTES);
        while net::stats().connections > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
        info!("{}, {} not acknowledged", self.counters, net::stats().connections);
    }

    /// Serves each client as long as there is room, and the others when there is again. Returns when no more can come.
    async fn accept_all(&'static self, listener: &TcpListener) {
        loop {
            self.wait_until(self.max_connections - 1).await;
            let Ok((stream, peer)) = listener.accept().await else { return };
            self.start(stream, peer);
        }
    }

    fn start(&'static self, stream: TcpStream, peer: SocketAddr) {
        self.counters.accepted.add(1);
        let mut sessions = self.sessions.borrow_mut();
        let entry = sessions.vacant_entry();
        let number = entry.key();
        entry.insert(spawn(async move {
            session::serve(self, stream, peer).await;
            self.end(number);
        }));
    }

    fn end(&self, number: usize) {
        let handle = self.sessions.borrow_mut().try_remove(number);
        drop(handle);
        let waiting = self.waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Waits until there are no more than `limit` connections.
    async fn wait_until(&self, limit: usize) {
        poll_fn(|context| {
            if self.connections() <= limit {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Ends all connections. What has been taken in is still sent.
    fn cut(&self) {
        let handles: Vec<_> = self.sessions.borrow_mut().drain().collect();
        self.counters.cut.add(handles.len() as u64);
        handles.into_iter().for_each(JoinHandle::abort);
    }
}
