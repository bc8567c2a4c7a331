//! A core of a small machine, read back by another ELF parser.

use std::os::fd::OwnedFd;

use object::LittleEndian as LE;
use object::elf::{FileHeader64, NT_AUXV, NT_PRPSINFO, NT_PRSTATUS, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::*;
use crate::memory::{SealedMemory, WritableMemory};

fn plan() -> Plan {
    let image = crate::image::Image::sample(&[
        (0x0000, 0x0500, Permission::ReadOnly),
        (0x1000, 0x2000, Permission::ReadExecute),
        (0x4000, 0x0800, Permission::ReadWrite),
    ]);
    let mut next = 0;
    Plan::with_fault_stack(&image, 1 << 20, PAGE_BYTES, &mut || {
        next += 1 << 40;
        Ok(next)
    })
    .unwrap()
}

fn memory(plan: &Plan) -> GuestMemory {
    let stack = plan.region(crate::layout::RegionKind::Stack);
    let mut writable = WritableMemory::private(index(plan.slot_bytes(Slot::Writable))).unwrap();
    writable.fill(index(stack.offset), b"on the stack");
    let sealed =
        SealedMemory::new(index(plan.slot_bytes(Slot::ReadOnly)), [(0, b"constant".as_slice())]).unwrap();
    GuestMemory::new(plan, sealed, writable)
}

#[test]
fn core_holds_every_user_region_at_its_address_and_the_registers() {
    let plan = plan();
    let memory = memory(&plan);
    let file = tempfile::tempfile().unwrap();
    let mut core = Core::new(&plan, "sample", file.try_clone().unwrap());
    let mut registers = Registers { rip: 0x1234, ..Registers::default() };
    registers.general[Registers::RSP] = 0x5678;
    assert_eq!(core.write(&memory, &registers, 11), core.size_bytes());
    let mut bytes = vec![0; index(core.size_bytes())];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();

    let header = FileHeader64::<LE>::parse(bytes.as_slice()).unwrap();
    let segments = header.program_headers(LE, bytes.as_slice()).unwrap();
    let loads: Vec<_> = segments.iter().filter(|segment| segment.p_type(LE) == PT_LOAD).collect();
    let users: Vec<&Region> = plan.regions.iter().filter(|region| region.user).collect();
    assert_eq!(loads.len(), users.len());
    for (load, region) in loads.iter().zip(&users) {
        assert_eq!((load.p_vaddr(LE), load.p_filesz(LE)), (region.gva.0, region.size_bytes));
        let content = load.data(LE, bytes.as_slice()).unwrap();
        let backing: &Mapping =
            if region.slot == Slot::Writable { memory.writable() } else { memory.sealed() };
        assert!(content == backing.copy_out(index(region.offset), index(region.size_bytes)), "{region:?}");
    }
    let mut notes = segments[0].notes(LE, bytes.as_slice()).unwrap().unwrap();
    let status = notes.next().unwrap().unwrap();
    assert_eq!((status.name(), status.n_type(LE)), (b"CORE".as_slice(), NT_PRSTATUS));
    let word = |at: usize| u64::from_le_bytes(status.desc()[at..][..8].try_into().unwrap());
    // RIP and RSP in `struct user_regs_struct`.
    assert_eq!((word(112 + 16 * 8), word(112 + 19 * 8), status.desc()[12]), (0x1234, 0x5678, 11));
    assert_eq!(notes.next().unwrap().unwrap().n_type(LE), NT_PRPSINFO);
    assert_eq!(notes.next().unwrap().unwrap().n_type(LE), NT_AUXV);
    assert!(notes.next().unwrap().is_none());
}

#[test]
fn host_that_takes_no_more_ends_the_core() {
    let plan = plan();
    // A pipe that nobody reads takes some pages and then no more.
    let flags = rustix::pipe::PipeFlags::NONBLOCK;
    let (_reader, writer): (OwnedFd, OwnedFd) = rustix::pipe::pipe_with(flags).unwrap();
    let mut core = Core::new(&plan, "sample", File::from(writer));
    let written = core.write(&memory(&plan), &Registers::default(), 6);
    assert!(written > 0 && written < core.size_bytes(), "{written}");
}
