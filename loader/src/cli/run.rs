//! `ringwall run`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hvcall::ExitCode;
use hvcall::boot::MAX_ARGUMENT_BYTES;
use loader::backend::choice::{self, BackendChoice};
use loader::backend::kvm::GateChoice;
use loader::build::BuildOptions;
use loader::device_spec::{DiskSpec, NetSpec};
use loader::evidence::output::Output;
use loader::image::{self, Image};
use loader::layout::Gate;
use loader::monitor::wait::Polling;
use loader::net::rules::{Accept, Allow, ForNic, Publish};
use loader::parent::{self, RunConfig};
use loader::sandbox::{self, Placement};
use loader::signature::{self, Signed};

use super::error::CommandError;
use super::nic::NicRules;
use super::{audit, devices, size};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringwall run apps/hello
  ringwall run apps/web --publish 8080:80
  ringwall run web.img --net net=tap:tap0,ip=10.0.0.2/24,gw=10.0.0.1
  ringwall run apps/disk --block data=disk.img -- verify")]
pub(crate) struct Arguments {
    /// Image file or crate folder
    path: PathBuf,
    /// Arguments for the appliance, after `--`
    #[arg(last = true)]
    arguments: Vec<String>,
    /// Where a NIC's frames go: [NAME=]user, [NAME=]tap:IFACE[,ip=A/N,gw=A,dns=A,...] or [NAME=]fd:N. An appliance with one NIC
    /// gets `user` unless told otherwise
    #[arg(long, value_name = "SPEC")]
    net: Vec<NetSpec>,
    /// Publish a port of the guest on this host (`user` network): [ADDR:]HOST:GUEST[/udp], on 127.0.0.1 unless told otherwise
    #[arg(long, value_name = "PORTS")]
    publish: Vec<ForNic<Publish>>,
    /// Let the guest out: [NIC=] and dns, tcp:DEST:PORTS, udp:DEST:PORTS, or for tap and fd ping:DEST. Without it, nothing leaves a
    /// `user` network. A tap or fd with such a rule is closed but for its rules
    #[arg(long, value_name = "RULE")]
    allow: Vec<ForNic<Allow>>,
    /// Let callers in (tap, fd): [NIC=] and tcp:FROM:PORTS, udp:FROM:PORTS or ping:FROM, where FROM can be *
    #[arg(long, value_name = "RULE")]
    accept: Vec<ForNic<Accept>>,
    /// Close every tap and fd but for its rules, if it has any
    #[arg(long)]
    deny_all: bool,
    /// A disk: [NAME=]FILE[,ro][,sector=512|4096]
    #[arg(long, value_name = "SPEC")]
    block: Vec<DiskSpec>,
    /// Memory of the guest, image included, such as 64M [default: what the image asks for]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    mem: Option<u64>,
    /// What runs the appliance: kvm, process (no virtual machine, a sandboxed process), or auto: kvm where it can be used
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    backend: BackendChoice,
    /// How the appliance reaches the monitor: auto, vmcall, vmmcall or port under kvm, syscall in a process
    #[arg(long, value_name = "GATE", default_value = "auto", value_parser = gate)]
    gate: GateChoice,
    /// Before the appliance sleeps, ask that many microseconds for news, if its last pause was as short (0 to 1000)
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=1000))]
    poll_us: u16,
    /// Seconds the appliance has to end after SIGTERM or Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    grace: Duration,
    /// Seconds the appliance may run at all
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    time_limit: Option<Duration>,
    /// Run nothing but what this key has signed (`ringwall sign`): a public key file, or the key as a line. Of several, one has
    /// to fit
    #[arg(long, value_name = "PUB")]
    require_key: Vec<String>,
    /// Audit the image first, and refuse it if a check fails
    #[arg(long)]
    audit: bool,
    /// Write down what ran: digests of the image and of sealed memory before and after, gate, host, end (JSON)
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Write an ELF core for gdb if the appliance faults, panics or breaks the contract. It holds all of its memory
    #[arg(long, value_name = "FILE")]
    core: Option<PathBuf>,
    /// Keep everybody else off the core that the appliance runs on
    #[arg(long)]
    core_scheduling: bool,
    /// Run the appliance and its monitor on one processor, by number
    #[arg(long, value_name = "CPU")]
    pin: Option<usize>,
    /// Do not run on a kernel that lacks a part of the sandbox
    #[arg(long)]
    require_sandbox: bool,
    /// Say more about the machine
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, CommandError> {
    let placement = Placement { core_scheduling: arguments.core_scheduling, cpu: arguments.pin };
    check_sandbox(&placement, arguments.require_sandbox)?;
    let image_path = image_path(&arguments.path, arguments.verbose)?;
    let (image, signed) = open(&image_path, &arguments)?;
    if arguments.audit {
        audit::require(&image, &image_path)?;
    }
    let (nics, disks) = devices::open(
        &image.manifest,
        &devices::Wanted {
            nets: &arguments.net,
            rules: NicRules {
                publish: &arguments.publish,
                allow: &arguments.allow,
                accept: &arguments.accept,
                deny_all: arguments.deny_all,
                verbose: arguments.verbose,
            },
            disks: &arguments.block,
        },
    )?;
    let (backend, why) = choice::choose(arguments.backend, arguments.gate)?;
    if let Some(why) = why {
        loader::say!("ringwall: backend process: {why}");
    }
    let memory_bytes = arguments.mem.unwrap_or(image.manifest.memory_bytes);
    match parent::run(RunConfig {
        image,
        image_path,
        memory_bytes,
        backend,
        gate: arguments.gate,
        arguments: terminated(&arguments.arguments)?,
        nics,
        disks,
        polling: Polling::new(u64::from(arguments.poll_us) * 1_000),
        grace: arguments.grace,
        time_limit: arguments.time_limit,
        signed,
        receipt: arguments.receipt.map(|path| Output::create(&path, 0o644)).transpose()?,
        core: arguments.core.map(|path| Output::create(&path, 0o600)).transpose()?,
        placement,
        verbose: arguments.verbose,
    })? {}
}

