//! I2: page tables, GDT, IDT and TSS are finished before the first entry, and out of the guest's reach.

use loader::layout::Slot;
use tests::{App, Backend, PageTables, TestMachine, on_backend};

on_backend!(
    kvm,
    Kvm,
    tables_and_read_only_memory_are_the_same_at_the_end,
    no_user_mapping_reaches_a_table_or_a_descriptor,
    accessed_and_dirty_bits_are_set_from_the_start,
);

fn tables_and_read_only_memory_are_the_same_at_the_end(_: Backend) {
    for (app, arguments) in [
        (App::Hello, ["a"]),
        (App::Crash, ["null"]),
        (App::Crash, ["stack"]),
        (App::Crash, ["write-text"]),
        (App::Crash, ["jump-data"]),
        (App::Crash, ["out"]),
        (App::Crash, ["vmcall"]),
        (App::Crash, ["vmmcall"]),
        (App::Crash, ["panic"]),
        (App::Crash, ["syscalls"]),
    ] {
        let mut machine = TestMachine::new(app, &arguments);
        let sealed = |machine: &TestMachine| {
            let special = machine.machine.monitor.vcpu.special_registers().unwrap();
            let registers = (special.cr3, special.gdt, special.idt, special.tr);
            (machine.bytes_of(Slot::Tables), machine.bytes_of(Slot::ReadOnly), registers)
        };
        let before = sealed(&machine);
        assert!(machine.run().end().is_some());
        assert!(machine.output().starts_with(if app == App::Hello { "Hello" } else { "crash" }));
        assert!(before == sealed(&machine), "{arguments:?} changed what is sealed");
    }
}

fn walk(app: App) -> (TestMachine, PageTables) {
    let machine = TestMachine::new(app, &[]);
    let tables = machine.page_tables();
    assert!(tables.leaves.len() > 8, "a machine has more mappings than {}", tables.leaves.len());
    (machine, tables)
}

fn no_user_mapping_reaches_a_table_or_a_descriptor(_: Backend) {
    for app in [App::Hello, App::Crash, App::Disk] {
        let (machine, tables) = walk(app);
        let special = machine.machine.monitor.vcpu.special_registers().unwrap();
        for leaf in &tables.leaves {
            let holds_table =
                tables.tables.iter().any(|&table| table.wrapping_sub(leaf.gpa) < leaf.size_bytes);
            assert!(!holds_table, "a table is mapped by {leaf:x?}");
            assert_eq!(leaf.user, machine.slot_of(leaf) != Slot::Tables, "{leaf:x?}");
        }
        for base in [special.gdt.base, special.idt.base, special.tr.base] {
            let leaf = tables.leaf_of(base).unwrap();
            assert!(!leaf.user && !leaf.writable && !leaf.executable, "{leaf:x?}");
        }
    }
}

fn accessed_and_dirty_bits_are_set_from_the_start(_: Backend) {
    for app in [App::Hello, App::Disk] {
        let (_machine, tables) = walk(app);
        assert!(tables.upper_levels_marked);
        assert!(tables.leaves.iter().all(|leaf| leaf.marked));
    }
}
