//! One machine, from its making to its end.

use bytecode::Extent;
use bytecode::chunk::{ARENA_BYTES, ARENA_REGION_BYTES, ARENA_START, End, Head, LEAVE, NEXT_CHUNK, REGIONS};
use hvcall::{ExitCode, Gva, RawCall};

use super::lockstep::{Pair, Went};
use super::{Session, Tally, VmError};
use crate::address::index;
use crate::backend::choice::Backend;
use crate::backend::kvm;
use crate::fuzz::model::Violation;
use crate::fuzz::plan::extents;
use crate::fuzz::world::{Devices, Ends, World};
use crate::image::Image;
use crate::layout::{Plan, RegionKind};
use crate::machine::{Machine, MachineConfig, PreparedMachine};
use crate::monitor::console::Console;
use crate::monitor::run::Monitor;
use crate::monitor::vcpu::{Trap, Vcpu};
use crate::monitor::wait::Polling;

/// What of its stack the hostile guest may use itself.
const STACK_IN_USE_BYTES: u64 = 512 * 1024;

/// Gives chunks: how the guest ends after it, and its programs.
pub(super) type Chunks<'a> = dyn FnMut(&Tally) -> (End, Vec<Vec<u8>>) + 'a;

/// Makes a machine and runs chunks in it until one ends it.
pub(super) fn run(
    image: &Image,
    session: &Session,
    tally: &mut Tally,
    chunks: &mut Chunks<'_>,
) -> Result<(), VmError> {
    let (ends, devices) = Ends::new()?;
    let config = config(image, session, devices);
    match session.backend {
        Backend::Kvm => {
            let kvm = kvm::open().map_err(crate::machine::MachineError::from)?;
            let mut machine = Machine::new(&kvm, image, config)?;
            drive(&mut machine.monitor, &machine.plan, ends, tally, chunks)
        }
        Backend::Process => {
            let mut machine = PreparedMachine::new(image, config)?.start()?;
            drive(&mut machine.monitor, &machine.plan, ends, tally, chunks)
        }
    }
}

fn config(image: &Image, session: &Session, devices: Devices) -> MachineConfig {
    MachineConfig {
        memory_bytes: image.manifest.memory_bytes,
        arguments: Vec::new(),
        console: Console::new(devices.console, false),
        nics: devices.nics,
        disks: devices.disks,
        signals: devices.signals,
        gate: session.gate,
        polling: Polling::default(),
    }
}

fn drive<V: Vcpu>(
    monitor: &mut Monitor<V>,
    plan: &Plan,
    mut ends: Ends,
    tally: &mut Tally,
    chunks: &mut Chunks<'_>,
) -> Result<(), VmError> {
    let mut ask = next_call(monitor, plan)?;
    let arena = ask.arguments[2];
    let sealed = monitor.dispatcher.memory.sealed().bytes().to_vec();
    let writable = monitor.dispatcher.memory.writable();
    let writable = writable.copy_out(0, writable.size_bytes());
    let extents = known(plan, arena);
    let reach = reach(plan, arena);
    let world = |sealed, writable| -> Result<World, VmError> {
        let mut world = World::with_plan(plan, extents.clone(), sealed, writable, false)?;
        world.reach.clone_from(&reach);
        Ok(world)
    };
    let mut pair =
        Pair { machine: world(sealed.clone(), writable.clone())?, made_up: world(sealed.clone(), writable)? };
    pair.machine.exchange(&mut monitor.dispatcher, &mut ends);
    let head = |end| Head { end, nics: 2, disks: 2, regions: regions(&extents) };
    loop {
        let (end, programs) = chunks(tally);
        hand_over(monitor, &pair, &ask, &encode(&head(End::Next), &programs))?;
        let wrong = |violation| VmError::Violation(violation, programs.clone());
        let mut next = |result: Option<i64>| {
            result.into_iter().for_each(|result| monitor.vcpu.set_result(result));
            next_call(monitor, plan)
        };
        match pair.follow(&programs, tally, &mut next) {
            // What the guest writes by itself after its last call is there only when it asks for more.
            Ok((Went::Through, result)) => ask = next(result)?,
            Ok((Went::Unsure, _)) => {
                tally.unsure += 1;
                ask = next(Some(LEAVE))?;
                pair.repair();
                continue;
            }
            // The guest was made to spoil itself, as the contract allows: what it does then says nothing.
            Err(VmError::Violation(..) | VmError::Stopped(_)) if pair.machine.is_beyond_reach() => {
                tally.spoiled += 1;
                return Ok(());
            }
            Err(VmError::Violation(violation, _)) => return Err(wrong(violation)),
            Err(error) => return Err(error),
        }
        pair.settle().map_err(wrong)?;
        if end != End::Next {
            let verdict = finish(monitor, &mut pair, &mut ends, &ask, &head(end), &sealed)?;
            return verdict.map_err(wrong);
        }
    }
}