/// Reads the image, and has its signature checked before anything of it is looked at.
fn open(path: &Path, arguments: &Arguments) -> Result<(Image, Option<Signed>), CommandError> {
    let bytes = image::read(path)?;
    let keys = super::key::keys(&arguments.require_key)?;
    let signed = if keys.is_empty() { None } else { Some(signature::check(path, &bytes, &keys)?) };
    if let (Some(signed), true) = (&signed, arguments.verbose) {
        loader::say!("ringwall: signed by key {}: {}", signed.key_id, signed.comment);
    }
    Ok((Image::parse(bytes)?, signed))
}

/// Says what this kernel lacks of the sandbox, or refuses to go without.
fn check_sandbox(placement: &Placement, required: bool) -> Result<(), CommandError> {
    if let Some(cpu) = placement.cpu.filter(|cpu| !sandbox::may_run_on(*cpu)) {
        return Err(CommandError::Usage(format!(
            "--pin {cpu}: there is no such processor, or not for this user"
        )));
    }
    let lacks = sandbox::lacking(placement);
    if lacks.is_empty() {
        return Ok(());
    }
    let lacks = lacks.join(", and ");
    if required || !sandbox::can_kill_by_filter() {
        return Err(CommandError::Sandbox(lacks));
    }
    loader::say!("ringwall: sandbox: this kernel {lacks}");
    Ok(())
}

/// The image itself, or the one that the crate folder builds into.
fn image_path(path: &Path, verbose: bool) -> Result<PathBuf, CommandError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let built = loader::build::build(path, &BuildOptions::default())?;
    super::build::warn_of_no_audit(&built);
    if verbose || !built.fresh {
        loader::say!("ringwall: {}", super::build::summary(&built));
    }
    Ok(built.image)
}

fn terminated(arguments: &[String]) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    for argument in arguments {
        bytes.extend_from_slice(argument.as_bytes());
        bytes.push(0);
    }
    if bytes.len() > MAX_ARGUMENT_BYTES {
        let (given, most) = (bytes.len(), MAX_ARGUMENT_BYTES);
        return Err(CommandError::Usage(format!(
            "the appliance's arguments take {given} bytes, at most {most} fit"
        )));
    }
    Ok(bytes)
}

pub(super) fn gate(text: &str) -> Result<GateChoice, String> {
    Ok(match text {
        "auto" => GateChoice::Auto,
        "vmcall" => GateChoice::Only(Gate::VMCALL),
        "vmmcall" => GateChoice::Only(Gate::VMMCALL),
        "port" => GateChoice::Only(Gate::PORT),
        "syscall" => GateChoice::Only(Gate::SYSCALL),
        _ => return Err("it is one of auto, vmcall, vmmcall, port, syscall".to_owned()),
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("`{text}` seconds: {error}"))
}
