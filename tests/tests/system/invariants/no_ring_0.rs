//! I1: no instruction inside the machine ever executes at CPL 0.

use hvcall::Wire;
use kvm_bindings::{Msrs, kvm_msr_entry, kvm_sregs};
use loader::layout::Slot;
use loader::monitor::end::End;
use tests::{App, Backend, TestMachine, on_backend};

on_backend!(
    kvm,
    Kvm,
    segments_in_use_are_ring_3,
    gdt_has_no_other_code_segment_than_ring_3,
    no_instruction_leads_to_ring_0,
    every_idt_gate_leads_to_ring_3_on_a_stack_of_its_own,
    tss_names_no_stack_for_inner_rings_and_opens_the_gates_port,
    state_at_entry_is_the_contracts,
    broken_idt_is_a_triple_fault,
);

/// Runs a check on a machine before its first instruction, and again after guests that ended well and badly.
fn at_both_ends(check: impl Fn(&TestMachine, &kvm_sregs)) {
    for arguments in [["exit"].as_slice(), &["null"], &["stack"], &["ud2"]] {
        let mut machine = TestMachine::new(App::Crash, arguments);
        check(&machine, &special_registers(&machine));
        machine.run();
        check(&machine, &special_registers(&machine));
    }
}

fn special_registers(machine: &TestMachine) -> kvm_sregs {
    machine.machine.monitor.vcpu.special_registers().unwrap()
}

fn segments_in_use_are_ring_3(_: Backend) {
    at_both_ends(|_, special| {
        for segment in [special.cs, special.ss] {
            assert_eq!((segment.dpl, segment.selector & 3), (3, 3), "{segment:x?}");
        }
        assert_eq!((special.cs.l, special.cs.type_ & 0b1100), (1, 0b1000), "64-bit code, not conforming");
        assert_eq!(special.ldt.unusable, 1);
    });
}

/// Descriptors of the GDT that is in use: each with its selector, system descriptors with both halves.
fn gdt(machine: &TestMachine, special: &kvm_sregs) -> Vec<(u16, u64)> {
    let bytes = machine.read(special.gdt.base, usize::from(special.gdt.limit) + 1);
    let mut words = bytes.chunks_exact(8).map(u64::read).zip((0..).step_by(8));
    let mut descriptors = Vec::new();
    while let Some((word, selector)) = words.next() {
        if word == 0 {
            continue;
        }
        descriptors.push((selector, word));
        if word >> 44 & 1 == 0 {
            // A system descriptor is 16 bytes long in 64-bit mode (SDM Vol. 3A, section 3.5.2).
            words.next();
        }
    }
    descriptors
}

fn dpl(descriptor: u64) -> u64 {
    descriptor >> 45 & 3
}

fn is_code(descriptor: u64) -> bool {
    descriptor >> 43 & 0b11 == 0b11
}

fn gdt_has_no_other_code_segment_than_ring_3(_: Backend) {
    at_both_ends(|machine, special| {
        let descriptors = gdt(machine, special);
        assert!(descriptors.iter().any(|&(_, descriptor)| is_code(descriptor)));
        for (selector, descriptor) in descriptors {
            let system = descriptor >> 44 & 1 == 0;
            if system {
                // A TSS, available or busy. No call gate, no LDT.
                assert!(matches!(descriptor >> 40 & 0xf, 0x9 | 0xb), "{selector:#x}: {descriptor:#x}");
            } else {
                assert_eq!(dpl(descriptor), 3, "{selector:#x}: {descriptor:#x}");
                // Conforming code would run at the caller's ring, whatever its DPL.
                assert!(!is_code(descriptor) || descriptor >> 42 & 1 == 0, "{selector:#x}: {descriptor:#x}");
            }
        }
    });
}

fn no_instruction_leads_to_ring_0(_: Backend) {
    // SYSENTER_CS, _ESP and _EIP (SDM Vol. 4, table 2-2); STAR, LSTAR, CSTAR and FMASK.
    const MSRS: [u32; 7] = [0x174, 0x175, 0x176, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084];
    at_both_ends(|machine, special| {
        assert_eq!(special.efer & 1, 0, "EFER.SCE");
        for index in MSRS {
            let mut msrs =
                Msrs::from_entries(&[kvm_msr_entry { index, ..kvm_msr_entry::default() }]).unwrap();
            // Not every kernel keeps every one of them, and what it does not keep it does not use.
            if machine.machine.monitor.vcpu.fd().get_msrs(&mut msrs).unwrap() == 1 {
                assert_eq!(msrs.as_slice()[0].data, 0, "MSR {index:#x}");
            }
        }
    });
}

