//! What an appliance says about itself: the `appliance!` macro, and the manifest at run time.

use hvcall::Manifest;
use hvcall::manifest::{Device, DeviceKind};

/// Declares the appliance: its main future, and what it needs from the host.
///
/// ```ignore
/// guest::appliance! {
///     main: main,                 // async fn main(), returning (), u8 (an exit status, 0 to 63) or Result of one of them
///     memory: 16 * guest::MIB,    // image, stack and heap, whole pages; 16 MiB if left out
///     stack: 64 * guest::KIB,     // whole pages; 64 KiB if left out
///     nics: ["net"],              // names for `ringwall run --net NAME=...`; none if left out
///     disks: ["data"],            // names for `ringwall run --block NAME=...`; none if left out
///     log: Info                   // Off, Error, Warn, Info, Debug or Trace; Info if left out
/// }
/// ```
///
/// Entries come in this order. Name and version are those of the package. What is out of range does not compile. The macro
/// also makes the kernel's heap and panic report the program's, and needs no unsafe code to be allowed where it stands.
#[macro_export]
macro_rules! appliance {
    (
        main: $main:path
        $(, memory: $memory:expr)?
        $(, stack: $stack:expr)?
        $(, nics: [$($nic:expr),* $(,)?])?
        $(, disks: [$($disk:expr),* $(,)?])?
        $(, log: $level:ident)?
        $(,)?
    ) => {
        const _: () = {
            use $crate::__private as private;

            #[used]
            #[unsafe(link_section = ".note.ringwall")]
            static NOTE: private::ManifestNote = private::ManifestNote::new(private::Manifest::new(
                ::core::env!("CARGO_PKG_NAME"),
                ::core::env!("CARGO_PKG_VERSION"),
                private::first(&[$($memory,)? 16 * $crate::MIB]),
                private::first(&[$($stack,)? 64 * $crate::KIB]),
                0, // the seed: `ringwall build` writes it when it links
                &[$($($nic),*)?],
                &[$($($disk),*)?],
            ));

            #[unsafe(no_mangle)]
            fn ringwall_manifest() -> &'static private::Manifest {
                NOTE.manifest()
            }

            #[unsafe(no_mangle)]
            fn ringwall_main() -> private::GuestExit {
                private::run(private::first(&[$(private::LevelFilter::$level,)? private::LevelFilter::Info]), $main)
            }

            #[global_allocator]
            static HEAP: private::Heap = private::heap();

            #[cfg(not(test))]
            #[panic_handler]
            fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
                $crate::panic::report(info)
            }
        };
    };
}

/// The names that `appliance!` uses, and the little it computes.
#[doc(hidden)]
pub mod private {
    pub use hvcall::note::ManifestNote;
    pub use hvcall::{GuestExit, Manifest};
    pub use log::LevelFilter;

    pub use crate::heap::{Heap, new as heap};
    pub use crate::start::run;

    /// The first of a list: what an option says, before its default.
    #[must_use]
    pub const fn first<T: Copy>(list: &[T]) -> T {
        list[0]
    }
}

/// The running image's manifest. `None` outside an image.
#[must_use]
pub fn manifest() -> Option<&'static Manifest> {
    #[cfg(ringwall_image)]
    return Some(image::manifest());
    #[cfg(not(ringwall_image))]
    return None;
}

/// Index, in calls and in the boot information, of the device of that kind and name.
#[must_use]
pub fn device_index(kind: DeviceKind, name: &str) -> Option<usize> {
    manifest()?.devices_of(kind).map(Device::name).position(|known| known == name)
}

#[cfg(ringwall_image)]
mod image {
    #![expect(unsafe_code, reason = "calls into the appliance")]

    use hvcall::Manifest;

    unsafe extern "Rust" {
        /// Defined by `appliance!`.
        safe fn ringwall_manifest() -> &'static Manifest;
    }

    pub(super) fn manifest() -> &'static Manifest {
        ringwall_manifest()
    }
}
