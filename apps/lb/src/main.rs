//! A TCP load balancer in ring 3. What it is to do is part of the image: see `lb.toml`.
//!
//! `ringwall run apps/lb --publish 8080:80 --allow tcp:127.0.0.1:8001 -- backends=10.0.2.2:8001` leads the host's port 8080 to
//! its port 8001. SIGTERM: nobody new is taken, and those who are there finish.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod balancer;
mod page;
mod probe;
mod relay;
mod session;

use alloc::boxed::Box;

use guest::executor::spawn;
use guest::log::{error, info};
use guest::net::{self, ListenOptions, TcpListener};
use lb::BAKED;
use lb::config::Config;

use crate::balancer::Balancer;

guest::appliance! { main: main, memory: 96 * guest::MIB, nics: ["net"] }

/// Wrong boot arguments.
const USAGE: u8 = 2;
/// No network, or a port that cannot be listened on.
const FAILED: u8 = 1;

async fn main() -> u8 {
    match Config::from_parts(BAKED, guest::args()) {
        Ok(config) => run(config).await.map_or_else(
            |error| {
                error!("{error}");
                FAILED
            },
            |()| 0,
        ),
        Err(wrong) => {
            error!("{wrong}");
            USAGE
        }
    }
}

async fn run(config: Config) -> net::Result<()> {
    net::up().await?;
    // One for as long as the appliance lives, so that every task may refer to it.
    let balancer = &*Box::leak(Box::new(Balancer::new(config)));
    let options = ListenOptions { backlog: balancer.config.backlog, buffers: balancer.buffers };
    let listener = TcpListener::bind_with(balancer.config.listen, options)?;
    if let Some(port) = balancer.config.status {
        page::publish(balancer, port)?;
    }
    for backend in balancer.backends.iter() {
        spawn(probe::watch(balancer, backend)).detach();
    }
    let (port, backends) = (listener.port(), balancer.config.backends.len());
    info!("port {port} leads to {backends} backends, at most {} connections", balancer.max_connections);
    balancer.accept_until_shutdown(&listener).await;
    balancer.drain(listener).await;
    Ok(())
}
