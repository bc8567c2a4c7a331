//! The receipt of a run: what ran, where, and that what must not change has not changed.
//!
//! Nothing in it tells where anything lay in memory: bases are there by the number of their random bits alone, and the machine
//! is gone when it is written.

use std::io::{self, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hvcall::{ExitCode, GuestExit};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use x86::cpuid::CpuId;

use super::RunConfig;
use super::report::Report;
use super::supervise::Outcome;
use crate::backend::choice::Backend;
use crate::evidence::output::Output;
use crate::evidence::record::{Digests, Opening};
use crate::layout::stubs;
use crate::layout::units::UNIT_NAMES;
use crate::monitor::end::End;
use crate::symbols;

/// Version of the receipt's form.
const FORM: u32 = 1;

/// A receipt that is begun: all that is known before the run.
#[derive(Debug)]
pub(super) struct Receipt {
    output: Output,
    backend: Backend,
    what: Value,
    started: SystemTime,
    clock: Instant,
}

impl Receipt {
    /// Begins the receipt, if one is wanted.
    pub(super) fn begin(config: &mut RunConfig) -> Option<Self> {
        let output = config.receipt.take()?;
        let (image, manifest) = (&config.image, &config.image.manifest);
        let what = json!({
            "image": {
                "name": manifest.name(),
                "version": manifest.version(),
                "file": config.image_path.display().to_string(),
                "bytes": image.bytes().len(),
                "sha256": hex(&Sha256::digest(image.bytes())),
                "build_id": symbols::build_id(image.bytes()).ok().flatten().map(hex),
                // Numbers of 64 bits are not exact in every reader of JSON.
                "build_seed": format!("{:#018x}", manifest.build_seed),
            },
            "signature": config.signed.as_ref().map(|signed| json!({"key": signed.key_id, "comment": signed.comment})),
            "memory_bytes": config.memory_bytes,
            "backend": config.backend.to_string(),
        });
        Some(Self {
            output,
            backend: config.backend,
            what,
            started: SystemTime::now(),
            clock: Instant::now(),
        })
    }

    /// Completes and writes it. The exit code is `code`, unless the receipt has something worse to say.
    pub(super) fn write(self, outcome: Outcome, report: &Report, code: ExitCode) -> ExitCode {
        let path = self.output.path.display().to_string();
        let code = if report.unchanged() == Some(false) {
            crate::say!(
                "ringwall: memory that must not change has changed (see {path}): this is a bug in Ringwall, please report it"
            );
            ExitCode::MONITOR_BUG
        } else {
            code
        };
        match self.try_write(outcome, report, code) {
            Ok(()) => code,
            Err(error) => {
                crate::say!("ringwall: cannot write {path}: {error}");
                ExitCode::HOST_ERROR
            }
        }
    }

    fn try_write(mut self, outcome: Outcome, report: &Report, code: ExitCode) -> io::Result<()> {
        let backend = self.backend;
        let took = self.clock.elapsed();
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let opening = report.opening.as_ref();
        let whole = json!({
            "receipt": FORM,
            "ringwall": env!("CARGO_PKG_VERSION"),
            "ran": self.what.take(),
            "gate": opening.map(gate),
            "bases": opening.map(bases),
            "host": host(),
            "memory": {
                "before": opening.filter(|opening| opening.has_digests == 1).map(|opening| digests(&opening.digests, backend)),
                "after": report.closing.filter(|closing| closing.has_digests == 1).map(|closing| digests(&closing.digests, backend)),
                "unchanged": report.unchanged(),
            },
            "end": end(outcome, report, code),
            "started_unix_s": seconds(started),
            "ran_s": seconds(took),
        });
        let mut text = serde_json::to_string_pretty(&whole)?;
        text.push('\n');
        self.output.file.write_all(text.as_bytes())
    }
}

fn seconds(duration: Duration) -> f64 {
    // To the millisecond.
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn gate(opening: &Opening) -> String {
    opening.gate.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
}

fn bases(opening: &Opening) -> Value {
    let bits = UNIT_NAMES.iter().zip(opening.entropy_millibits);
    let bits: Map<String, Value> =
        bits.map(|(name, millibits)| ((*name).to_owned(), json!(f64::from(millibits) / 1e3))).collect();
    json!({"source": "getrandom", "granularity_bytes": crate::address::PAGE_BYTES, "entropy_bits": bits})
}

fn digests(digests: &Digests, backend: Backend) -> Value {
    let mut value = json!({
        "text": hex(&digests.text),
        "constants": hex(&digests.constants),
        "monitor_pages": hex(&digests.monitor_pages),
        "descriptors": null,
        "page_tables": null,
    });
    // Those of a process are the host kernel's own.
    if backend == Backend::Kvm {
        value["descriptors"] = json!(hex(&digests.descriptors));
        value["page_tables"] = json!(hex(&digests.page_tables));
    }
    value
}

fn host() -> Value {
    let name = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let cpu = CpuId::new();
    json!({
        "kernel": format!("{} {}", text(name.sysname()), text(name.release())),
        "cpu_vendor": cpu.get_vendor_info().map(|vendor| vendor.as_str().to_owned()),
        "invariant_tsc": cpu.get_advanced_power_mgmt_info().is_some_and(|info| info.has_invariant_tsc()),
        "sandbox": {
            "kills_by_filter": crate::sandbox::can_kill_by_filter(),
            "landlock_abi": crate::sandbox::landlock_abi().ok(),
        },
    })
}

fn end(outcome: Outcome, report: &Report, code: ExitCode) -> Value {
    let reason = match (outcome, report.end) {
        (Outcome::TimeLimit, _) => "time limit",
        (Outcome::GraceOver(_), _) => "killed after a signal",
        (Outcome::Killed(_), _) => "monitor killed",
        (Outcome::Exited(_), None) => "no guest ran",
        (Outcome::Exited(_), Some((_, end))) => match end {
            End::Exit(GuestExit::Status(_)) => "exit",
            End::Exit(GuestExit::Panic) => "panic",
            End::Fault { .. } | End::ForeignExit { .. } => "fault",
            End::ForeignTrap | End::BadExit { .. } => "contract violation",
            End::TripleFault => "triple fault",
            End::RunFailed { .. } | End::EntryFailed { .. } => "host error",
            End::Killed { .. } => "guest process killed",
        },
    };
    let fault = match report.end {
        Some((_, End::Fault { vector })) => Some(json!({"vector": vector, "name": stubs::name(vector)})),
        _ => None,
    };
    json!({"reason": reason, "exit_code": code.0, "fault": fault})
}

#[cfg(test)]
mod tests;
