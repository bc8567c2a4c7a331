use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

fn spec(text: &str) -> DiskSpec {
    text.parse().unwrap()
}

/// A folder with a file of that many bytes, and a spec for the file.
fn disk(size_bytes: u64, options: &str) -> (tempfile::TempDir, DiskSpec) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    File::create(&path).unwrap().set_len(size_bytes).unwrap();
    let spec = spec(&format!("data={}{options}", path.display()));
    (folder, spec)
}

#[test]
fn sizes_are_counted_in_the_chosen_sectors() {
    for (options, sectors, sector_bytes, flags) in
        [("", 16, 512, 0), (",sector=4096", 2, 4096, 0), (",ro", 16, 512, DISK_READ_ONLY)]
    {
        let (_folder, spec) = disk(8192, options);
        assert_eq!(open(&spec).unwrap().info, DiskInfo { sectors, sector_bytes, flags });
    }
    let (_folder, spec) = disk(1 << 40, "");
    assert_eq!(open(&spec).unwrap().info.sectors, 1 << 31);
}

#[test]
fn a_link_to_a_disk_is_the_disk() {
    let (folder, spec) = disk(512, "");
    let link = folder.path().join("link");
    symlink(&spec.file, &link).unwrap();
    assert_eq!(open(&DiskSpec { file: link, ..spec }).unwrap().info.sectors, 1);
}

#[test]
fn what_is_no_disk_is_refused_by_kind() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for (path, kind) in [
        (folder.path(), "directory"),
        (fifo.as_path(), "FIFO"),
        (socket.as_path(), "socket"),
        ("/dev/full".as_ref(), "character device"),
    ] {
        for options in ["", ",ro"] {
            let error = open(&spec(&format!("data={}{options}", path.display()))).unwrap_err();
            assert!(matches!(error, DiskError::Kind { found, .. } if found == kind), "{error}");
            assert_eq!(error.exit_code(), ExitCode::USAGE);
        }
    }
}

#[test]
fn missing_empty_and_ragged_files_are_refused() {
    let error = open(&spec("data=/nonexistent/disk.img")).unwrap_err();
    assert!(matches!(error, DiskError::Missing { .. }), "{error}");
    assert_eq!(error.exit_code(), ExitCode::UNAVAILABLE);
    let (_folder, empty) = disk(0, "");
    assert!(matches!(open(&empty), Err(DiskError::Empty { .. })));
    let (_folder, ragged) = disk(513, "");
    assert!(matches!(open(&ragged), Err(DiskError::Unaligned { size_bytes: 513, sector_bytes: 512, .. })));
    let (_folder, half) = disk(4096 + 512, ",sector=4096");
    let text = open(&half).unwrap_err().to_string();
    assert!(text.contains("4608 bytes") && text.contains("sector=512"), "{text}");
}

#[test]
fn a_disk_has_one_writer_or_many_readers() {
    let (_folder, writer) = disk(512, "");
    let reader = DiskSpec { read_only: true, ..writer.clone() };
    let held = open(&writer).unwrap();
    for other in [&writer, &reader] {
        assert!(matches!(open(other), Err(DiskError::Locked { .. })));
    }
    drop(held);
    let held = (open(&reader).unwrap(), open(&reader).unwrap());
    assert!(matches!(open(&writer), Err(DiskError::Locked { .. })));
    drop(held);
    assert!(open(&writer).is_ok());
}
