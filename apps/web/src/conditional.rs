//! Conditional requests (RFC 9110, section 13): does the client have this variant already?
//!
//! Dates are compared as text. All files carry the one date of the build, so a date that differs was never ours.

use crate::head::Head;
use crate::status::Status;

/// What the conditions of a request leave of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Answer as if there were none.
    Proceed,
    /// Answer with this status and no body.
    Stop(Status),
}

/// Evaluates the conditions of a GET or HEAD, in the order of section 13.2.2.
pub(crate) fn evaluate(head: &Head<'_, '_>, etag: &str, last_modified: Option<&str>) -> Condition {
    if head.has("if-match") {
        if !lists(head.all("if-match"), etag, Comparison::Strong) {
            return Condition::Stop(Status::PreconditionFailed);
        }
    } else if let (Some(date), Some(ours)) = (head.one("if-unmodified-since"), last_modified)
        && date != ours.as_bytes()
    {
        return Condition::Stop(Status::PreconditionFailed);
    }
    let is_known = if head.has("if-none-match") {
        lists(head.all("if-none-match"), etag, Comparison::Weak)
    } else {
        last_modified.is_some_and(|ours| head.one("if-modified-since") == Some(ours.as_bytes()))
    };
    if is_known { Condition::Stop(Status::NotModified) } else { Condition::Proceed }
}

/// Whether `If-Range` lets a range through: it is absent, or names this variant.
pub(crate) fn range_applies(head: &Head<'_, '_>, etag: &str, last_modified: Option<&str>) -> bool {
    if !head.has("if-range") {
        return true;
    }
    head.one("if-range").is_some_and(|validator| {
        validator == etag.as_bytes() || last_modified.is_some_and(|ours| validator == ours.as_bytes())
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags has `etag`, or is `*`. A comma may stand inside a tag, but never in one of ours, so that
/// splitting at commas cannot make a false match.
fn lists<'a>(fields: impl Iterator<Item = &'a [u8]>, etag: &str, comparison: Comparison) -> bool {
    fields.flat_map(|field| field.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii).any(|tag| {
        let opaque = match comparison {
            Comparison::Strong => tag,
            Comparison::Weak => tag.strip_prefix(b"W/").unwrap_or(tag),
        };
        tag == b"*" || opaque == etag.as_bytes()
    })
}
