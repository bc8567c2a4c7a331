//! A small HTTP/1.1 client: enough to see exactly what a server sends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a byte. Far above what any answer needs: who meets it has hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept alive.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Fields, names in lower case, in order.
    pub fields: Vec<(String, String)>,
    /// Body, as long as `Content-Length` says.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// If nobody answers.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the port is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("no delay can be set");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a request with fields of the caller's (each line ended by CR LF) and reads the response.
    ///
    /// # Panics
    /// If what comes back is no response.
    pub fn request(&mut self, method: &str, path: &str, fields: &str) -> Response {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        self.stream.get_mut().write_all(head.as_bytes()).expect("the connection is open");
        self.response(method == "HEAD")
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// If the connection is closed.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the connection is open");
    }

    /// Reads a response; `head_only` says that no body follows whatever the length field says.
    ///
    /// # Panics
    /// If what comes is no response.
    pub fn response(&mut self, head_only: bool) -> Response {
        let status = self.line();
        let status = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let mut response =
            Response { status: status.expect("a status line"), fields: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            response.fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        if !head_only && let Some(length) = response.field("content-length") {
            response.body.resize(length.parse().expect("a length"), 0);
            self.stream.read_exact(&mut response.body).expect("as many bytes as announced");
        }
        response
    }

    /// Whether the server has closed the connection, with nothing left to read.
    ///
    /// # Panics
    /// If it neither closes nor sends.
    pub fn is_closed(&mut self) -> bool {
        self.stream.fill_buf().expect("the end, or something").is_empty()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

impl Response {
    /// First field of a name in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
