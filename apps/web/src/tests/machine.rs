//! A machine of the tests' own: a client that follows a script, and a clock that moves only when nothing else can.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

use crate::site::{File, Route, Site, Target, Variant};
use crate::{Coding, Host, Limits, Server};

const NEVER: Duration = Duration::MAX;

/// What the client does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Pause(u64),
    Fail,
}

/// A client, and the conditions it meets.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) script: Vec<Step>,
    /// Most bytes one write takes.
    pub(super) write_bytes: usize,
    /// Bytes after which the client takes no more.
    pub(super) stall_after: usize,
    /// Second at which the host asks for the end.
    pub(super) closing_at: Duration,
    pub(super) site: &'static Site,
}

/// What happened.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) writes: Vec<Vec<u8>>,
    pub(super) ended_at: Duration,
    pub(super) log: Vec<String>,
    pub(super) wall_readings: u32,
}

impl Client {
    /// A client that sends `bytes`, then ends its side.
    pub(super) fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self::with_script(vec![Step::Send(bytes.as_ref().to_vec())])
    }

    pub(super) fn with_script(script: Vec<Step>) -> Self {
        Self { script, write_bytes: usize::MAX, stall_after: usize::MAX, closing_at: NEVER, site: &SITE }
    }

    /// Has the client served.
    pub(super) fn run(&self) -> Outcome {
        self.meet(Limits::default())
    }

    /// Has the client meet a server without room.
    pub(super) fn refused(&self) -> Outcome {
        self.meet(Limits { max_connections: 0, ..Limits::default() })
    }

    fn meet(&self, limits: Limits) -> Outcome {
        let start = Duration::from_secs(100);
        let machine = Rc::new(Machine {
            now: Cell::new(start),
            next: Cell::new(NEVER),
            closing_at: self.closing_at.saturating_add(start),
            log: RefCell::default(),
            wall_readings: Cell::new(0),
        });
        let writes = Rc::new(RefCell::new(Vec::new()));
        let stream = Stream {
            machine: Rc::clone(&machine),
            script: self.script.clone().into(),
            resume_at: None,
            writes: Rc::clone(&writes),
            write_bytes: self.write_bytes,
            left_bytes: self.stall_after,
            has_ended: false,
        };
        let server = Server::new(Rc::clone(&machine), self.site, limits, true);
        embassy_futures::block_on(server.admit().unwrap().serve(stream, "client"));
        assert_eq!(server.connections(), 0);
        Outcome {
            writes: writes.take(),
            ended_at: machine.now.get() - start,
            log: machine.log.take(),
            wall_readings: machine.wall_readings.get(),
        }
    }
}

impl Outcome {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.writes.concat()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// Status codes of all answers, none of which may be to HEAD.
    pub(super) fn codes(&self) -> Vec<u16> {
        self.answers().iter().map(|answer| answer.code).collect()
    }

    /// The answers, taken apart by their lengths.
    pub(super) fn answers(&self) -> Vec<Answer> {
        let bytes = self.bytes();
        let mut rest = &bytes[..];
        let mut answers = Vec::new();
        while !rest.is_empty() {
            let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            let code = head[9..12].parse().unwrap();
            let field =
                |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let size_bytes = field("Content-Length: ").map_or(0, |value| value.parse().unwrap());
            let body = rest[end..end + size_bytes].to_vec();
            rest = &rest[end + size_bytes..];
            answers.push(Answer { code, head, body });
        }
        answers
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find_map(|(field, value)| (field == name).then_some(value))
    }
}

#[derive(Debug)]
struct Machine {
    now: Cell<Duration>,
    /// The next moment at which something that is pending can go on.
    next: Cell<Duration>,
    closing_at: Duration,
    log: RefCell<Vec<String>>,
    wall_readings: Cell<u32>,
}

impl Machine {
    fn until<T>(&self, moment: Duration) -> Poll<T> {
        self.next.set(self.next.get().min(moment));
        Poll::Pending
    }
}

impl Host for Rc<Machine> {
    type Stream = Stream;

    fn end(&self, stream: &mut Stream) {
        stream.has_ended = true;
    }

    fn now(&self) -> Duration {
        self.now.get()
    }

    fn unix_seconds(&self) -> u64 {
        self.wall_readings.set(self.wall_readings.get() + 1);
        784_111_777
    }

