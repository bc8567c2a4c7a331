//! The forms of one file: content type, compressed bodies, entity tags.

use std::fmt::Write as _;
use std::io::Write as _;

use sha2::Digest as _;

/// How a body is coded, and the body.
pub(crate) struct Variant {
    /// Name of the variant of `web::Coding`.
    pub coding: &'static str,
    /// Strong entity tag, without its quotes.
    pub etag: String,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Variant {
    pub(crate) fn new(coding: &'static str, body: Vec<u8>) -> Self {
        let mut etag = String::new();
        for byte in &sha2::Sha256::digest(&body)[..16] {
            // Writing to a string cannot fail.
            let _ = write!(etag, "{byte:02x}");
        }
        Self { coding, etag, body }
    }
}

/// The content type of a file, by its name.
pub(crate) fn content_type(path: &str) -> String {
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let is_text = mime.type_() == mime_guess::mime::TEXT
        || matches!(mime.essence_str(), "application/javascript" | "application/xml");
    if is_text { format!("{}; charset=utf-8", mime.essence_str()) } else { mime.essence_str().to_owned() }
}

/// Compressed variants of `body`, those that save at least a twentieth.
pub(crate) fn compressed(content_type: &str, body: &[u8]) -> std::io::Result<Vec<Variant>> {
    let mut variants = Vec::new();
    if is_compressed_already(content_type) {
        return Ok(variants);
    }
    for (coding, smaller) in [("Gzip", gzip(body)?), ("Brotli", brotli(body)?)] {
        if smaller.len() + body.len() / 20 < body.len() {
            variants.push(Variant::new(coding, smaller));
        }
    }
    Ok(variants)
}

/// Formats that hold compressed data of their own: trying again costs build time and gains nothing.
fn is_compressed_already(content_type: &str) -> bool {
    let is_picture = content_type.starts_with("image/")
        && !matches!(
            content_type,
            "image/svg+xml" | "image/bmp" | "image/x-icon" | "image/vnd.microsoft.icon"
        );
    let is_archive = matches!(
        content_type,
        "application/zip"
            | "application/gzip"
            | "application/x-xz"
            | "application/zstd"
            | "application/x-7z-compressed"
    );
    let is_web_font = matches!(content_type, "font/woff" | "font/woff2" | "application/font-woff");
    is_picture
        || is_archive
        || is_web_font
        || content_type.starts_with("video/")
        || content_type.starts_with("audio/")
}

/// RFC 1952, without a name and a time, so that equal bodies stay equal.
fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body)?;
    encoder.finish()
}

/// RFC 7932 at its best quality.
fn brotli(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let parameters =
        brotli::enc::BrotliEncoderParams { quality: 11, size_hint: body.len(), ..Default::default() };
    let mut output = Vec::new();
    brotli::BrotliCompress(&mut &*body, &mut output, &parameters)?;
    Ok(output)
}
