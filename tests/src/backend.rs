//! What runs the guest. Every whole-system test is written once and runs on each.

use std::fs::OpenOptions;

use loader::backend::kvm::{self, GateChoice};
use loader::layout::Gate;

/// A backend of `ringwall run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `/dev/kvm`.
    Kvm,
}

impl Backend {
    /// The gate that it uses on this host.
    ///
    /// # Panics
    /// If the host lacks the backend.
    #[must_use]
    pub fn gate(self) -> Gate {
        let Self::Kvm = self;
        let kvm = kvm::open().expect("the test was started because there is KVM");
        kvm::gate::choose(&kvm, GateChoice::Auto).expect("there is always one")
    }

    /// Runs a test on this backend. Where the host lacks it the test is skipped loudly, or fails if `REQUIRE_KVM=1`.
    ///
    /// # Panics
    /// If the backend is missing and required.
    pub fn run(self, test: impl FnOnce(Self)) {
        let Self::Kvm = self;
        match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
            Ok(_) => test(self),
            Err(error) if std::env::var_os("REQUIRE_KVM").is_some_and(|value| value == "1") => {
                panic!("cannot open /dev/kvm: {error}, and REQUIRE_KVM=1")
            }
            Err(error) => super::skip(&format!("cannot open /dev/kvm: {error}")),
        }
    }
}

/// Makes a test per backend out of each function: `hello::kvm::ends_with_zero`.
#[macro_export]
macro_rules! on_each_backend {
    ($($test:ident),+ $(,)?) => {
        mod kvm {
            $(
                #[test]
                fn $test() {
                    $crate::Backend::Kvm.run(super::$test);
                }
            )+
        }
    };
}
