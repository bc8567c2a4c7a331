//! Opening a tap interface: one descriptor on which one read or write is one Ethernet frame.
//!
//! The interface has to exist. `TUNSETIFF` on an unknown name would make one, silently, without address or bridge, and gone
//! with the process: that would look like success and carry no packet. So a missing interface is an error that says how to
//! make one. A persistent tap also keeps settings of its previous user, so everything that matters is set explicitly.
//!
//! Numbers and structures: `include/uapi/linux/if_tun.h`, `include/uapi/linux/if.h` and `drivers/net/tun.c`, v6.12.
#![expect(unsafe_code, reason = "the ioctls of tun and of network interfaces have no safe wrapper")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use hvcall::ExitCode;
use hvcall::boot::Offloads;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Opcode, Setter, Updater, ioctl, opcode};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use thiserror::Error;

/// Length of the offload header before each frame when [`Tap::vnet_header`] is set: `struct virtio_net_hdr` without the
/// count of merged buffers.
pub const VNET_HEADER_BYTES: usize = 10;

const TUN_DEVICE: &str = "/dev/net/tun";
const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);
const TUNSETOFFLOAD: Opcode = opcode::write::<u32>(b'T', 208);
const TUNSETVNETHDRSZ: Opcode = opcode::write::<i32>(b'T', 216);
const TUNSETVNETLE: Opcode = opcode::write::<i32>(b'T', 220);
const SIOCGIFFLAGS: Opcode = 0x8913;
const SIOCGIFMTU: Opcode = 0x8921;

const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const IFF_UP: u16 = 1;

/// `TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6`: what the guest takes unfinished from the host.
const OFFLOADS: usize = 1 | 2 | 4;

/// `struct ifreq` as the four requests here use it.
#[repr(C)]
#[derive(Clone, Copy)]
struct InterfaceRequest {
    name: [u8; 16],
    value: [u8; 24],
}
const _: () = assert!(size_of::<InterfaceRequest>() == 40);

/// An open tap.
#[derive(Debug)]
pub struct Tap {
    /// The descriptor: non-blocking, closed on exec.
    pub fd: OwnedFd,
    /// The interface's MTU, in bytes of IP packet.
    pub mtu: u16,
    /// Each frame follows a [`VNET_HEADER_BYTES`] long offload header, and may be a segment of up to 64 KiB.
    pub vnet_header: bool,
}

/// Why a tap cannot be used.
#[derive(Debug, Error)]
pub enum TapError {
    /// There is no interface of that name.
    #[error(
        "cannot open tap {0}: there is no such interface; as root: `ip tuntap add {0} mode tap user $USER && ip addr add 10.0.0.1/24 dev {0} && ip link set {0} up`"
    )]
    Missing(String),
    /// The interface is down: every frame would be refused.
    #[error("cannot use tap {0}: the interface is down; as root: `ip link set {0} up`")]
    Down(String),
    /// The kernel has no tun driver.
    #[error("cannot open tap {interface}: {TUN_DEVICE} is not there ({source}); as root: `modprobe tun`")]
    NoDriver {
        /// The interface.
        interface: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The device file or the interface belongs to someone else.
    #[error(
        "cannot open tap {interface}: not permitted ({source}); as root, give it to the user who runs ringwall: `ip link del {interface}; ip tuntap add {interface} mode tap user $USER`, or use `user` instead of tap"
    )]
    NotPermitted {
        /// The interface.
        interface: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Another program has it.
    #[error(
        "cannot open tap {0}: another program is using it, probably a running appliance; stop that one or use another interface"
    )]
    Busy(String),
    /// The interface is something else.
    #[error(
        "cannot open tap {0}: the interface is not a single-queue tap; make one as root: `ip tuntap add NAME mode tap user $USER`"
    )]
    NotATap(String),
    /// The host failed.
    #[error("cannot {action} tap {interface}: {source}")]
    Host {
        /// What was tried.
        action: &'static str,
        /// The interface.
        interface: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl TapError {
    /// Exit status of `ringwall` for this error.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Missing(_)
            | Self::Down(_)
            | Self::NoDriver { .. }
            | Self::NotPermitted { .. }
            | Self::Busy(_)
            | Self::NotATap(_) => ExitCode::UNAVAILABLE,
            Self::Host { .. } => ExitCode::HOST_ERROR,
        }
    }
}

impl Tap {
    /// Attaches to an existing tap interface that is up.
    ///
    /// With `vnet_header`, checksum and segmentation offload are turned on in both directions; without, off.
    ///
    /// # Errors
    /// [`TapError`]. No interface is created.
    pub fn open(interface: &str, vnet_header: bool) -> Result<Self, TapError> {
        let host = |action| {
            move |errno: Errno| TapError::Host {
                action,
                interface: interface.to_owned(),
                source: errno.into(),
            }
        };
        let request =
            InterfaceRequest::of(interface).ok_or_else(|| TapError::Missing(interface.to_owned()))?;
        let control = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(host("ask about"))?;
        let flags = get::<SIOCGIFFLAGS>(&control, request).map_err(|errno| match errno {
            Errno::NODEV => TapError::Missing(interface.to_owned()),
            other => host("ask about")(other),
        })?;
        if flags.short() & IFF_UP == 0 {
            return Err(TapError::Down(interface.to_owned()));
        }
        let mtu = get::<SIOCGIFMTU>(&control, request).map_err(host("ask about"))?.word();

        let fd = open_driver(interface)?;
        attach(&fd, request, vnet_header).map_err(|errno| attach_error(interface, errno))?;
        if vnet_header {
            set_header(&fd).map_err(host("set the header of"))?;
        }
        set_offloads(&fd, if vnet_header { OFFLOADS } else { 0 }).map_err(host("set the offloads of"))?;
        Ok(Self { fd, mtu: u16::try_from(mtu).unwrap_or(u16::MAX), vnet_header })
    }
}

