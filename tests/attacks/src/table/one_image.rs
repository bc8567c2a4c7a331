//! One image, every host: what it prints, its exit status and its disk are the same wherever it runs.
//!
//! A transcript names the image by its digest. In a lab the transcripts of the process backend outside come along, in the file that
//! `RINGWALL_TRANSCRIPTS` names; elsewhere the process backend's are made on the spot.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use ::tests::http::Client;
use ::tests::{App, Backend, Ringwall};
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};

use crate::case::{Case, Got, all, case};

/// What an appliance does on a backend.
type Story = fn(Backend) -> Result<String, String>;

/// The appliances.
const APPS: [(App, Story); 4] = [
    (App::Hello, |backend| Ok(hello(backend))),
    (App::Echo, echo),
    (App::Web, |backend| Ok(web(backend))),
    (App::Disk, disk),
];

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    let of_app = |(app, story): (App, Story)| {
        let expected = all(&["the same"]);
        case(302, &format!("one-image-{}", app.name()), expected, move |host| {
            compare(host.backend(), app, story)
        })
    };
    APPS.into_iter().map(of_app).collect()
}

/// The transcripts of all appliances as processes, a line each.
pub(crate) fn transcripts() -> Result<String, String> {
    APPS.into_iter().map(|(app, story)| Ok(transcript(Backend::Process, app, story)? + "\n")).collect()
}

fn compare(backend: Backend, app: App, story: Story) -> Got {
    let reference = match std::env::var_os("RINGWALL_TRANSCRIPTS") {
        Some(path) => {
            let all = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            let line = all.lines().find(|line| line.starts_with(&format!("{}:", app.name())));
            line.ok_or("no transcript of this appliance")?.to_owned()
        }
        None => transcript(Backend::Process, app, story)?,
    };
    let here = transcript(backend, app, story)?;
    Ok(if here == reference {
        "the same".to_owned()
    } else {
        format!("{here} here, {reference} as a process")
    })
}

fn transcript(backend: Backend, app: App, story: Story) -> Result<String, String> {
    let image = std::fs::read(app.image()).map_err(|error| error.to_string())?;
    Ok(format!("{}: image {}: {}", app.name(), digest(&image), story(backend)?))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The output, but for the time since boot.
fn hello(backend: Backend) -> String {
    let run = Ringwall::run_app(backend, App::Hello).guest(&["one", "two"]).run();
    let lines = run.stdout.lines().filter(|line| !line.starts_with("up for "));
    let output: Vec<&str> = lines.collect();
    format!("exit {}, output {output:?}", run.code)
}

fn echo(backend: Backend) -> Result<String, String> {
    let running = Ringwall::run_app(backend, App::Echo).args(["--publish", "0:7"]).start();
    let data: Vec<u8> =
        (0_u32..50_000).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut stream = TcpStream::connect(running.published("tcp")).map_err(|error| error.to_string())?;
    let mut echoed = Vec::new();
    std::thread::scope(|scope| -> std::io::Result<()> {
        let mut writer = stream.try_clone()?;
        let data = &data;
        scope.spawn(move || writer.write_all(data).and_then(|()| writer.shutdown(Shutdown::Write)));
        stream.read_to_end(&mut echoed).map(drop)
    })
    .map_err(|error| error.to_string())?;
    running.signal(Signal::TERM);
    Ok(format!("exit {}, {} bytes came back, {}", running.wait().code, echoed.len(), digest(&echoed)))
}

fn web(backend: Backend) -> String {
    let running = Ringwall::run_app(backend, App::Web).args(["--publish", "0:80"]).start();
    let mut client = Client::connect(running.published("tcp"));
    let pages: Vec<String> = ["/", "/style.css", "/nowhere"]
        .into_iter()
        .map(|path| {
            let response = client.request("GET", path, "");
            format!("{path} {} {}", response.status, digest(&response.body))
        })
        .collect();
    running.signal(Signal::TERM);
    format!("exit {}, {}", running.wait().code, pages.join(", "))
}

fn disk(backend: Backend) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    file.as_file().set_len(1 << 20).map_err(|error| error.to_string())?;
    let path = format!("data={}", file.path().display());
    let run = Ringwall::run_app(backend, App::Disk).args(["--block", &path]).guest(&["write", "7"]).run();
    let content = std::fs::read(file.path()).map_err(|error| error.to_string())?;
    Ok(format!("exit {}, disk {}", run.code, digest(&content)))
}
