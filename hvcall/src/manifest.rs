//! The manifest: what an image declares about itself.
//!
//! It travels in an ELF note ([`crate::note`]). A device not listed here cannot be given, a device listed here must be.

use core::fmt;

use crate::wire_struct;
use crate::{ABI_VERSION, MAX_DISKS, MAX_NICS};

/// Most devices of all kinds.
pub const MAX_DEVICES: usize = MAX_NICS + MAX_DISKS;
/// Most bytes of a device's name; shorter names end in NULs.
pub const MAX_DEVICE_NAME_BYTES: usize = 24;
/// Most bytes of the appliance's name or version; shorter ones end in NULs.
pub const MAX_NAME_BYTES: usize = 32;
/// Smallest and largest memory an image may ask for.
pub const MEMORY_BYTES: core::ops::RangeInclusive<u64> = 64 * 1024..=1 << 40;
/// Smallest and largest stack.
pub const STACK_BYTES: core::ops::RangeInclusive<u64> = 16 * 1024..=1 << 30;

/// Kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Network interface.
    Nic,
    /// Block device.
    Disk,
}

impl DeviceKind {
    /// Number in [`Device::kind`].
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        match self {
            Self::Nic => 1,
            Self::Disk => 2,
        }
    }

    /// The kind of that number.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Self::Nic),
            2 => Some(Self::Disk),
            _ => None,
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nic => "NIC",
            Self::Disk => "disk",
        })
    }
}

wire_struct! {
    /// A device that the appliance needs. Its index in calls is its position among the devices of its kind.
    pub struct Device {
        /// [`DeviceKind::to_raw`].
        pub kind: u32,
        /// 0.
        pub reserved: u32,
        /// Name for people and the command line: `a-z 0-9 -`, unique among all devices.
        pub name: [u8; MAX_DEVICE_NAME_BYTES],
    }
}

impl Device {
    /// A device declaration, for use in constants.
    ///
    /// # Panics
    /// If the name is empty, too long or has other characters than `a-z 0-9 -`: at compile time in a constant.
    #[must_use]
    pub const fn new(kind: DeviceKind, name: &str) -> Self {
        let name = padded(name);
        assert!(is_device_name(&name), "a device name is 1 to 24 characters of a-z, 0-9 and -");
        Self { kind: kind.to_raw(), reserved: 0, name }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        text(&self.name)
    }
}

wire_struct! {
    /// The note's content.
    pub struct Manifest {
        /// [`ABI_VERSION`] the image was built for.
        pub abi: u32,
        /// Number of devices, the first entries of `devices`.
        pub device_count: u32,
        /// Feature bits. None is defined in this version.
        pub features: u64,
        /// Memory that the appliance wants unless the command line says otherwise: image, stack, heap and boot information.
        pub memory_bytes: u64,
        /// Stack size, a multiple of 4096.
        pub stack_bytes: u64,
        /// Seed of the build's function order. 0 if not shuffled.
        pub build_seed: u64,
        /// Appliance name: printable ASCII, not empty.
        pub name: [u8; MAX_NAME_BYTES],
        /// Appliance version: printable ASCII, not empty.
        pub version: [u8; MAX_NAME_BYTES],
        /// Devices.
        pub devices: [Device; MAX_DEVICES],
    }
}
static_assertions::const_assert_eq!(size_of::<Manifest>(), 616);
static_assertions::const_assert_eq!(core::mem::offset_of!(Manifest, devices), 104);

