//! Shared structures as bytes: one macro, no padding, no unsafe.
//!
//! Both sides lay a shared structure out as `repr(C)` integers without padding. The guest lets the monitor read and write
//! the structure in place; the monitor copies the bytes out of guest memory first and decodes the copy with
//! [`Wire::read`]. The macro checks at compile time that the bytes written one after the other are exactly the `repr(C)`
//! layout, so the two views cannot drift apart.

#[doc(hidden)]
pub use static_assertions::const_assert_eq;

/// A value with one fixed little-endian byte form.
pub trait Wire: Sized {
    /// Length of the byte form.
    const SIZE_BYTES: usize;

    /// Decodes the first [`Self::SIZE_BYTES`] bytes.
    ///
    /// # Panics
    /// If `bytes` is shorter than that. Callers slice by the constant.
    fn read(bytes: &[u8]) -> Self;

    /// Encodes into the first [`Self::SIZE_BYTES`] bytes of `out`.
    ///
    /// # Panics
    /// If `out` is shorter than that.
    fn write(&self, out: &mut [u8]);
}

macro_rules! wire_integer {
    ($($integer:ty),*) => {$(
        impl Wire for $integer {
            const SIZE_BYTES: usize = size_of::<$integer>();

            fn read(bytes: &[u8]) -> Self {
                let mut raw = [0; size_of::<$integer>()];
                raw.copy_from_slice(&bytes[..Self::SIZE_BYTES]);
                <$integer>::from_le_bytes(raw)
            }

            fn write(&self, out: &mut [u8]) {
                out[..Self::SIZE_BYTES].copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
wire_integer!(u8, u16, u32, u64, i64);

impl<T: Wire, const N: usize> Wire for [T; N] {
    const SIZE_BYTES: usize = T::SIZE_BYTES * N;

    fn read(bytes: &[u8]) -> Self {
        core::array::from_fn(|index| T::read(&bytes[index * T::SIZE_BYTES..]))
    }

    fn write(&self, out: &mut [u8]) {
        for (item, chunk) in self.iter().zip(out.chunks_exact_mut(T::SIZE_BYTES)) {
            item.write(chunk);
        }
    }
}

/// Defines a shared structure: `repr(C)`, integers only, with its [`Wire`] form and a check that it has no padding.
#[macro_export]
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident : $type:ty, )* }
    ) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type, )* }

        impl $crate::wire::Wire for $name {
            const SIZE_BYTES: usize = 0 $( + <$type as $crate::wire::Wire>::SIZE_BYTES )*;

            fn read(bytes: &[u8]) -> Self {
                let mut at = 0;
                $(
                    let $field = <$type as $crate::wire::Wire>::read(&bytes[at..]);
                    at += <$type as $crate::wire::Wire>::SIZE_BYTES;
                )*
                debug_assert_eq!(at, Self::SIZE_BYTES);
                Self { $($field),* }
            }

            fn write(&self, out: &mut [u8]) {
                let mut at = 0;
                $(
                    $crate::wire::Wire::write(&self.$field, &mut out[at..]);
                    at += <$type as $crate::wire::Wire>::SIZE_BYTES;
                )*
                debug_assert_eq!(at, Self::SIZE_BYTES);
            }
        }

        // Fields written one after the other fill the repr(C) layout: no padding, so no stale byte crosses the boundary.
        $crate::wire::const_assert_eq!(size_of::<$name>(), <$name as $crate::wire::Wire>::SIZE_BYTES);
    };
}