    async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let deadline = self.now.get().saturating_add(limit);
        let mut future = pin!(future);
        poll_fn(|context| {
            loop {
                self.next.set(NEVER);
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Some(output));
                }
                if self.next.get() > deadline {
                    self.now.set(deadline);
                    return Poll::Ready(None);
                }
                self.now.set(self.next.get());
            }
        })
        .await
    }

    fn is_closing(&self) -> bool {
        self.now.get() >= self.closing_at
    }

    async fn closing(&self) {
        poll_fn(|_| if self.is_closing() { Poll::Ready(()) } else { self.until(self.closing_at) }).await;
    }

    fn log(&self, line: fmt::Arguments<'_>) {
        self.log.borrow_mut().push(line.to_string());
    }
}

#[derive(Debug)]
struct Stream {
    machine: Rc<Machine>,
    script: VecDeque<Step>,
    resume_at: Option<Duration>,
    writes: Rc<RefCell<Vec<Vec<u8>>>>,
    write_bytes: usize,
    left_bytes: usize,
    has_ended: bool,
}

impl ErrorType for Stream {
    type Error = ErrorKind;
}

impl Read for Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        assert!(!buffer.is_empty(), "a read into nothing cannot be told from the end");
        poll_fn(|_| {
            loop {
                match self.script.front_mut() {
                    None => return Poll::Ready(Ok(0)),
                    Some(Step::Fail) => return Poll::Ready(Err(ErrorKind::ConnectionReset)),
                    Some(Step::Send(bytes)) if bytes.is_empty() => {}
                    Some(Step::Send(bytes)) => {
                        let count = bytes.len().min(buffer.len());
                        buffer[..count].copy_from_slice(&bytes[..count]);
                        bytes.drain(..count);
                        return Poll::Ready(Ok(count));
                    }
                    Some(Step::Pause(seconds)) => {
                        let now = self.machine.now.get();
                        let resume_at = *self.resume_at.get_or_insert(now + Duration::from_secs(*seconds));
                        if now < resume_at {
                            return self.machine.until(resume_at);
                        }
                        self.resume_at = None;
                    }
                }
                self.script.pop_front();
            }
        })
        .await
    }
}

impl Write for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        assert!(!self.has_ended, "a write behind the end");
        let count = bytes.len().min(self.write_bytes).min(self.left_bytes);
        if count == 0 {
            core::future::pending::<()>().await;
        }
        self.left_bytes -= count;
        self.writes.borrow_mut().push(bytes[..count].to_vec());
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

const fn variant(coding: Coding, etag: &'static str, body: &'static [u8]) -> Variant {
    Variant { coding, etag, body }
}

/// Bytes of which no two runs look alike for a while.
const fn numbered<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut index = 1;
    while index < N {
        bytes[index] = (bytes[index - 1] + 1) % 251;
        index += 1;
    }
    bytes
}

/// Body of `/data.bin`.
pub(super) static DATA: [u8; 5000] = numbered();

static PAGE: File = File {
    content_type: "text/html; charset=utf-8",
    is_document: true,
    identity: variant(Coding::Identity, "\"page\"", b"<p>Hello, hello</p>\n"),
    compressed: &[
        variant(Coding::Gzip, "\"page-gz\"", b"GZIP"),
        variant(Coding::Brotli, "\"page-br\"", b"BR"),
    ],
};
static BLOB: File = File {
    content_type: "application/octet-stream",
    is_document: false,
    identity: variant(Coding::Identity, "\"data\"", &DATA),
    compressed: &[],
};
static EMPTY: File = File {
    content_type: "text/plain; charset=utf-8",
    is_document: false,
    identity: variant(Coding::Identity, "\"empty\"", b""),
    compressed: &[],
};
static MISSING: File = File {
    content_type: "text/html; charset=utf-8",
    is_document: true,
    identity: variant(Coding::Identity, "\"missing\"", b"<p>Gone</p>\n"),
    compressed: &[],
};

const ROUTES: &[Route] = &[
    Route { path: "/", target: Target::File(&PAGE) },
    Route { path: "/a b", target: Target::Redirect("/a%20b/") },
    Route { path: "/a b/", target: Target::File(&PAGE) },
    Route { path: "/data.bin", target: Target::File(&BLOB) },
    Route { path: "/empty", target: Target::File(&EMPTY) },
];

/// A small site with one of everything.
pub(super) static SITE: Site =
    Site { routes: ROUTES, not_found: None, policy: "POLICY", last_modified: None };
/// The same with a date and a page for what is missing.
pub(super) static DATED: Site = Site {
    routes: ROUTES,
    not_found: Some(&MISSING),
    policy: "POLICY",
    last_modified: Some("Sat, 05 Nov 1994 00:00:00 GMT"),
};
