//! What to answer: from a request and the site to a reply, as a value.

use core::ops::Range;

use crate::conditional::{self, Condition};
use crate::head::Head;
use crate::negotiate::negotiate;
use crate::range::{self, Part};
use crate::site::{File, Site, Target, Variant};
use crate::status::Status;
use crate::target::{self, MAX_PATH_BYTES};

/// An answer before it is written.
#[derive(Debug)]
pub(crate) enum Reply<'b> {
    /// A file, whole.
    Whole(&'static File, &'static Variant),
    /// A part of it.
    Part(&'static File, &'static Variant, Range<usize>),
    /// The client has it already.
    NotModified(&'static File, &'static Variant),
    /// The range asked for lies behind its end.
    Unsatisfiable(&'static Variant),
    /// The path of a directory, and the query to take along.
    Redirect(&'static str, &'b str),
    /// The site's own page for paths that it does not have.
    Missing(&'static File, &'static Variant),
    /// Any other status, with a line of text.
    Error(Status),
}

/// Chooses the answer to a request whose framing is sound.
pub(crate) fn choose<'b>(head: &Head<'_, 'b>, site: &Site) -> Reply<'b> {
    match head.method {
        "GET" | "HEAD" => {}
        "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" | "TRACE" | "CONNECT" => {
            return Reply::Error(Status::MethodNotAllowed);
        }
        _ => return Reply::Error(Status::NotImplemented),
    }
    let mut buffer = [0; MAX_PATH_BYTES];
    let found = target::split(head.target)
        .and_then(|parts| Ok((site.find(target::decode(parts.path, &mut buffer)?), parts.query)));
    match found {
        Err(status) => Reply::Error(status),
        Ok((Some(Target::Redirect(path)), query)) => Reply::Redirect(path, query),
        Ok((Some(Target::File(file)), _)) => choose_form(head, site, file),
        Ok((None, _)) => match site.not_found {
            Some(file) => Reply::Missing(file, negotiate(file, head.all("accept-encoding"))),
            None => Reply::Error(Status::NotFound),
        },
    }
}

/// Chooses the variant of a file, and how much of it is sent.
fn choose_form(head: &Head<'_, '_>, site: &Site, file: &'static File) -> Reply<'static> {
    let variant = negotiate(file, head.all("accept-encoding"));
    match conditional::evaluate(head, variant.etag, site.last_modified) {
        Condition::Proceed => {}
        Condition::Stop(Status::NotModified) => return Reply::NotModified(file, variant),
        Condition::Stop(status) => return Reply::Error(status),
    }
    let range = head.one("range").filter(|_| head.method == "GET");
    match range.filter(|_| conditional::range_applies(head, variant.etag, site.last_modified)) {
        None => Reply::Whole(file, variant),
        Some(range) => match range::part(range, variant.body.len()) {
            Part::Whole => Reply::Whole(file, variant),
            Part::Bytes(bytes) => Reply::Part(file, variant, bytes),
            Part::Unsatisfiable => Reply::Unsatisfiable(variant),
        },
    }
}
