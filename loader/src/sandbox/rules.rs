//! Building blocks of system-call filters: a call, and what its arguments must be.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// What one argument must be.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    argument: u8,
    size: SeccompCmpArgLen,
    operation: SeccompCmpOp,
    value: u64,
}

/// A 32-bit argument with this value. The kernel ignores the upper half of arguments that are `int`.
pub(crate) const fn int(argument: u8, value: i32) -> Pin {
    let value = value.cast_unsigned() as u64;
    Pin { argument, size: SeccompCmpArgLen::Dword, operation: SeccompCmpOp::Eq, value }
}

/// A descriptor, which is always the first argument here.
pub(crate) const fn on(fd: RawFd) -> Pin {
    int(0, fd)
}

/// A 64-bit argument with this value.
pub(crate) const fn word(argument: u8, value: u64) -> Pin {
    Pin { argument, size: SeccompCmpArgLen::Qword, operation: SeccompCmpOp::Eq, value }
}

/// A 64-bit argument of at most this value.
pub(crate) const fn at_most(argument: u8, value: u64) -> Pin {
    Pin { argument, size: SeccompCmpArgLen::Qword, operation: SeccompCmpOp::Le, value }
}

/// A 32-bit argument without these bits.
pub(crate) const fn without(argument: u8, bits: i32) -> Pin {
    let operation = SeccompCmpOp::MaskedEq(bits.cast_unsigned() as u64);
    Pin { argument, size: SeccompCmpArgLen::Dword, operation, value: 0 }
}

/// Which calls may be made, and how. All others kill the process.
#[derive(Debug, Default)]
pub(crate) struct Rules(BTreeMap<i64, Vec<Vec<Pin>>>);

impl Rules {
    /// Allows a call with any arguments.
    pub(crate) fn any(&mut self, call: i64) {
        self.0.insert(call, Vec::new());
    }

    /// Allows a call whose arguments are all as pinned, besides the ways in which it is allowed already.
    pub(crate) fn pinned(&mut self, call: i64, pins: &[Pin]) {
        self.0.entry(call).or_default().push(pins.to_vec());
    }

    /// The filter's program, for this processor's native calls only.
    pub(crate) fn program(self) -> Result<BpfProgram, BackendError> {
        let condition = |pin: &Pin| {
            SeccompCondition::new(pin.argument, pin.size.clone(), pin.operation.clone(), pin.value)
        };
        let rule = |pins: &Vec<Pin>| SeccompRule::new(pins.iter().map(condition).collect::<Result<_, _>>()?);
        let rules = self
            .0
            .iter()
            .map(|(call, ways)| Ok((*call, ways.iter().map(rule).collect::<Result<_, _>>()?)))
            .collect::<Result<_, BackendError>>()?;
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, TargetArch::x86_64)?
            .try_into()
    }
}
