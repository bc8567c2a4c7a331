use std::fs;
use std::path::Path;

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::FileHeader;

use super::*;
use crate::symbols::{self, Symbols};

/// A crate folder with this source, in a workspace of its own and without dependencies.
fn crate_folder(main: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/main.rs"), main).unwrap();
    let manifest = "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    folder
}

fn quiet() -> BuildOptions {
    BuildOptions { quiet: true, offline: true, ..BuildOptions::default() }
}

#[test]
fn an_appliance_of_this_workspace_builds_into_a_sealed_image() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = workspace.join("apps/hello");
    let built = build(&path, &BuildOptions { quiet: true, ..BuildOptions::default() }).unwrap();
    let image = fs::read(&built.image).unwrap();
    assert_eq!((built.bin.as_str(), built.image_bytes), ("hello", image.len() as u64));
    assert_eq!(seal(&image).unwrap(), image, "the image is not sealed");

    for folder in [Some(workspace.to_path_buf()), std::env::var_os("HOME").map(PathBuf::from)] {
        let Some(folder) = folder.filter(|folder| folder.components().count() > 1) else { continue };
        let name = folder.as_os_str().as_encoded_bytes();
        assert!(!image.windows(name.len()).any(|part| part == name), "{} is in the image", folder.display());
    }

    let symbols = Symbols::for_image(&built.image).unwrap().unwrap();
    let header = FileHeader64::<LittleEndian>::parse(image.as_slice()).unwrap();
    let entry = header.e_entry(LittleEndian);
    let text = symbols::format_backtrace(Some(&symbols), &[entry]);
    assert!(text.contains("_start"), "{text}");

    let again = build(&path, &quiet()).unwrap();
    assert!(again.fresh, "nothing changed, and yet something was built");
    assert_eq!((again.image, again.seed), (built.image, built.seed));
}

#[test]
fn a_program_without_a_manifest_is_no_appliance() {
    let main = "#![no_std]\n#![no_main]\n\
        #[panic_handler] fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
        #[unsafe(no_mangle)] extern \"C\" fn _start() -> ! { loop {} }\n";
    let folder = crate_folder(main);
    let error = build(folder.path(), &quiet()).unwrap_err();
    assert!(matches!(error, BuildError::Object { source: SealError::NoManifest, .. }), "{error}");
    assert_eq!(error.exit_code(), hvcall::ExitCode::BAD_IMAGE);
}

#[test]
fn what_does_not_pass_the_audit_is_not_written() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let main = "#![no_std]\n#![no_main]\nguest::appliance! { main: main, memory: guest::MIB }\n\
        async fn main() { unsafe { core::arch::asm!(\"syscall\") } }\n";
    let folder = crate_folder(main);
    let mut manifest = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
    manifest.push_str(&format!("[dependencies]\nguest = {{ path = {:?} }}\n", workspace.join("guest")));
    fs::write(folder.path().join("Cargo.toml"), &manifest).unwrap();
    let error = build(folder.path(), &quiet()).unwrap_err();
    assert!(matches!(error, BuildError::Audit { .. }) && error.to_string().contains("syscall"), "{error}");
    assert_eq!(error.exit_code(), hvcall::ExitCode::BAD_IMAGE);
    let images = fs::read_dir(folder.path().join("target/ringwall/images")).unwrap();
    assert_eq!(images.count(), 0);

    manifest.push_str("[package.metadata.ringwall]\naudit = false\n");
    fs::write(folder.path().join("Cargo.toml"), &manifest).unwrap();
    let built = build(folder.path(), &quiet()).unwrap();
    assert!(!built.audited && built.image.is_file());
}

#[test]
fn what_cargo_rejects_is_a_bad_image() {
    let folder = crate_folder("#![no_std]\n#![no_main]\nthis is not Rust\n");
    let error = build(folder.path(), &quiet()).unwrap_err();
    assert!(matches!(error, BuildError::CargoFailed { .. }), "{error}");
    assert_eq!(error.exit_code(), hvcall::ExitCode::BAD_IMAGE);
}

#[test]
fn several_binaries_need_a_choice() {
    let folder = crate_folder("");
    fs::create_dir(folder.path().join("src/bin")).unwrap();
    fs::write(folder.path().join("src/bin/other.rs"), "").unwrap();
    let error = build(folder.path(), &quiet()).unwrap_err().to_string();
    assert!(error.contains("other") && error.contains("sample") && error.contains("--bin"), "{error}");
    let options = BuildOptions { bin: Some("third".to_owned()), ..quiet() };
    let error = build(folder.path(), &options).unwrap_err();
    assert!(matches!(error, BuildError::NoSuchBinary { .. }), "{error}");
}

#[test]
fn folders_that_are_no_crate_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(build(folder.path(), &quiet()), Err(BuildError::NotACrate { .. })));
    assert!(matches!(build(&folder.path().join("none"), &quiet()), Err(BuildError::NotACrate { .. })));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    assert!(matches!(build(workspace, &quiet()), Err(BuildError::Workspace { .. })));
}
