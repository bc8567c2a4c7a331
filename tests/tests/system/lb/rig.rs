//! A load balancer between sockets of the test's own.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt;
use tests::http::Client;
use tests::{App, Backend, Ringwall, Running};

/// Longest wait for anything. Far above what any needs: who meets it has hung.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A load balancer on the userspace network.
pub(super) struct Rig {
    pub(super) running: Running,
    /// Where clients go.
    pub(super) port: SocketAddr,
    status: SocketAddr,
}

impl Rig {
    /// Starts it with backends on loopback and further settings.
    pub(super) fn start(backend: Backend, backends: &[SocketAddr], settings: &[&str]) -> Self {
        // The gateway stands for this host's loopback.
        let list = backends.iter().map(|address| format!("10.0.2.2:{}", address.port())).collect::<Vec<_>>();
        let list = format!("backends={}", list.join(","));
        let running = Ringwall::run_app(backend, App::Lb)
            .args([
                "--publish",
                "0:80",
                "--publish",
                "0:8404",
                "--allow",
                "tcp:127.0.0.1:1-65535",
                "--grace",
                "60",
            ])
            .guest(&[&list])
            .guest(settings)
            .start();
        let _ = running.stdout.line_with("port 80 leads to");
        let published = |port: &str| {
            let line = running.stderr.line_with(&format!(" (tcp) leads to port {port} "));
            line.split(' ').find_map(|word| word.parse().ok()).unwrap()
        };
        let (port, status) = (published("80"), published("8404"));
        Self { running, port, status }
    }

    /// A client's connection.
    pub(super) fn connect(&self) -> TcpStream {
        connect(self.port)
    }

    /// A counter of the status page.
    pub(super) fn count(&self, name: &str) -> u64 {
        let page = self.page();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in\n{page}"))
    }

    /// A counter of a backend.
    pub(super) fn count_of(&self, backend: SocketAddr, name: &str) -> u64 {
        self.count(&format!("lb_backend_{name}{{backend=\"10.0.2.2:{}\"}}", backend.port()))
    }

    /// Waits until a condition holds.
    pub(super) fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        for _ in 0..3_000 {
            if condition(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it never comes to that:\n{}", self.page());
    }

    /// Asks it to end, which it has to do with status 0, and gives what it has printed.
    pub(super) fn end(self) -> String {
        self.running.signal(rustix::process::Signal::TERM);
        self.running.wait().expect(0).stdout
    }

    pub(super) fn status_url(&self) -> String {
        format!("http://{}/", self.status)
    }

    fn page(&self) -> String {
        let response = Client::connect(self.status).request("GET", "/", "");
        assert_eq!(response.status, 200);
        String::from_utf8(response.body).unwrap()
    }
}

/// A backend's listening socket.
pub(super) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The next connection that carries something; health checks end without a byte. Its first byte has been read.
pub(super) fn accept(listener: &TcpListener) -> (TcpStream, u8) {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut first = [0];
        match stream.read(&mut first) {
            Ok(1) => return (stream, first[0]),
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// A backend that answers every connection with its number and then echoes, until the program ends.
pub(super) fn echo(number: u8) -> SocketAddr {
    let (listener, address) = listen();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                // Whoever is on the other side may break off at any time.
                let _ = stream
                    .write_all(&[number])
                    .and_then(|()| std::io::copy(&mut stream.try_clone()?, &mut stream));
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The number of the backend that a connection has got.
pub(super) fn number(stream: &mut TcpStream) -> u8 {
    let mut number = [0];
    stream.read_exact(&mut number).unwrap();
    number[0]
}

/// Sends some bytes and reads as many.
pub(super) fn exchange(stream: &mut TcpStream, data: &[u8]) {
    stream.write_all(data).unwrap();
    let mut echoed = vec![0; data.len()];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(echoed, data);
}

/// Whether a connection has ended in order, with nothing left to read.
pub(super) fn is_ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0))
}

/// Breaks a connection off with a reset.
pub(super) fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}
