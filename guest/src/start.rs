//! From the first instruction to the appliance's main future, and to its end.

use core::fmt;

use hvcall::GuestExit;
use log::LevelFilter;

use crate::{console, executor, hv, logger};

/// What a main future may return.
pub trait Termination {
    /// The end it stands for.
    fn report(self) -> GuestExit;
}

impl Termination for () {
    fn report(self) -> GuestExit {
        GuestExit::Status(0)
    }
}

/// The exit status.
///
/// Above 63 there is none: the appliance panics.
impl Termination for u8 {
    fn report(self) -> GuestExit {
        assert!(self <= GuestExit::MAX_STATUS, "main returned {self}, an exit status is 0 to 63");
        GuestExit::Status(self)
    }
}

impl<T: Termination, E: fmt::Debug> Termination for Result<T, E> {
    fn report(self) -> GuestExit {
        match self {
            Ok(value) => value.report(),
            Err(error) => {
                log::error!("main: {error:?}");
                GuestExit::Status(1)
            }
        }
    }
}

/// Ends the appliance with an exit status.
///
/// # Panics
/// If `status` is above 63.
pub fn exit(status: u8) -> ! {
    let how = status.report();
    console::flush();
    hv::exit(how)
}

/// Runs an appliance: what `appliance!` expands to.
#[doc(hidden)]
pub fn run<F>(level: LevelFilter, main: impl FnOnce() -> F) -> GuestExit
where
    F: Future<Output: Termination>,
{
    logger::init(level);
    executor::run(main()).report()
}

#[cfg(ringwall_image)]
mod image {
    #![expect(
        unsafe_code,
        reason = "takes over what the monitor left in memory, and calls into the appliance"
    )]

    use core::slice;

    use hvcall::boot::BOOT_MAGIC;
    use hvcall::{ABI_VERSION, BootInfo, GuestExit};

    use crate::{boot, console, hv};

    unsafe extern "Rust" {
        /// Defined by `appliance!`.
        fn ringwall_main() -> GuestExit;
    }

    /// The first Rust code: called by the entry with what the monitor left in RDI.
    ///
    /// # Safety
    /// `info` must be the address of the boot information, as the contract says, and this must be the only call.
    pub(crate) unsafe fn start(info: *const BootInfo) -> ! {
        // SAFETY: the monitor puts the boot information there, in pages that never change, so that a reference to it is good for
        // ever (hvcall::boot).
        let info: &'static BootInfo = unsafe { &*info };
        if info.magic != BOOT_MAGIC || info.abi != ABI_VERSION {
            console::send(b"the monitor speaks another version of the hypercall contract\n");
            hv::exit(GuestExit::Panic);
        }
        let arguments_start = core::ptr::from_ref(info).wrapping_add(1).cast::<u8>();
        // SAFETY: the arguments follow the boot information directly, `argument_bytes` of them, in the same unchanging pages
        // (hvcall::boot). The pointer is the monitor's with an offset, so nothing narrows what it may reach.
        let arguments = unsafe { slice::from_raw_parts(arguments_start, info.argument_bytes as usize) };
        boot::set(info, arguments);
        // SAFETY: `appliance!` defines the function in safe Rust and with this signature.
        let how = unsafe { ringwall_main() };
        console::flush();
        hv::exit(how)
    }
}

#[cfg(ringwall_image)]
pub(crate) use image::start;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_exit_statuses() {
        assert_eq!(().report(), GuestExit::Status(0));
        assert_eq!(63_u8.report(), GuestExit::Status(63));
        assert_eq!(Ok::<(), &str>(()).report(), GuestExit::Status(0));
        assert_eq!(Ok::<u8, &str>(7).report(), GuestExit::Status(7));
        assert_eq!(Err::<(), &str>("gone").report(), GuestExit::Status(1));
    }

    #[test]
    #[should_panic = "exit status is 0 to 63"]
    fn a_status_that_does_not_exist_panics() {
        64_u8.report();
    }
}
