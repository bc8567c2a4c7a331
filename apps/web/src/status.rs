//! The status codes this server gives, and the bodies of its errors.

macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $line:literal,)*) => {
        /// A status that this server answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Status {
            $($(#[$meta])* $name,)*
        }

        impl Status {
            /// Every status.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Code and reason, as the status line has them.
            #[must_use]
            pub(crate) const fn line(self) -> &'static str {
                match self { $(Self::$name => $line,)* }
            }

            /// The body that explains an error: the status line as text.
            #[must_use]
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!($line, "\n"),)* }
            }
        }
    };
}

statuses! {
    /// The file follows.
    Ok = "200 OK",
    /// A part of the file follows.
    PartialContent = "206 Partial Content",
    /// A directory was named without its slash.
    MovedPermanently = "301 Moved Permanently",
    /// The client has this variant already.
    NotModified = "304 Not Modified",
    /// Not HTTP, or not a request that means one thing only.
    BadRequest = "400 Bad Request",
    /// The site has no such file.
    NotFound = "404 Not Found",
    /// A method that exists, but not for a static file.
    MethodNotAllowed = "405 Method Not Allowed",
    /// The head did not arrive in time.
    RequestTimeout = "408 Request Timeout",
    /// `If-Match` or `If-Unmodified-Since` does not hold.
    PreconditionFailed = "412 Precondition Failed",
    /// The request target alone is too long.
    UriTooLong = "414 URI Too Long",
    /// The range begins behind the end.
    RangeNotSatisfiable = "416 Range Not Satisfiable",
    /// An expectation other than `100-continue`.
    ExpectationFailed = "417 Expectation Failed",
    /// The head is too long or has too many fields.
    HeaderFieldsTooLarge = "431 Request Header Fields Too Large",
    /// A method or transfer coding that this server has never heard of.
    NotImplemented = "501 Not Implemented",
    /// Too many connections.
    ServiceUnavailable = "503 Service Unavailable",
    /// Neither HTTP/1.0 nor HTTP/1.1.
    VersionNotSupported = "505 HTTP Version Not Supported",
}

impl Status {
    /// The three digits.
    #[must_use]
    pub(crate) fn code(self) -> &'static str {
        self.line().split(' ').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_three_digits_and_a_reason() {
        for status in Status::ALL {
            assert!(status.code().len() == 3 && status.code().bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(status.line().as_bytes()[3], b' ');
        }
    }
}