impl Tap {
    /// What the guest is told that it can leave to the host.
    #[must_use]
    pub const fn offloads(&self) -> Offloads {
        if self.vnet_header { Offloads::all() } else { Offloads::empty() }
    }
}

impl InterfaceRequest {
    /// A request about the interface, or `None` if none can have that name.
    fn of(interface: &str) -> Option<Self> {
        let mut name = [0; 16];
        let is_name = (1..name.len()).contains(&interface.len()) && !interface.contains('%');
        name.get_mut(..interface.len()).filter(|_| is_name)?.copy_from_slice(interface.as_bytes());
        Some(Self { name, value: [0; 24] })
    }

    /// `ifr_flags`.
    fn short(&self) -> u16 {
        u16::from_ne_bytes([self.value[0], self.value[1]])
    }

    /// `ifr_mtu`.
    fn word(&self) -> u32 {
        u32::from_ne_bytes([self.value[0], self.value[1], self.value[2], self.value[3]])
    }
}

fn open_driver(interface: &str) -> Result<OwnedFd, TapError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(TUN_DEVICE, flags, Mode::empty()).map_err(|errno| {
        let interface = interface.to_owned();
        let source = errno.into();
        match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => TapError::NoDriver { interface, source },
            Errno::ACCESS | Errno::PERM => TapError::NotPermitted { interface, source },
            _ => TapError::Host { action: "open", interface, source },
        }
    })
}

fn attach_error(interface: &str, errno: Errno) -> TapError {
    let interface = interface.to_owned();
    match errno {
        Errno::PERM | Errno::ACCESS => TapError::NotPermitted { interface, source: errno.into() },
        Errno::BUSY => TapError::Busy(interface),
        Errno::INVAL => TapError::NotATap(interface),
        _ => TapError::Host { action: "attach to", interface, source: errno.into() },
    }
}

fn get<const REQUEST: Opcode>(
    control: impl AsFd,
    mut request: InterfaceRequest,
) -> rustix::io::Result<InterfaceRequest> {
    // SAFETY: SIOCGIFFLAGS and SIOCGIFMTU, the only requests this is used with, read and write one `struct ifreq`
    // (net/core/dev_ioctl.c), whose length `InterfaceRequest` has.
    let updater = unsafe { Updater::<REQUEST, _>::new(&mut request) };
    // SAFETY: as above; any value in the structure is allowed, and the name in it ends in a NUL.
    unsafe { ioctl(control, updater) }?;
    Ok(request)
}

fn attach(fd: &OwnedFd, mut request: InterfaceRequest, vnet_header: bool) -> rustix::io::Result<()> {
    let flags = IFF_TAP | IFF_NO_PI | if vnet_header { IFF_VNET_HDR } else { 0 };
    request.value[..2].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq` although its number says `int`.
    let updater = unsafe { Updater::<TUNSETIFF, _>::new(&mut request) };
    // SAFETY: as above; `fd` is the tun device, which knows this request.
    unsafe { ioctl(fd, updater) }
}

/// Ten bytes, in little-endian order whatever a previous user wanted.
fn set_header(fd: &OwnedFd) -> rustix::io::Result<()> {
    const BYTES: i32 = 10;
    const _: () = assert!(BYTES as usize == VNET_HEADER_BYTES);
    // SAFETY: TUNSETVNETHDRSZ reads one `int`.
    let length = unsafe { Setter::<TUNSETVNETHDRSZ, i32>::new(BYTES) };
    // SAFETY: as above; `fd` is the tun device, which knows this request.
    unsafe { ioctl(fd, length) }?;
    // SAFETY: TUNSETVNETLE reads one `int`.
    let order = unsafe { Setter::<TUNSETVNETLE, i32>::new(1) };
    // SAFETY: as above; `fd` is the tun device, which knows this request.
    unsafe { ioctl(fd, order) }
}

fn set_offloads(fd: &OwnedFd, offloads: usize) -> rustix::io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its flags in the argument itself and follows no pointer.
    let setter = unsafe { IntegerSetter::<TUNSETOFFLOAD>::new_usize(offloads) };
    // SAFETY: as above; `fd` is the tun device, which knows this request.
    unsafe { ioctl(fd, setter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_is_not_created_and_the_error_says_how_to() {
        for name in ["rw-missing0", "rw%d", "", "a-name-that-is-far-too-long"] {
            let error = Tap::open(name, true).unwrap_err();
            assert!(matches!(&error, TapError::Missing(found) if found == name), "{error}");
            assert!(error.to_string().contains(&format!("ip tuntap add {name} mode tap")), "{error}");
            assert_eq!(error.exit_code(), ExitCode::UNAVAILABLE);
        }
        assert!(matches!(Tap::open("rw-missing0", false), Err(TapError::Missing(_))));
    }

    #[test]
    fn an_interface_that_is_no_tap_is_refused() {
        // Whether the loopback interface is up, and whether this user may open the device, differs between hosts.
        let error = Tap::open("lo", false).unwrap_err();
        assert!(
            matches!(
                error,
                TapError::NotATap(_)
                    | TapError::Down(_)
                    | TapError::NotPermitted { .. }
                    | TapError::NoDriver { .. }
            ),
            "{error}"
        );
    }

    #[test]
    fn requests_have_the_numbers_of_the_kernel_headers() {
        assert_eq!([TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ], [0x4004_54ca, 0x4004_54d0, 0x4004_54d8]);
    }
}
