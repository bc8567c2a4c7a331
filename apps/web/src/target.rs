//! From a request target to a path of the site.

use crate::status::Status;

/// Longest path, decoded or not, that is looked at. Longer ones are answered with 414.
pub const MAX_PATH_BYTES: usize = 1024;

/// A request target taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query, question mark included, or nothing.
    pub query: &'a str,
}

/// Splits an origin-form (`/a?b`) or absolute-form (`http://host/a?b`) target.
///
/// # Errors
/// 400 for anything else.
pub(crate) fn split(target: &str) -> Result<Parts<'_>, Status> {
    if target.bytes().any(|byte| byte == b'#' || !byte.is_ascii_graphic()) {
        return Err(Status::BadRequest);
    }
    let local = if target.starts_with('/') { target } else { after_authority(target)? };
    let (path, query) = local.split_at(local.find('?').unwrap_or(local.len()));
    Ok(Parts { path: if path.is_empty() { "/" } else { path }, query })
}

/// What follows the authority of an absolute-form target: a path, a query, or nothing.
fn after_authority(target: &str) -> Result<&str, Status> {
    let (scheme, rest) = target.split_once("://").ok_or(Status::BadRequest)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Status::BadRequest);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, local) = rest.split_at(end);
    if is_authority(authority.as_bytes()) { Ok(local) } else { Err(Status::BadRequest) }
}

/// Whether bytes can be the host and port of a URI. Syntax in detail is not checked: names choose nothing here.
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}

/// Decodes a path into `buffer` where it has escapes; else returns it as it is.
///
/// # Errors
/// 414 if it is longer than [`MAX_PATH_BYTES`]; 400 for a bad escape, a NUL, or a `.` or `..` segment: paths are names
/// here, and nothing may look like walking.
pub(crate) fn decode<'a>(path: &'a str, buffer: &'a mut [u8; MAX_PATH_BYTES]) -> Result<&'a [u8], Status> {
    if path.len() > MAX_PATH_BYTES {
        return Err(Status::UriTooLong);
    }
    let decoded = if path.contains('%') { unescape(path, buffer)? } else { path.as_bytes() };
    let walks = |segment: &[u8]| segment == b"." || segment == b"..";
    if decoded.contains(&0) || decoded.split(|&byte| byte == b'/').any(walks) {
        return Err(Status::BadRequest);
    }
    Ok(decoded)
}

fn unescape<'a>(path: &str, buffer: &'a mut [u8; MAX_PATH_BYTES]) -> Result<&'a [u8], Status> {
    let mut bytes = path.bytes();
    let mut len = 0;
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' { escape(bytes.next(), bytes.next())? } else { byte };
        *buffer.get_mut(len).ok_or(Status::UriTooLong)? = decoded;
        len += 1;
    }
    Ok(&buffer[..len])
}

fn escape(high: Option<u8>, low: Option<u8>) -> Result<u8, Status> {
    let nibble = |digit: Option<u8>| {
        digit.and_then(|digit| char::from(digit).to_digit(16)).and_then(|value| u8::try_from(value).ok())
    };
    match (nibble(high), nibble(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(Status::BadRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn decoded(path: &str) -> Result<Vec<u8>, Status> {
        decode(path, &mut [0; MAX_PATH_BYTES]).map(<[u8]>::to_vec)
    }

    #[test]
    fn targets_split_into_path_and_query() {
        let parts = |path, query| Ok(Parts { path, query });
        assert_eq!(split("/"), parts("/", ""));
        assert_eq!(split("/a/b?c?d"), parts("/a/b", "?c?d"));
        assert_eq!(split("http://host/a?b"), parts("/a", "?b"));
        assert_eq!(split("HTTPS://host:80"), parts("/", ""));
        assert_eq!(split("http://[::1]:80?q"), parts("/", "?q"));
        for target in ["", "a", "*", "host:80", "ftp://host/", "http://", "http:///a", "http://a@b/", "/a#b"]
        {
            assert_eq!(split(target), Err(Status::BadRequest), "{target}");
        }
    }

    #[test]
    fn paths_are_decoded_once_and_never_walk() {
        assert_eq!(decoded("/a%20b%2fc").unwrap(), b"/a b/c");
        assert_eq!(decoded("/%2525").unwrap(), b"/%25");
        assert_eq!(decoded("/a..b/...").unwrap(), b"/a..b/...");
        assert_eq!(decoded("/%ff").unwrap(), b"/\xff");
        for path in ["/..", "/../a", "/a/./b", "/%2e%2E/", "/a%2f..", "/%", "/%4", "/%zz", "/%+1", "/%00"] {
            assert_eq!(decoded(path), Err(Status::BadRequest), "{path}");
        }
    }

    #[test]
    fn the_longest_path_is_exact() {
        let path = |len: usize| -> String {
            core::iter::once('/').chain(core::iter::repeat_n('a', len - 1)).collect()
        };
        assert!(decoded(&path(MAX_PATH_BYTES)).is_ok());
        assert_eq!(decoded(&path(MAX_PATH_BYTES + 1)), Err(Status::UriTooLong));
    }
}
