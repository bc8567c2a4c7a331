//! The `log` backend: a line on the console for each record.

use log::{LevelFilter, Log, Metadata, Record};

use crate::time::Instant;

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let micros = Instant::now().as_ns() / 1000;
            let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
            let (level, target, text) = (record.level(), record.target(), record.args());
            crate::println!("[{seconds:>4}.{micros:06} {level:<5} {target}] {text}");
        }
    }

    fn flush(&self) {
        crate::console::flush();
    }
}

/// Sends records of `level` and above to the console.
pub(crate) fn init(level: LevelFilter) {
    // Fails only if the appliance brought a logger of its own before, which then stays.
    let _ = log::set_logger(&Logger);
    log::set_max_level(level);
}