fn every_idt_gate_leads_to_ring_3_on_a_stack_of_its_own(_: Backend) {
    at_both_ends(|machine, special| {
        let descriptors = gdt(machine, special);
        let bytes = machine.read(special.idt.base, usize::from(special.idt.limit) + 1);
        assert_eq!(bytes.len(), 32 * 16);
        let tables = machine.page_tables();
        for (vector, gate) in bytes.chunks_exact(16).enumerate() {
            let [low, high] = <[u64; 2]>::read(gate);
            let selector = low >> 16 & 0xffff;
            let target = descriptors.iter().find(|(known, _)| u64::from(*known) == selector & !7);
            let (_, target) = target.unwrap_or_else(|| panic!("vector {vector}: selector {selector:#x}"));
            assert!(is_code(*target) && dpl(*target) == 3, "vector {vector}");
            assert_eq!(low >> 40 & 0xf, 0xe, "vector {vector} is an interrupt gate");
            assert_eq!(low >> 47 & 1, 1, "vector {vector} is present");
            assert_ne!(low >> 32 & 7, 0, "vector {vector} has an interrupt stack");
            // `int n` reaches breakpoint and overflow and no other.
            assert_eq!(dpl(low), if matches!(vector, 3 | 4) { 3 } else { 0 }, "vector {vector}");
            let entry = low & 0xffff | low >> 48 << 16 | (high & 0xffff_ffff) << 32;
            let leaf = tables.leaf_of(entry).unwrap();
            assert!(leaf.user && leaf.executable && !leaf.writable, "vector {vector}: {leaf:x?}");
            assert_eq!(machine.slot_of(leaf), Slot::ReadOnly);
        }
    });
}

fn tss_names_no_stack_for_inner_rings_and_opens_the_gates_port(backend: Backend) {
    at_both_ends(|machine, special| {
        let tss = machine.read(special.tr.base, special.tr.limit as usize + 1);
        // RSP0 to RSP2 (SDM Vol. 3A, figure 8-11).
        assert!(tss[4..28].iter().all(|&byte| byte == 0));
        let tables = machine.page_tables();
        for ist in 0..7 {
            let top = u64::read(&tss[0x24 + ist * 8..]);
            if top != 0 {
                let leaf = tables.leaf_of(top - 1).unwrap();
                assert!(leaf.user && leaf.writable && !leaf.executable, "IST{}: {leaf:x?}", ist + 1);
            }
        }
        let bitmap = &tss[usize::from(u16::read(&tss[0x66..]))..];
        let open: Vec<usize> =
            (0..bitmap.len() * 8).filter(|port| bitmap[port / 8] >> (port % 8) & 1 == 0).collect();
        assert_eq!(open, backend.gate().port.map(usize::from).into_iter().collect::<Vec<_>>(), "{bitmap:x?}");
        assert_eq!(bitmap.last(), Some(&0xff), "the bitmap ends with a byte of ones");
    });
}

fn state_at_entry_is_the_contracts(_: Backend) {
    let machine = TestMachine::new(App::Hello, &[]);
    let vcpu = machine.machine.monitor.vcpu.fd();
    let special = special_registers(&machine);
    let registers = vcpu.get_regs().unwrap();
    let plan = &machine.machine.plan;
    let others = [
        registers.rax,
        registers.rbx,
        registers.rcx,
        registers.rdx,
        registers.rsi,
        registers.rbp,
        registers.r8,
        registers.r9,
        registers.r10,
        registers.r11,
        registers.r12,
        registers.r13,
        registers.r14,
        registers.r15,
    ];
    assert_eq!(others, [0; 14]);
    assert_eq!(machine.read(registers.rdi, 8), b"RINGWALL");
    assert_eq!((registers.rip, registers.rsp % 16, registers.rflags), (plan.entry.0, 8, 0x202));
    let tables = machine.page_tables();
    assert!(tables.leaf_of(registers.rip).unwrap().executable);
    assert!(tables.leaf_of(registers.rsp - 1).unwrap().writable);
    assert_eq!((special.fs.base, special.gs.base, special.cr2), (0, 0, 0));
    // CR4: OSFXSR and OSXMMEXCPT are set, TSD, PCE and PKE are clear (SDM Vol. 3A, section 2.5).
    assert_eq!(special.cr4 & 0x600, 0x600);
    assert_eq!(special.cr4 & (1 << 2 | 1 << 8 | 1 << 22), 0);
    // CR0: protection, paging and write protection, and no task switch pending.
    assert_eq!(special.cr0 & (1 << 31 | 1 << 16 | 1 << 3 | 1), 1 << 31 | 1 << 16 | 1);
    // XCR0: x87 and SSE, and AVX where there is any; nothing else.
    if special.cr4 & 1 << 18 != 0 {
        let xcrs = vcpu.get_xcrs().unwrap();
        assert!(matches!(xcrs.xcrs[0].value, 0b011 | 0b111), "{:#b}", xcrs.xcrs[0].value);
    }
}

fn broken_idt_is_a_triple_fault(_: Backend) {
    let mut machine = TestMachine::new(App::Crash, &["ud2"]);
    let mut special = special_registers(&machine);
    special.idt.limit = 0;
    machine.machine.monitor.vcpu.fd().set_sregs(&special).unwrap();
    let record = machine.run();
    assert_eq!(record.end(), Some(End::TripleFault));
    assert_eq!(record.end().unwrap().exit_code().0, 82);
}
