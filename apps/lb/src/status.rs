//! The status page: counters in the text format of Prometheus.

use alloc::string::String;
use core::fmt::Write as _;

use crate::balance::{Backend, Backends};
use crate::counters::Counters;

/// A number of a backend's.
type Value = fn(&Backend) -> u64;

/// What the page is about.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The appliance's counters.
    pub counters: &'a Counters,
    /// The backends, with theirs.
    pub backends: &'a Backends,
    /// Connections now.
    pub connections: usize,
    /// Most at a time.
    pub max_connections: usize,
    /// Whether it is shutting down.
    pub draining: bool,
}

impl Status<'_> {
    /// The whole answer to a request whose head begins with `head`: the page, without its body for HEAD, or a refusal.
    #[must_use]
    pub fn answer(&self, head: &[u8]) -> String {
        let is_head = head.starts_with(b"HEAD /");
        let mut answer = String::new();
        // Writing to a string cannot fail.
        let _written = if is_head || head.starts_with(b"GET /") {
            let page = self.page();
            let body = if is_head { "" } else { &page };
            write!(
                answer,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
                 Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
                page.len()
            )
        } else {
            write!(
                answer,
                "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        };
        answer
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        let counters = self.counters;
        let mut page = String::new();
        for (name, value) in [
            ("connections", self.connections as u64),
            ("connections_max", self.max_connections as u64),
            ("draining", self.draining.into()),
            ("accepted_total", counters.accepted.get()),
            ("turned_away_total", counters.turned_away.get()),
            ("retried_total", counters.retried.get()),
            ("finished_total", counters.finished.get()),
            ("client_failed_total", counters.client_failed.get()),
            ("backend_failed_total", counters.backend_failed.get()),
            ("idle_total", counters.idle.get()),
            ("cut_total", counters.cut.get()),
        ] {
            let _written = writeln!(page, "lb_{name} {value}");
        }
        let rows: [(&str, Value); 7] = [
            ("up", |backend| backend.health.is_up().into()),
            ("connections", |backend| backend.connections() as u64),
            ("connections_total", |backend| backend.counters.connections.get()),
            ("refused_total", |backend| backend.counters.refused.get()),
            ("checks_failed_total", |backend| backend.counters.checks_failed.get()),
            ("bytes_in_total", |backend| backend.counters.bytes_in.get()),
            ("bytes_out_total", |backend| backend.counters.bytes_out.get()),
        ];
        for (name, value) in rows {
            for backend in self.backends.iter() {
                let address = backend.address;
                let _written =
                    writeln!(page, "lb_backend_{name}{{backend=\"{address}\"}} {}", value(backend));
            }
        }
        page
    }
}
