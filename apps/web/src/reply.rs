//! Writing a reply's head.
//!
//! Heads are short sequences of copies into the connection's output buffer. Bodies are never copied here: they are slices of
//! the image.

use alloc::vec::Vec;

use crate::choose::Reply;
use crate::date::DATE_BYTES;
use crate::negotiate::Coding;
use crate::site::{File, Site, Variant};
use crate::status::Status;

/// What every head says besides the reply itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    /// The site, for what its files have in common.
    pub site: &'a Site,
    /// `Date`.
    pub date: &'a [u8; DATE_BYTES],
    /// What to say about the connection, if anything.
    pub connection: Option<&'static str>,
}

impl Reply<'_> {
    /// The status of this reply.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Whole(..) => Status::Ok,
            Self::Part(..) => Status::PartialContent,
            Self::NotModified(..) => Status::NotModified,
            Self::Unsatisfiable(_) => Status::RangeNotSatisfiable,
            Self::Redirect(..) => Status::MovedPermanently,
            Self::Missing(..) => Status::NotFound,
            Self::Error(status) => *status,
        }
    }

    /// The body of this reply to a GET.
    pub(crate) fn body(&self) -> &'static [u8] {
        match self {
            Self::Whole(_, variant) | Self::Missing(_, variant) => variant.body,
            Self::Part(_, variant, bytes) => variant.body.get(bytes.clone()).unwrap_or_default(),
            Self::NotModified(..) => b"",
            Self::Unsatisfiable(_) | Self::Redirect(..) | Self::Error(_) => self.status().text().as_bytes(),
        }
    }

    /// Appends the head to `out`.
    pub(crate) fn write(&self, envelope: &Envelope<'_>, out: &mut Vec<u8>) {
        put(
            out,
            &[
                b"HTTP/1.1 ",
                self.status().line().as_bytes(),
                b"\r\nServer: ringwall\r\nDate: ",
                envelope.date,
            ],
        );
        put(out, &[b"\r\nX-Content-Type-Options: nosniff\r\n"]);
        if let Some(connection) = envelope.connection {
            field(out, "Connection", connection);
        }
        match self {
            Self::Whole(file, variant) => {
                put_validators(out, envelope.site, file, variant);
                put_content(out, envelope.site, file, variant);
            }
            Self::Part(file, variant, bytes) => {
                put_validators(out, envelope.site, file, variant);
                put_content(out, envelope.site, file, variant);
                put(out, &[b"Content-Range: bytes "]);
                number(out, bytes.start);
                put(out, &[b"-"]);
                number(out, bytes.end.saturating_sub(1));
                put(out, &[b"/"]);
                number(out, variant.body.len());
                put(out, &[b"\r\n"]);
            }
            Self::NotModified(file, variant) => put_validators(out, envelope.site, file, variant),
            Self::Missing(file, variant) => {
                put_vary(out, file);
                put_content(out, envelope.site, file, variant);
            }
            Self::Unsatisfiable(variant) => {
                put(out, &[b"Content-Range: bytes */"]);
                number(out, variant.body.len());
                put(out, &[b"\r\n"]);
                field(out, "Content-Type", TEXT);
            }
            Self::Redirect(path, query) => {
                put(out, &[b"Location: ", path.as_bytes(), query.as_bytes(), b"\r\n"]);
                field(out, "Content-Type", TEXT);
            }
            Self::Error(status) => {
                if *status == Status::MethodNotAllowed {
                    field(out, "Allow", "GET, HEAD");
                }
                field(out, "Content-Type", TEXT);
            }
        }
        if !matches!(self, Self::NotModified(..)) {
            put(out, &[b"Content-Length: "]);
            number(out, self.body().len());
            put(out, &[b"\r\n"]);
        }
        put(out, &[b"\r\n"]);
    }
}

/// Content type of the bodies that explain errors.
const TEXT: &str = "text/plain; charset=utf-8";

/// What lets a cache ask again cheaply. `no-cache` means "ask before each use": a new image is a new site at once.
fn put_validators(out: &mut Vec<u8>, site: &Site, file: &File, variant: &Variant) {
    put(out, &[b"Cache-Control: no-cache\r\nETag: ", variant.etag.as_bytes(), b"\r\n"]);
    if let Some(date) = site.last_modified {
        field(out, "Last-Modified", date);
    }
    put_vary(out, file);
}

fn put_vary(out: &mut Vec<u8>, file: &File) {
    if !file.compressed.is_empty() {
        field(out, "Vary", "Accept-Encoding");
    }
}

/// What the body is, and what a browser may do with it.
fn put_content(out: &mut Vec<u8>, site: &Site, file: &File, variant: &Variant) {
    field(out, "Accept-Ranges", "bytes");
    field(out, "Content-Type", file.content_type);
    if variant.coding != Coding::Identity {
        field(out, "Content-Encoding", variant.coding.token());
    }
    if file.is_document {
        field(out, "Content-Security-Policy", site.policy);
        field(out, "Referrer-Policy", "no-referrer");
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    put(out, &[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
}

fn number(out: &mut Vec<u8>, value: usize) {
    put(out, &[itoa::Buffer::new().format(value).as_bytes()]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