/// Why a manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// The image speaks another version of the contract.
    Abi {
        /// Version in the image.
        image: u32,
    },
    /// More devices than there is room for.
    DeviceCount(u32),
    /// Unknown feature bits.
    Features(u64),
    /// Memory out of range or not whole pages.
    Memory(u64),
    /// Stack out of range or not whole pages.
    Stack(u64),
    /// Name or version is empty or not printable ASCII followed by NULs.
    Text,
    /// A device has an unknown kind, a bad name, a reserved field that is not 0, or lies beyond the count and is not 0.
    Device(usize),
    /// Two devices share a name.
    DuplicateName(usize),
    /// More devices of one kind than a machine can have.
    TooMany(DeviceKind),
}

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abi { image } => {
                write!(formatter, "image speaks ABI version {image}, this loader speaks {ABI_VERSION}")
            }
            Self::DeviceCount(count) => {
                write!(formatter, "manifest lists {count} devices, at most {MAX_DEVICES} are possible")
            }
            Self::Features(bits) => write!(formatter, "manifest has unknown feature bits {bits:#x}"),
            Self::Memory(bytes) => {
                write!(
                    formatter,
                    "manifest asks for {bytes} bytes of memory, not whole pages in 64 KiB to 1 TiB"
                )
            }
            Self::Stack(bytes) => {
                write!(
                    formatter,
                    "manifest asks for {bytes} bytes of stack, not whole pages in 16 KiB to 1 GiB"
                )
            }
            Self::Text => formatter.write_str("manifest's name or version is empty or not printable ASCII"),
            Self::Device(index) => write!(formatter, "manifest's device entry {index} is malformed"),
            Self::DuplicateName(index) => {
                write!(formatter, "manifest's device entry {index} repeats an earlier name")
            }
            Self::TooMany(kind) => write!(formatter, "manifest lists too many devices of kind {kind}"),
        }
    }
}

impl core::error::Error for ManifestError {}

impl Manifest {
    /// A manifest for use in constants: what `appliance!` puts into the image.
    ///
    /// # Panics
    /// If an argument is outside what [`Manifest::check`] accepts: at compile time in a constant.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 devices")]
    pub const fn new(
        name: &str,
        version: &str,
        memory_bytes: u64,
        stack_bytes: u64,
        build_seed: u64,
        nics: &[&str],
        disks: &[&str],
    ) -> Self {
        assert!(nics.len() <= MAX_NICS && disks.len() <= MAX_DISKS, "at most 8 NICs and 8 disks");
        assert!(memory_bytes.is_multiple_of(4096), "memory is whole pages of 4096 bytes");
        assert!(stack_bytes.is_multiple_of(4096), "the stack is whole pages of 4096 bytes");
        let mut devices = [Device { kind: 0, reserved: 0, name: [0; MAX_DEVICE_NAME_BYTES] }; MAX_DEVICES];
        let mut count = 0;
        while count < nics.len() {
            devices[count] = Device::new(DeviceKind::Nic, nics[count]);
            count += 1;
        }
        while count < nics.len() + disks.len() {
            devices[count] = Device::new(DeviceKind::Disk, disks[count - nics.len()]);
            count += 1;
        }
        Self {
            abi: ABI_VERSION,
            device_count: count as u32,
            features: 0,
            memory_bytes,
            stack_bytes,
            build_seed,
            name: padded(name),
            version: padded(version),
            devices,
        }
    }

    /// Checks a manifest that came from an image.
    ///
    /// # Errors
    /// The first property that does not hold.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.abi != ABI_VERSION {
            return Err(ManifestError::Abi { image: self.abi });
        }
        let count = self.device_count as usize;
        if count > MAX_DEVICES {
            return Err(ManifestError::DeviceCount(self.device_count));
        }
        if self.features != 0 {
            return Err(ManifestError::Features(self.features));
        }
        if !MEMORY_BYTES.contains(&self.memory_bytes) || !self.memory_bytes.is_multiple_of(4096) {
            return Err(ManifestError::Memory(self.memory_bytes));
        }
        if !STACK_BYTES.contains(&self.stack_bytes) || !self.stack_bytes.is_multiple_of(4096) {
            return Err(ManifestError::Stack(self.stack_bytes));
        }
        if !is_label(&self.name) || !is_label(&self.version) {
            return Err(ManifestError::Text);
        }
        self.check_devices(count)
    }

    fn check_devices(&self, count: usize) -> Result<(), ManifestError> {
        for (index, device) in self.devices.iter().enumerate() {
            let valid = if index < count {
                DeviceKind::from_raw(device.kind).is_some()
                    && device.reserved == 0
                    && is_device_name(&device.name)
            } else {
                *device == Device::default()
            };
            if !valid {
                return Err(ManifestError::Device(index));
            }
            if self.devices[..index.min(count)]
                .iter()
                .any(|earlier| index < count && earlier.name == device.name)
            {
                return Err(ManifestError::DuplicateName(index));
            }
        }
        for (kind, limit) in [(DeviceKind::Nic, MAX_NICS), (DeviceKind::Disk, MAX_DISKS)] {
            if self.devices_of(kind).count() > limit {
                return Err(ManifestError::TooMany(kind));
            }
        }
        Ok(())
    }

    /// The devices of one kind, in index order.
    pub fn devices_of(&self, kind: DeviceKind) -> impl Iterator<Item = &Device> {
        self.devices
            .iter()
            .take(self.device_count as usize)
            .filter(move |device| device.kind == kind.to_raw())
    }

    /// The appliance's name.
    #[must_use]
    pub fn name(&self) -> &str {
        text(&self.name)
    }

    /// The appliance's version.
    #[must_use]
    pub fn version(&self) -> &str {
        text(&self.version)
    }
}

