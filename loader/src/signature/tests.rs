//! Keys and signatures in a folder of their own.

use std::os::unix::fs::PermissionsExt as _;

use hvcall::ExitCode;
use tempfile::TempDir;

use super::*;

/// A folder with an unencrypted key pair, and a signed file of `bytes`.
struct Desk {
    folder: TempDir,
    image: PathBuf,
    bytes: Vec<u8>,
    public: PublicKey,
}

impl Desk {
    fn new(bytes: &[u8]) -> Self {
        let folder = TempDir::new().unwrap();
        let made = new_key_pair(&folder.path().join("release"), false).unwrap();
        let image = folder.path().join("some.img");
        SecretKey::open(&made.secret).unwrap().sign(&image, bytes).unwrap();
        let public = PublicKey::named(made.public.to_str().unwrap()).unwrap();
        Self { folder, image, bytes: bytes.to_vec(), public }
    }

    fn check(&self, bytes: &[u8]) -> Result<Signed, SignatureError> {
        check(&self.image, bytes, std::slice::from_ref(&self.public))
    }
}

#[test]
fn no_image_with_one_bit_changed_passes() {
    let desk = Desk::new(&(0..=96).collect::<Vec<u8>>());
    desk.check(&desk.bytes).unwrap();
    for bit in 0..desk.bytes.len() * 8 {
        let mut changed = desk.bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = desk.check(&changed).unwrap_err();
        assert!(matches!(error, SignatureError::Changed { .. }), "bit {bit}: {error}");
        assert_eq!(error.exit_code(), ExitCode::BAD_IMAGE);
    }
    let mut longer = desk.bytes.clone();
    longer.push(0);
    desk.check(&longer).unwrap_err();
    desk.check(&desk.bytes[1..]).unwrap_err();
    desk.check(&desk.bytes[..desk.bytes.len() - 1]).unwrap_err();
}

#[test]
fn changed_signature_files_vouch_for_nothing_else_and_crash_nothing() {
    let desk = Desk::new(b"content");
    let path = signature_path(&desk.image);
    let good = fs::read(&path).unwrap();
    let signed = desk.check(&desk.bytes).unwrap();
    for bit in (0..good.len() * 8).step_by(3) {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &changed).unwrap();
        match desk.check(&desk.bytes) {
            // The first line and the ends of lines are not signed, and nothing of them is shown.
            Ok(still) => assert_eq!(still, signed, "bit {bit}"),
            Err(error) => assert_eq!(error.exit_code(), ExitCode::BAD_IMAGE, "bit {bit}: {error}"),
        }
        desk.check(b"Content").unwrap_err();
    }
    for len in 0..good.len() - 1 {
        fs::write(&path, &good[..len]).unwrap();
        let error = desk.check(&desk.bytes).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::BAD_IMAGE, "{len} bytes: {error}");
    }
}

#[test]
fn keys_are_named_by_file_or_line_and_several_will_do() {
    let desk = Desk::new(b"content");
    let other = new_key_pair(&desk.folder.path().join("other"), false).unwrap();
    let other = PublicKey::named(&other.line).unwrap();
    assert_eq!(other.id.len(), 16);
    let error = check(&desk.image, b"content", std::slice::from_ref(&other)).unwrap_err();
    let text = format!("is signed by key {}, and {} is required", desk.public.id, other.id);
    assert!(error.to_string().ends_with(&text), "{error}");
    let signed = check(&desk.image, b"content", &[other, desk.public.clone()]).unwrap();
    assert_eq!(signed.key_id, desk.public.id);
    assert!(signed.comment.contains("file:some.img"), "{}", signed.comment);
}

#[test]
fn missing_signature_says_how_to_make_one() {
    let desk = Desk::new(b"content");
    fs::remove_file(signature_path(&desk.image)).unwrap();
    let error = desk.check(b"content").unwrap_err();
    assert!(matches!(error, SignatureError::Unsigned { .. }));
    assert!(error.to_string().contains("some.img.minisig (make one with `ringwall sign`)"), "{error}");
}

#[test]
fn secret_keys_are_their_owners_alone_and_are_neither_overwritten_nor_shown() {
    let desk = Desk::new(b"content");
    let name = desk.folder.path().join("release");
    let secret = name.with_added_extension("key");
    let text = fs::read_to_string(&secret).unwrap();
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let error = new_key_pair(&name, false).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), text);
    let shown = format!("{:?}", SecretKey::open(&secret).unwrap());
    assert_eq!(shown, format!("SecretKey {{ id: {:?}, .. }}", desk.public.id));
}

#[test]
fn what_is_no_key_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    for text in ["", "one line", "untrusted comment: x\nRWQ", "a\nb\nc\n", "\u{0}\n\u{1}"] {
        fs::write(&path, text).unwrap();
        let error = PublicKey::named(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::USAGE, "{text:?}: {error}");
        let error = SecretKey::open(&path).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::USAGE, "{text:?}: {error}");
    }
    assert!(PublicKey::named("no/such/file").unwrap_err().to_string().contains("cannot read no/such/file"));
    assert!(PublicKey::named("/dev/zero").unwrap_err().to_string().contains("no small text file"));
}
