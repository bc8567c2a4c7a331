//! Disks: what the `disk` appliance wrote is what the host's file holds, and trouble with the file is a status.

mod files;
mod requests;
mod trouble;
