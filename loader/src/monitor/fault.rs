//! Evidence about how a guest ended. All of it was writable by the guest: it informs people and decides nothing.

use hvcall::Gva;

use super::end::{EndRecord, MAX_FRAMES, OUTSIDE};
use super::memory::GuestMemory;
use super::vcpu::{Exception, Registers};
use crate::address::PAGE_BYTES;
use crate::layout::{Plan, RegionKind, stubs};

/// Bit of a page fault's error code: the access was an instruction fetch (SDM Vol. 3A, figure 4-12).
const INSTRUCTION_FETCH: u64 = 1 << 4;

/// Where the image and the stack lie.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    image_base: u64,
    image_end: u64,
    stack_base: u64,
    stack_end: u64,
    gate: u64,
}

impl Places {
    /// The places of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let of_image = |kind| matches!(kind, RegionKind::Text | RegionKind::ReadOnlyData | RegionKind::Data);
        let ends = plan.regions.iter().filter(|region| of_image(region.kind)).map(|region| region.end().0);
        let stack = plan.region(RegionKind::Stack);
        Self {
            image_base: plan.image_base.0,
            image_end: ends.max().unwrap_or(plan.image_base.0),
            stack_base: stack.gva.0,
            stack_end: stack.end().0,
            gate: plan.gate.0,
        }
    }

    fn image_offset(&self, address: u64) -> Option<u64> {
        (self.image_base..self.image_end).contains(&address).then(|| address - self.image_base)
    }
}

/// Completes a record with the vCPU's registers and a backtrace.
pub fn add_registers(record: &mut EndRecord, places: &Places, memory: &GuestMemory, registers: &Registers) {
    record.general = registers.general;
    record.rip = registers.rip;
    record.rflags = registers.rflags;
    record.rip_offset = places.image_offset(registers.rip).unwrap_or(OUTSIDE);
    record.stack_base = places.stack_base;
    record.stack_end = places.stack_end;
    // Outside the image and in the gate no frame was set up.
    let in_gate = registers.rip & !(PAGE_BYTES - 1) == places.gate;
    if record.rip_offset == OUTSIDE || in_gate {
        add_caller(record, places, memory, registers);
    }
    add_frames(record, places, memory, registers);
}

/// Completes a record with an exception.
pub fn add_exception(record: &mut EndRecord, places: &Places, memory: &GuestMemory, exception: &Exception) {
    let Exception { vector, error_code, fault_address, registers } = exception;
    if vector.is_some_and(stubs::has_error_code) {
        record.error_code = *error_code;
    }
    if *vector == Some(14) {
        record.fault_address = *fault_address;
        if error_code & INSTRUCTION_FETCH != 0 && places.image_offset(registers.rip).is_some() {
            // A jump to data of the image: nothing ran there that could have set up a frame.
            add_caller(record, places, memory, registers);
        }
    }
    add_registers(record, places, memory, registers);
}

/// Adds the return address on top of the stack, if there is one.
fn add_caller(record: &mut EndRecord, places: &Places, memory: &GuestMemory, registers: &Registers) {
    let top = memory.source(Gva(registers.general[Registers::RSP]), 8).map(|top| top.read::<u64, 8>());
    if let Some(offset) = top.ok().and_then(|caller| places.image_offset(caller)) {
        push_frame(record, offset);
    }
}

/// Follows the frame pointers: at RBP the caller's RBP, above it the return address.
fn add_frames(record: &mut EndRecord, places: &Places, memory: &GuestMemory, registers: &Registers) {
    let stack = places.stack_base..places.stack_end;
    let mut frame_pointer = registers.general[Registers::RBP];
    while (record.frame_count as usize) < MAX_FRAMES && stack.contains(&frame_pointer) {
        let Ok(frame) = memory.source(Gva(frame_pointer), 16) else { return };
        let [next, return_address] = frame.read::<[u64; 2], 16>();
        let Some(offset) = places.image_offset(return_address) else { return };
        push_frame(record, offset);
        // Callers lie above their callees, so this ends.
        if next <= frame_pointer {
            return;
        }
        frame_pointer = next;
    }
}

fn push_frame(record: &mut EndRecord, offset: u64) {
    if let Some(slot) = record.frames.get_mut(record.frame_count as usize) {
        *slot = offset;
        record.frame_count += 1;
    }
}