const fn padded<const N: usize>(from: &str) -> [u8; N] {
    let from = from.as_bytes();
    assert!(from.len() <= N, "name is too long for the manifest");
    let mut to = [0; N];
    let mut index = 0;
    while index < from.len() {
        to[index] = from[index];
        index += 1;
    }
    to
}

fn text(padded: &[u8]) -> &str {
    let end = padded.iter().position(|&byte| byte == 0).unwrap_or(padded.len());
    core::str::from_utf8(&padded[..end]).unwrap_or("?")
}

const fn is_device_name(padded: &[u8]) -> bool {
    let mut index = 0;
    while index < padded.len() && matches!(padded[index], b'a'..=b'z' | b'0'..=b'9' | b'-') {
        index += 1;
    }
    index > 0 && is_zero_from(padded, index)
}

const fn is_label(padded: &[u8]) -> bool {
    let mut index = 0;
    while index < padded.len() && matches!(padded[index], b' '..=b'~') {
        index += 1;
    }
    index > 0 && is_zero_from(padded, index)
}

const fn is_zero_from(padded: &[u8], mut index: usize) -> bool {
    while index < padded.len() {
        if padded[index] != 0 {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Manifest = Manifest::new("web", "0.1.0", 1 << 24, 1 << 16, 0, &["net"], &["data", "log"]);

    #[test]
    fn a_constant_manifest_passes_its_own_check() {
        assert_eq!(GOOD.check(), Ok(()));
        assert_eq!(GOOD.name(), "web");
        let disks: [&str; 2] = core::array::from_fn(|index| {
            GOOD.devices_of(DeviceKind::Disk).nth(index).map_or("", Device::name)
        });
        assert_eq!(disks, ["data", "log"]);
    }

    #[test]
    fn each_bad_property_is_named() {
        let spoiled = |change: fn(&mut Manifest)| {
            let mut manifest = GOOD;
            change(&mut manifest);
            manifest.check().unwrap_err()
        };
        assert_eq!(spoiled(|m| m.abi = 9), ManifestError::Abi { image: 9 });
        assert_eq!(spoiled(|m| m.device_count = 17), ManifestError::DeviceCount(17));
        assert_eq!(spoiled(|m| m.features = 1), ManifestError::Features(1));
        assert_eq!(spoiled(|m| m.memory_bytes = 4097), ManifestError::Memory(4097));
        assert_eq!(spoiled(|m| m.memory_bytes = !4095), ManifestError::Memory(!4095));
        assert_eq!(spoiled(|m| m.stack_bytes = 0), ManifestError::Stack(0));
        assert_eq!(spoiled(|m| m.name = [0; 32]), ManifestError::Text);
        assert_eq!(spoiled(|m| m.version[2] = 7), ManifestError::Text);
        assert_eq!(spoiled(|m| m.devices[0].kind = 3), ManifestError::Device(0));
        assert_eq!(spoiled(|m| m.devices[1].reserved = 1), ManifestError::Device(1));
        assert_eq!(spoiled(|m| m.devices[2].name[0] = b'/'), ManifestError::Device(2));
        assert_eq!(spoiled(|m| m.devices[3].kind = 1), ManifestError::Device(3));
        assert_eq!(spoiled(|m| m.devices[2].name = m.devices[1].name), ManifestError::DuplicateName(2));
    }

    #[test]
    fn each_kind_has_its_limit() {
        let mut manifest = GOOD;
        manifest.device_count = 9;
        for (index, device) in manifest.devices.iter_mut().take(9).enumerate() {
            *device = Device::new(DeviceKind::Nic, "n");
            device.name[1] = b"012345678"[index];
        }
        assert_eq!(manifest.check(), Err(ManifestError::TooMany(DeviceKind::Nic)));
    }
}
