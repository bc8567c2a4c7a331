//! The site as a table: every path that exists, and the bodies behind it.
//!
//! The table is written by the build script and lies, bodies included, in the image's read-only pages. Nothing is read,
//! compressed or hashed at run time.

use crate::negotiate::Coding;

/// A whole site.
#[derive(Debug)]
pub struct Site {
    /// Every path that has an answer, in ascending order of bytes.
    pub routes: &'static [Route],
    /// What stands behind a path that is not in `routes`, if the site has a `404.html`.
    pub not_found: Option<&'static File>,
    /// `Content-Security-Policy` of documents.
    pub policy: &'static str,
    /// `Last-Modified` of all files, if the build was given a date.
    pub last_modified: Option<&'static str>,
}

/// A path, decoded and beginning with a slash.
#[derive(Debug)]
pub struct Route {
    /// The path.
    pub path: &'static str,
    /// What is there.
    pub target: Target,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// A file.
    File(&'static File),
    /// Another path, percent-encoded: the directory's own, with the slash.
    Redirect(&'static str),
}

/// A file.
#[derive(Debug)]
pub struct File {
    /// `Content-Type`, with the character set where there is one.
    pub content_type: &'static str,
    /// Whether a browser may run or render it as a document, so that the policy applies.
    pub is_document: bool,
    /// The file itself.
    pub identity: Variant,
    /// The file compressed, in those codings that made it smaller.
    pub compressed: &'static [Variant],
}

/// One form of a file.
#[derive(Debug)]
pub struct Variant {
    /// How `body` is coded.
    pub coding: Coding,
    /// Strong entity tag of `body`, quotes included.
    pub etag: &'static str,
    /// The bytes.
    pub body: &'static [u8],
}

impl Site {
    /// What stands at a decoded path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<Target> {
        let index = self.routes.binary_search_by(|route| route.path.as_bytes().cmp(path)).ok()?;
        self.routes.get(index).map(|route| route.target)
    }
}
