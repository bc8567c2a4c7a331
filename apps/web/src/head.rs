//! A request head, and what its framing fields promise about the bytes that follow.

use core::mem::MaybeUninit;

use httparse::Header;

use crate::status::Status;
use crate::target;

/// Longest head. A longer one is answered with 431, or with 414 if its first line alone is longer.
pub const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Most fields in a head.
pub const MAX_FIELDS: usize = 64;
/// Longest request body that is read and thrown away, so that the connection can go on.
pub const MAX_DISCARD_BYTES: usize = 64 * 1024;

/// Room for the fields of a head while it is parsed.
pub(crate) type FieldSlots<'b> = [MaybeUninit<Header<'b>>; MAX_FIELDS];

/// A complete request head.
#[derive(Debug)]
pub(crate) struct Head<'h, 'b> {
    /// Its length, the empty line included.
    pub size_bytes: usize,
    /// The method, in the client's spelling.
    pub method: &'b str,
    /// The request target.
    pub target: &'b str,
    /// 0 or 1: the digit behind `HTTP/1.`.
    pub minor: u8,
    fields: &'h [Header<'b>],
}

/// What follows a head, and what happens to the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A body of this many bytes, possibly 0, then the next request.
    Next(usize),
    /// The client wants the connection closed.
    Last,
    /// A body that is not worth reading: the connection is closed.
    Abandoned,
}

impl Framing {
    /// The same, for a connection that shall end with this request.
    pub(crate) const fn without_next(self) -> Self {
        match self {
            Self::Next(0) | Self::Last => Self::Last,
            Self::Next(_) | Self::Abandoned => Self::Abandoned,
        }
    }
}

impl<'h, 'b> Head<'h, 'b> {
    /// Parses the head at the start of `input`. `None`: there is not enough of it yet.
    ///
    /// # Errors
    /// 400, 414, 431 or 505. The connection cannot go on after any of them.
    pub(crate) fn parse(input: &'b [u8], slots: &'h mut FieldSlots<'b>) -> Result<Option<Self>, Status> {
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(input, slots) {
            Ok(httparse::Status::Complete(size_bytes)) => Ok(Some(Self {
                size_bytes,
                method: request.method.unwrap_or_default(),
                target: request.path.unwrap_or_default(),
                minor: request.version.unwrap_or_default(),
                fields: request.headers,
            })),
            Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => Ok(None),
            Ok(httparse::Status::Partial) => Err(match first_line(input) {
                Some(_) => Status::HeaderFieldsTooLarge,
                None => Status::UriTooLong,
            }),
            Err(httparse::Error::TooManyHeaders) => Err(Status::HeaderFieldsTooLarge),
            Err(httparse::Error::Version) if names_version(input) => Err(Status::VersionNotSupported),
            Err(_) => Err(Status::BadRequest),
        }
    }

    /// Values of all fields of this name, in order, without surrounding white space.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &'b [u8]> {
        let is_named = move |field: &&Header<'b>| field.name.eq_ignore_ascii_case(name);
        self.fields.iter().filter(is_named).map(|field| field.value.trim_ascii())
    }

    /// The value of the only field of this name. `None` if there is none, or more than one.
    pub(crate) fn one(&self, name: &'static str) -> Option<&'b [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.all(name).next().is_some()
    }

    /// Whether a field that holds a list of words has this one.
    fn lists(&self, name: &'static str, word: &'static str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(|&byte| byte == b','));
        words.any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Checks the fields that decide where this request ends (RFC 9112, sections 3.2, 6 and 9.3).
    ///
    /// # Errors
    /// 400 where two readers could disagree, 417, 501. The connection cannot go on after any of them.
    pub(crate) fn framing(&self) -> Result<Framing, Status> {
        self.check_host()?;
        let body_bytes = self.content_length()?;
        if self.has("transfer-encoding") {
            if self.has("content-length") || self.minor == 0 {
                return Err(Status::BadRequest);
            }
            let is_chunked =
                self.one("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"));
            return if is_chunked { Ok(Framing::Abandoned) } else { Err(Status::NotImplemented) };
        }
        let expects = self.minor > 0 && self.has("expect");
        if expects && self.one("expect").is_none_or(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
            return Err(Status::ExpectationFailed);
        }
        // The final answer comes at once. A client that waits for 100 (Continue) may then send its body or not; nobody can
        // tell what its next bytes are.
        if body_bytes > MAX_DISCARD_BYTES || (expects && body_bytes > 0) {
            return Ok(Framing::Abandoned);
        }
        let keeps_alive =
            !self.lists("connection", "close") && (self.minor > 0 || self.lists("connection", "keep-alive"));
        let next = Framing::Next(body_bytes);
        Ok(if keeps_alive { next } else { next.without_next() })
    }

    /// HTTP/1.1 wants exactly one `Host`, 1.0 at most one; an empty one is a host too.
    fn check_host(&self) -> Result<(), Status> {
        match self.one("host") {
            Some(host) if host.is_empty() || target::is_authority(host) => Ok(()),
            None if self.minor == 0 && !self.has("host") => Ok(()),
            _ => Err(Status::BadRequest),
        }
    }

    /// Length of the body by `Content-Length`; 0 without one.
    fn content_length(&self) -> Result<usize, Status> {
        if !self.has("content-length") {
            return Ok(0);
        }
        let digits =
            self.one("content-length").filter(|value| !value.is_empty()).ok_or(Status::BadRequest)?;
        digits.iter().try_fold(0_usize, |value, digit| {
            let digit =
                digit.is_ascii_digit().then(|| usize::from(digit - b'0')).ok_or(Status::BadRequest)?;
            Ok(value.saturating_mul(10).saturating_add(digit))
        })
    }
}

/// The first line that is not empty, if all of it is there.
fn first_line(input: &[u8]) -> Option<&[u8]> {
    let start = input.iter().position(|byte| !b"\r\n".contains(byte))?;
    let line = input.get(start..)?;
    line.get(..line.iter().position(|&byte| byte == b'\n')?)
}

/// Whether the first line ends in what looks like a version of HTTP: it is then refused as that, not as nonsense.
fn names_version(input: &[u8]) -> bool {
    let start = input.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or_default();
    let line = input.get(start..).unwrap_or_default().split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.split(|&byte| byte == b' ').nth(2).is_some_and(|version| version.starts_with(b"HTTP/"))
}
