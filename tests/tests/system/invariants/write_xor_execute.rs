//! I3: no page is writable and executable: by page table, by memory slot, and by the host's own mapping.
#![expect(unsafe_code, reason = "asks the host kernel for what it has to refuse")]

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use loader::backend::kvm::Memslot;
use loader::layout::Slot;
use loader::monitor::end::End;
use rustix::fs::SealFlags;
use tests::{App, Backend, TestMachine, on_backend};

on_backend!(
    kvm,
    Kvm,
    no_mapping_is_writable_and_executable,
    what_cannot_be_written_lies_in_the_read_only_slot,
    slot_refuses_writes_even_where_the_page_table_would_allow_them,
    no_physical_page_is_mapped_twice,
    nothing_lies_below_4_gib_and_regions_are_apart,
    host_cannot_write_or_remap_the_read_only_slot,
);

const PAGE: u64 = 4096;
const APPS: [App; 3] = [App::Hello, App::Crash, App::Disk];

fn no_mapping_is_writable_and_executable(_: Backend) {
    for app in APPS {
        let tables = TestMachine::new(app, &[]).page_tables();
        assert!(tables.leaves.iter().all(|leaf| !(leaf.writable && leaf.executable)));
        assert!(tables.leaves.iter().any(|leaf| leaf.executable));
        assert!(tables.leaves.iter().any(|leaf| leaf.writable));
    }
}

fn what_cannot_be_written_lies_in_the_read_only_slot(_: Backend) {
    for app in APPS {
        let machine = TestMachine::new(app, &[]);
        for leaf in machine.page_tables().leaves.iter().filter(|leaf| leaf.user) {
            let expected = if leaf.writable { Slot::Writable } else { Slot::ReadOnly };
            assert_eq!(machine.slot_of(leaf), expected, "{leaf:x?}");
        }
        for slot in machine.machine.slots {
            assert_eq!(slot.read_only, slot.slot == Slot::ReadOnly);
        }
    }
}

/// The second wall holds when the first does not.
fn slot_refuses_writes_even_where_the_page_table_would_allow_them(_: Backend) {
    let mut machine = TestMachine::new(App::Crash, &["write-text"]);
    let code: Vec<_> = machine.page_tables().leaves.into_iter().filter(|leaf| leaf.executable).collect();
    code.iter().for_each(|leaf| machine.make_writable(leaf));
    assert!(machine.page_tables().leaves.iter().any(|leaf| leaf.writable && leaf.executable));
    let before = machine.bytes_of(Slot::ReadOnly);
    let end = machine.run().end().unwrap();
    assert!(matches!(end, End::ForeignExit { .. }), "{end:?}");
    assert_eq!(end.exit_code().0, 81);
    assert!(machine.bytes_of(Slot::ReadOnly) == before);
}

fn no_physical_page_is_mapped_twice(_: Backend) {
    for app in APPS {
        let mut seen = HashSet::new();
        for leaf in TestMachine::new(app, &[]).page_tables().leaves {
            for page in (leaf.gpa..leaf.gpa + leaf.size_bytes).step_by(4096) {
                assert!(seen.insert(page), "{page:#x} is mapped twice");
            }
        }
    }
}

fn nothing_lies_below_4_gib_and_regions_are_apart(_: Backend) {
    for app in APPS {
        let machine = TestMachine::new(app, &[]);
        let tables = machine.page_tables();
        assert!(tables.leaves.iter().all(|leaf| leaf.gva >= 1 << 32));
        let mapped = |gva: u64| tables.leaf_of(gva).is_some();
        let plan = &machine.machine.plan;
        let pages: HashSet<u64> = tables.leaves.iter().map(|leaf| leaf.gpa).collect();
        for region in &plan.regions {
            assert!((region.gva.0..region.end().0).step_by(4096).all(mapped), "{region:x?} has a hole");
            // In guest-physical memory a page stays free on either side. Large pages begin where their leaf does.
            let gpa = region.gpa().0;
            assert!(
                !pages.contains(&(gpa - PAGE)) && !pages.contains(&(gpa + region.size_bytes)),
                "{region:x?}"
            );
            assert!(!mapped(region.gva.0 - PAGE) && !mapped(region.end().0), "{region:x?} has a neighbour");
        }
    }
}

/// The line of /proc/self/maps that begins at a slot's memory.
fn host_mapping(slot: &Memslot) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let range = format!("{:08x}-{:08x} ", slot.host, slot.host + slot.size_bytes);
    maps.lines()
        .find(|line| line.starts_with(&range))
        .unwrap_or_else(|| panic!("no {range} in\n{maps}"))
        .to_owned()
}

fn host_cannot_write_or_remap_the_read_only_slot(_: Backend) {
    let machine = TestMachine::new(App::Hello, &[]);
    let slot = machine.machine.slots.iter().find(|slot| slot.slot == Slot::ReadOnly).unwrap();
    let mapping = host_mapping(slot);
    let fields: Vec<&str> = mapping.split_whitespace().collect();
    assert_eq!(fields[1], "r--s", "{mapping}");

    let file = descriptor_of(fields[4].parse().unwrap());
    let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
    assert!(seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL));
    assert_eq!((&file).write(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));

    let address = std::ptr::with_exposed_provenance_mut(usize::try_from(slot.host).unwrap());
    let size_bytes = usize::try_from(slot.size_bytes).unwrap();
    for access in [libc::PROT_READ | libc::PROT_WRITE, libc::PROT_WRITE] {
        // SAFETY: the call is expected to fail. Were it to succeed, a page of the guest's would be writable to code that never
        // writes it.
        let result = unsafe { libc::mprotect(address, size_bytes, access) };
        assert_eq!((result, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EACCES)));
    }
    assert_eq!(host_mapping(slot), mapping);
}

/// Opens, for writing, the file of this process that has an inode number.
fn descriptor_of(inode: u64) -> File {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let path = descriptors.map(|entry| entry.path()).find(|path| {
        path.metadata().is_ok_and(|metadata| metadata.ino() == inode)
            && path.read_link().is_ok_and(|target| target.to_string_lossy().contains("memfd:ringwall-sealed"))
    });
    OpenOptions::new().read(true).write(true).open(path.expect("the memfd is open")).unwrap()
}
