//! A web server in ring 3: the site of this image, on port 80 of every address.
//!
//! `ringwall run apps/web --publish 8080:80` serves it on the host's port 8080; `-- --log` adds a line per request.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;

use embassy_futures::select::{Either, select};
use guest::executor::{self, is_shutting_down, shutdown, sleep, spawn};
use guest::net::{self, Buffers, ListenOptions, TcpListener, TcpStream};
use guest::time::{Duration, Instant, wall_ns};
use web::{Host, Limits, SITE, Server};

guest::appliance! { main: main, memory: 32 * guest::MIB, nics: ["net"] }

/// Requests are short and answers lie ready: with these, an idle connection costs less than 16 KiB all in all.
const BUFFERS: Buffers = Buffers { receive_bytes: 2 * 1024, send_bytes: 8 * 1024 };

async fn main() -> net::Result<()> {
    net::up().await?;
    let listener =
        TcpListener::bind_with(80, ListenOptions { buffers: BUFFERS, ..ListenOptions::default() })?;
    let logs = guest::args().any(|argument| argument == "--log");
    // One server for as long as the appliance lives, so that every task may refer to it.
    let server = &*Box::leak(Box::new(Server::new(Guest, &SITE, Limits::default(), logs)));
    guest::log::info!("{} paths on port 80", SITE.routes.len());
    while let Either::First(accepted) = select(listener.accept(), shutdown()).await {
        let (stream, peer) = accepted?;
        if let Some(admission) = server.admit() {
            spawn(admission.serve(stream, peer)).detach();
        }
    }
    drop(listener);
    finish(server).await;
    Ok(())
}

/// Gives the connections that are left a second to end.
async fn finish(server: &Server<Guest>) {
    let deadline = Instant::now().saturating_add(Duration::from_secs(1));
    while (server.connections() > 0 || net::stats().connections > 0) && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
}

/// The guest kernel, as the server wants it.
struct Guest;

impl Host for Guest {
    type Stream = TcpStream;

    fn end(&self, stream: &mut TcpStream) {
        stream.shutdown();
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(Instant::now().as_ns())
    }

    fn unix_seconds(&self) -> u64 {
        wall_ns().unwrap_or(0) / 1_000_000_000
    }

    async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        executor::timeout(limit, future).await.ok()
    }

    fn is_closing(&self) -> bool {
        is_shutting_down()
    }

    async fn closing(&self) {
        shutdown().await;
    }

    fn log(&self, line: fmt::Arguments<'_>) {
        guest::println!("{line}");
    }
}
