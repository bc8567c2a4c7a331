//! Making keys and signatures.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use minisign::{KeyPair, PublicKey, SecretKeyBox};

use super::{SignatureError, key_id, read, signature_path};

/// A secret key, unlocked. It is never shown: the library's own debug format would do that.
pub struct SecretKey(minisign::SecretKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SecretKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Reads a secret key. One that has a password is asked for it on the terminal.
    ///
    /// # Errors
    /// [`SignatureError`] if it is no key, or the password is wrong, or there is no terminal to ask for it.
    pub fn open(path: &Path) -> Result<Self, SignatureError> {
        let text = read(path)?;
        let boxed = || SecretKeyBox::from_string(&text);
        let unusable = |reason| SignatureError::SecretKey { path: path.to_owned(), reason };
        let without = match boxed().and_then(SecretKeyBox::into_unencrypted_secret_key) {
            Ok(key) => return Ok(Self(key)),
            Err(error) => error.to_string(),
        };
        // It may be that the key has a password; the library says so only by failing.
        if File::open("/dev/tty").is_err() {
            return Err(unusable(format!("{without}; there is no terminal to ask for a password")));
        }
        let key = boxed().and_then(|boxed| boxed.into_secret_key(None));
        key.map(Self).map_err(|error| unusable(error.to_string()))
    }

    /// Its identifier, which is its public key's as well.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(self.0.keynum())
    }

    /// Signs `bytes`, which are those of the image file at `image`, into the file beside it, whose path is returned.
    ///
    /// # Errors
    /// [`SignatureError`] if the file cannot be written.
    pub fn sign(&self, image: &Path, bytes: &[u8]) -> Result<PathBuf, SignatureError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = image.file_name().unwrap_or_default().to_string_lossy().replace(char::is_control, " ");
        // As minisign words it.
        let comment = format!("timestamp:{now}\tfile:{name}\thashed");
        let untrusted = format!("signature from ringwall, key {}", self.id());
        let signature = minisign::sign(None, &self.0, bytes, Some(&comment), Some(&untrusted))
            .map_err(|error| make("a signature", &error))?;
        let path = signature_path(image);
        fs::write(&path, signature.into_string())
            .map_err(|source| SignatureError::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

/// What [`new_key_pair`] has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKeyPair {
    /// The secret key's file, for its owner alone.
    pub secret: PathBuf,
    /// The public key's file.
    pub public: PathBuf,
    /// The public key as one line, which stands for its file.
    pub line: String,
    /// Identifier of both.
    pub id: String,
}

/// Makes a key pair: `NAME.key`, readable for its owner alone, and `NAME.pub`. With `password` the secret key is encrypted with
/// one that is asked for on the terminal.
///
/// # Errors
/// [`SignatureError`] if a file is there already or cannot be written, or there is no terminal to ask for the password.
pub fn new_key_pair(name: &Path, password: bool) -> Result<NewKeyPair, SignatureError> {
    let secret = name.with_added_extension("key");
    let public = name.with_added_extension("pub");
    for path in [&secret, &public] {
        // Before a person is asked for a password in vain. Creating the file refuses as well.
        if path.exists() {
            return Err(SignatureError::Write {
                path: path.clone(),
                source: std::io::ErrorKind::AlreadyExists.into(),
            });
        }
    }
    let pair = if password {
        KeyPair::generate_encrypted_keypair(None)
    } else {
        KeyPair::generate_unencrypted_keypair()
    };
    let pair = pair.map_err(|error| make("a key pair", &error))?;
    let id = key_id(pair.pk.keynum());
    let secret_text = pair.sk.to_box(Some(&format!("secret key {id} for signing Ringwall images")));
    let secret_text = secret_text.map_err(|error| make("a key pair", &error))?.into_string();
    create(&secret, 0o600, &secret_text)?;
    let line = PublicKey::to_base64(&pair.pk);
    create(&public, 0o644, &format!("untrusted comment: public key {id} for Ringwall images\n{line}\n"))?;
    Ok(NewKeyPair { secret, public, line, id })
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), SignatureError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| SignatureError::Write { path: path.to_owned(), source })
}

fn make(what: &'static str, error: &minisign::PError) -> SignatureError {
    SignatureError::Make { what, reason: error.to_string() }
}