/// Puts a chunk where the guest has asked for it.
fn hand_over<V: Vcpu>(
    monitor: &mut Monitor<V>,
    pair: &Pair,
    ask: &RawCall,
    chunk: &[u8],
) -> Result<(), VmError> {
    if ask.nr & 0xffff_ffff != NEXT_CHUNK {
        return Err(VmError::Stopped(format!("it made call {:#x} and not the one for a chunk", ask.nr)));
    }
    let buffer = pair.machine.dispatcher.memory.target(Gva(ask.arguments[0]), chunk.len() as u64);
    let buffer = buffer.map_err(|status| VmError::Stopped(format!("its buffer: {status}")))?;
    buffer.copy_from(chunk);
    monitor.vcpu.set_result(i64::try_from(chunk.len()).unwrap_or(0));
    Ok(())
}

/// Has the guest end, with the monitor's own loop.
fn finish<V: Vcpu>(
    monitor: &mut Monitor<V>,
    pair: &mut Pair,
    ends: &mut Ends,
    ask: &RawCall,
    head: &Head,
    sealed: &[u8],
) -> Result<Result<(), Violation>, VmError> {
    hand_over(monitor, pair, ask, &head.to_bytes())?;
    pair.machine.exchange(&mut monitor.dispatcher, ends);
    let code = monitor.run().end().map_or(ExitCode::MONITOR_BUG, |end| end.exit_code());
    Ok(check_end(head.end, code, monitor, sealed))
}

/// The guest's next call.
fn next_call<V: Vcpu>(monitor: &mut Monitor<V>, plan: &Plan) -> Result<RawCall, VmError> {
    match monitor.vcpu.enter() {
        Ok(Trap::Gate { site, call }) if site == plan.gate => Ok(call),
        other => Err(VmError::Stopped(format!("{other:x?}"))),
    }
}

/// The regions that programs know: of data and stack only what the guest itself does not use.
fn known(plan: &Plan, arena: u64) -> Vec<Extent> {
    let mut extents = extents(plan);
    extents[1].start = arena + ARENA_START as u64;
    for extent in &mut extents[1..3] {
        extent.size_bytes = ARENA_REGION_BYTES;
    }
    extents
}

/// All that programs can have had written: more than the regions that they know, since a transfer may be long.
fn reach(plan: &Plan, arena: u64) -> Vec<(u64, u64)> {
    let (heap, stack) = (plan.region(RegionKind::Heap), plan.region(RegionKind::Stack));
    vec![
        (heap.gva.0, heap.size_bytes),
        (arena, ARENA_BYTES as u64),
        (stack.gva.0, stack.size_bytes - STACK_IN_USE_BYTES),
    ]
}

fn regions(extents: &[Extent]) -> [Extent; REGIONS] {
    std::array::from_fn(|position| extents.get(position).copied().unwrap_or_default())
}

fn encode(head: &Head, programs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = head.to_bytes().to_vec();
    for program in programs {
        bytes.extend(u16::try_from(program.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(program);
    }
    bytes
}

/// The end is reported as what it was, and what is sealed is as it was.
fn check_end<V: Vcpu>(
    end: End,
    code: ExitCode,
    monitor: &Monitor<V>,
    sealed: &[u8],
) -> Result<(), Violation> {
    let right = match end {
        End::Next | End::Exit => code == ExitCode(7),
        End::BadExit => code == ExitCode::CONTRACT_VIOLATION,
        // Where the port gate is not in use, its instruction is a fault.
        End::OutElsewhere => [ExitCode::CONTRACT_VIOLATION, ExitCode::GUEST_FAULT].contains(&code),
        End::ReadNull | End::WriteText | End::Undefined | End::Halt | End::JumpToHeap => {
            code == ExitCode::GUEST_FAULT
        }
    };
    if !right {
        return Err(Violation { kind: "end", detail: format!("{end:?} ended with {code}") });
    }
    let now = monitor.dispatcher.memory.sealed().bytes();
    if index(now.len() as u64) != sealed.len() || now != sealed {
        return Err(Violation { kind: "sealed", detail: "read-only memory has changed".to_owned() });
    }
    Ok(())
}
