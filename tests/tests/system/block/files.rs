//! Whole disks, written by an appliance and read by the host.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tests::pattern::Layout;
use tests::{App, Backend, Ringwall, Run, on_each_backend};

on_each_backend!(
    host_file_holds_what_the_guest_wrote_in_512_byte_sectors,
    host_file_holds_what_the_guest_wrote_in_4096_byte_sectors,
    guest_finds_what_the_host_wrote,
    sparse_file_beyond_4_gib_is_right_at_its_edges,
    read_only_disk_is_read_and_refuses_to_be_written,
);

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A sparse file in a folder of its own.
pub(super) fn sparse(size_bytes: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    File::create(&path).unwrap().set_len(size_bytes).unwrap();
    (folder, path)
}

pub(super) fn disk(backend: Backend, spec: &str, guest: &[&str]) -> Run {
    Ringwall::run_app(backend, App::Disk).args(["--block", spec]).guest(guest).run()
}

fn check(file: &File, layout: Layout, seed: u64, sectors: impl Iterator<Item = u64>) {
    let mut found = vec![0; usize::try_from(layout.sector_bytes).unwrap()];
    for sector in sectors {
        file.read_exact_at(&mut found, sector * layout.sector_bytes).unwrap();
        assert!(found == layout.content(seed, sector), "sector {sector}");
    }
}

fn writes_what_the_host_reads(backend: Backend, sector_bytes: u64) {
    // Not a multiple of any piece, so the last piece is short.
    let layout = Layout::new(3 * MIB + 5 * sector_bytes, sector_bytes);
    let (_folder, path) = sparse(layout.sectors * sector_bytes);
    let run =
        disk(backend, &format!("data={},sector={sector_bytes}", path.display()), &["write", "77"]).expect(0);
    let first = format!("disk data: {} sectors of {sector_bytes} bytes, read-write\n", layout.sectors);
    assert!(run.stdout.starts_with(&first), "{}", run.stdout);
    check(&File::open(&path).unwrap(), layout, 77, 0..layout.sectors);
}

fn host_file_holds_what_the_guest_wrote_in_512_byte_sectors(backend: Backend) {
    writes_what_the_host_reads(backend, 512);
}

fn host_file_holds_what_the_guest_wrote_in_4096_byte_sectors(backend: Backend) {
    writes_what_the_host_reads(backend, 4096);
}

fn guest_finds_what_the_host_wrote(backend: Backend) {
    let layout = Layout::new(MIB, 512);
    let (_folder, path) = sparse(MIB);
    let content: Vec<u8> = (0..layout.sectors).flat_map(|sector| layout.content(5, sector)).collect();
    std::fs::write(&path, content).unwrap();
    let spec = path.display().to_string();
    let _ = disk(backend, &spec, &["verify", "5"]).expect(0);
    let run = disk(backend, &spec, &["verify", "6"]).expect(1);
    assert!(run.stdout.contains("sector 0, byte 0: found "), "{}", run.stdout);
    // One flipped bit in the last sector.
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, MIB - 1).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], MIB - 1).unwrap();
    let run = disk(backend, &spec, &["verify", "5"]).expect(1);
    assert!(run.stdout.contains("sector 2047, byte 511: found "), "{}", run.stdout);
}

fn sparse_file_beyond_4_gib_is_right_at_its_edges(backend: Backend) {
    let layout = Layout::new(5 * GIB, 512);
    let (_folder, path) = sparse(5 * GIB);
    let _ = disk(backend, &path.display().to_string(), &[]).expect(0);
    let file = File::open(&path).unwrap();
    for edge in [2 * GIB / 512, 4 * GIB / 512] {
        check(&file, layout, 1, edge - 4..edge + 4);
    }
    check(&file, layout, 1, layout.sectors - 4..layout.sectors);
    check(&file, layout, 1, (0..layout.bulk()).step_by(997));
    // Nothing else was written: the sectors next to an edge are still a hole.
    let mut around = vec![0; 512];
    for sector in [4 * GIB / 512 - 5, 4 * GIB / 512 + 4, layout.sectors - 5] {
        file.read_exact_at(&mut around, sector * 512).unwrap();
        assert!(around.iter().all(|&byte| byte == 0), "sector {sector}");
    }
}

fn read_only_disk_is_read_and_refuses_to_be_written(backend: Backend) {
    let (_folder, path) = sparse(MIB);
    let content = vec![0xa5; usize::try_from(MIB).unwrap()];
    std::fs::write(&path, &content).unwrap();
    let spec = format!("data={},ro", path.display());
    let run = disk(backend, &spec, &["write"]).expect(2);
    assert!(run.stdout.contains("2048 sectors of 512 bytes, read-only\n"), "{}", run.stdout);
    assert!(run.stdout.contains("read-only disk"), "{}", run.stdout);
    assert!(std::fs::read(&path).unwrap() == content);
    let run = disk(backend, &spec, &["verify"]).expect(1);
    assert!(run.stdout.contains("sector 0, byte 0: found 0xa5"), "{}", run.stdout);
}
