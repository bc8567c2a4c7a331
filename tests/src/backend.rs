//! What runs the guest. Every whole-system test is written once and runs on each.

use std::fs::OpenOptions;

use loader::backend::kvm::{self, GateChoice};
use loader::layout::Gate;

/// A backend of `ringwall run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `/dev/kvm`.
    Kvm,
    /// A sandboxed process.
    Process,
}

impl Backend {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Process => "process",
        }
    }

    /// The gate that it uses on this host.
    ///
    /// # Panics
    /// If the host lacks the backend.
    #[must_use]
    pub fn gate(self) -> Gate {
        if self == Self::Process {
            return Gate::SYSCALL;
        }
        let kvm = kvm::open().expect("the test was started because there is KVM");
        kvm::gate::choose(&kvm, GateChoice::Auto).expect("there is always one")
    }

    /// Runs a test on this backend. Where the host lacks it the test is skipped loudly, or fails if `REQUIRE_KVM=1`. Every host that
    /// runs tests can run processes.
    ///
    /// # Panics
    /// If the backend is missing and required.
    pub fn run(self, test: impl FnOnce(Self)) {
        if self == Self::Process {
            return test(self);
        }
        match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            Ok(_) => test(self),
            Err(error) if std::env::var_os("REQUIRE_KVM").is_some_and(|value| value == "1") => {
                panic!("cannot open /dev/kvm: {error}, and REQUIRE_KVM=1")
            }
            Err(error) => super::skip(&format!("cannot open /dev/kvm: {error}")),
        }
    }
}

/// Makes a test per backend out of each function: `hello::kvm::ends_with_zero`, `hello::process::ends_with_zero`.
#[macro_export]
macro_rules! on_each_backend {
    ($($test:ident),+ $(,)?) => {
        $crate::on_backend!(kvm, Kvm, $($test),+);
        $crate::on_backend!(process, Process, $($test),+);
    };
}

/// Makes tests for one backend out of functions: what is true of virtual machines, or of processes, only.
#[macro_export]
macro_rules! on_backend {
    ($module:ident, $backend:ident, $($test:ident),+ $(,)?) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    $crate::Backend::$backend.run(super::$test);
                }
            )+
        }
    };
}
