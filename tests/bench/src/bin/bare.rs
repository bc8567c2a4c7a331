//! The floor of a boot: open `/dev/kvm`, make a machine, take one exit, close.

use std::process::ExitCode;

fn main() -> ExitCode {
    let run = || {
        let kvm = kvm_ioctls::Kvm::new()?;
        bench::bare::BareMachine::new(&kvm)?.turn()
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}
