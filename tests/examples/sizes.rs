//! Prints the sizes of images: what `scripts/sizes` runs.
#![allow(clippy::expect_used, reason = "there is nothing to clean up")]

#[path = "../tests/system/sizes/table.rs"]
mod table;

use std::process::ExitCode;

use table::Row;
use tests::App;

fn main() -> ExitCode {
    let rows = table::rows();
    match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => print(&rows),
        [json] if json == "--json" => println!("{}", json_of(&rows)),
        _ => {
            println!("scripts/sizes [--json]");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

fn print(rows: &[Row]) {
    println!(
        "bytes of     image    content    program      limit    r         rx        rw      to compare with"
    );
    for row in rows {
        let program = row.bytes - row.content;
        let (name, bytes, content, limit) = (row.app.name(), row.bytes, row.content, row.limit);
        let [r, rx, rw] = ["r", "rx", "rw"].map(|access| of_access(row, access));
        println!(
            "{name:6} {bytes:>11} {content:>10} {program:>10} {limit:>10} {r:>8} {rx:>9} {rw:>7}      {}",
            rival(row.app)
        );
    }
}

/// A comparable image of others, as they publish it.
fn rival(app: App) -> &'static str {
    match app {
        App::Hello => "Solo5's hello: 21,500 bytes",
        App::Lb => "IncludeOS's load balancer of 2017: 2,000,000 bytes",
        App::Crash
        | App::Attack
        | App::Probe
        | App::Disk
        | App::Echo
        | App::Web
        | App::Forge
        | App::Adversary
        | App::Fuzzer => "",
    }
}

fn of_access(row: &Row, access: &str) -> u64 {
    row.segments.iter().filter(|segment| segment.access == access).map(|segment| segment.file_bytes).sum()
}

fn json_of(rows: &[Row]) -> serde_json::Value {
    rows.iter()
        .map(|row| {
            serde_json::json!({
                "name": row.app.name(), "bytes": row.bytes, "content": row.content, "limit": row.limit,
                "segments": row.segments, "rival": rival(row.app),
            })
        })
        .collect()
}
