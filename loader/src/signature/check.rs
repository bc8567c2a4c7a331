//! Checking an image against the keys that its user trusts.

use std::io::ErrorKind;
use std::path::Path;

use minisign_verify::{Error, Signature};

use super::{SignatureError, key_id, read, signature_path};

/// A public key.
#[derive(Clone, Debug)]
pub struct PublicKey {
    key: minisign_verify::PublicKey,
    /// Its identifier, as minisign shows it.
    pub id: String,
}

/// What a good signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Identifier of the key that made it.
    pub key_id: String,
    /// The comment that was signed with the image, without control characters.
    pub comment: String,
}

impl PublicKey {
    /// A key as a person names it: the file, or the line of 56 characters that begins with `RW` in it.
    ///
    /// # Errors
    /// [`SignatureError`] if it is no readable public key.
    pub fn named(name: &str) -> Result<Self, SignatureError> {
        if let Ok(key) = Self::from_line(name) {
            return Ok(key);
        }
        let path = Path::new(name);
        let text = read(path)?;
        let malformed = |reason| SignatureError::Malformed { path: path.to_owned(), reason };
        let line = text.lines().nth(1).ok_or_else(|| malformed("it has no second line".to_owned()))?;
        Self::from_line(line.trim_end()).map_err(malformed)
    }

    fn from_line(line: &str) -> Result<Self, String> {
        let key = minisign_verify::PublicKey::from_base64(line).map_err(|error| error.to_string())?;
        // The library keeps the identifier to itself.
        let with_id = minisign::PublicKey::from_base64(line).map_err(|error| error.to_string())?;
        Ok(Self { key, id: key_id(with_id.keynum()) })
    }
}

/// Checks that one of `keys` has signed `bytes`, which are those of the image file at `image`.
///
/// # Errors
/// [`SignatureError`]: there is no signature, it is another key's, or image or signature have changed since.
pub fn check(image: &Path, bytes: &[u8], keys: &[PublicKey]) -> Result<Signed, SignatureError> {
    let path = signature_path(image);
    let text = match read(&path) {
        Err(SignatureError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Err(SignatureError::Unsigned { image: image.to_owned() });
        }
        Err(error) => return Err(SignatureError::Unreadable { path, reason: error.to_string() }),
        Ok(text) => text,
    };
    let signature = Signature::decode(&text)
        .map_err(|error| SignatureError::Unreadable { path: path.clone(), reason: error.to_string() })?;
    for key in keys {
        match key.key.verify(bytes, &signature, false) {
            Ok(()) => {
                let comment = signature.trusted_comment().replace(char::is_control, " ");
                return Ok(Signed { key_id: key.id.clone(), comment });
            }
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => {
                return Err(SignatureError::Legacy { image: image.to_owned() });
            }
            Err(_) => {
                return Err(SignatureError::Changed { image: image.to_owned(), key: key.id.clone() });
            }
        }
    }
    // The checking library does not say whose signature it is.
    let found = minisign::SignatureBox::from_string(&text).map(|signature| key_id(signature.keynum()));
    let required: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    Err(SignatureError::OtherKey {
        image: image.to_owned(),
        found: found.unwrap_or_else(|_| "?".to_owned()),
        required: required.join(" or "),
    })
}
