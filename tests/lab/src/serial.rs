//! Serial lines that carry bytes as they are.

use std::fs::{File, OpenOptions};

use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};

/// Opens a serial line: no echo, no line discipline, as fast as the driver can.
pub(crate) fn open(path: &str) -> File {
    let line = OpenOptions::new().read(true).write(true).open(path).expect("the lab has three serial lines");
    let mut attributes = tcgetattr(&line).expect("it is a terminal");
    attributes.make_raw();
    attributes.set_speed(115_200).expect("an ordinary speed");
    tcsetattr(&line, OptionalActions::Now, &attributes).expect("attributes that it had itself");
    line
}

/// Waits until all that was written has left the machine.
pub(crate) fn drain(line: &File) {
    tcdrain(line).expect("it is a terminal");
}
