//! What a network operation says when it fails.

use core::fmt;

use embedded_io_async::ErrorKind;

/// Why a network operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The appliance has no NIC, or boot information describes none.
    NoDevice,
    /// No address of ours can reach the destination: no route, or the network is not up yet.
    NoRoute,
    /// The port is in use, or no ephemeral port is free.
    AddressInUse,
    /// The address or port cannot be used for this.
    InvalidAddress,
    /// The peer refused the connection.
    Refused,
    /// The peer, or a failing path to it, ended the connection.
    Reset,
    /// The connection is closed in this direction, or was never open.
    NotConnected,
    /// Nothing came in time.
    TimedOut,
    /// A limit on connections or memory is reached.
    OutOfMemory,
    /// The datagram does not fit one packet.
    TooLong,
    /// The name is not a valid DNS name.
    InvalidName,
    /// The name has no address.
    NotFound,
    /// No resolver is known, or it answered that it failed.
    ResolverFailed,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoDevice => "no network device",
            Self::NoRoute => "no route to the destination",
            Self::AddressInUse => "address in use",
            Self::InvalidAddress => "address cannot be used",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::NotConnected => "not connected",
            Self::TimedOut => "timed out",
            Self::OutOfMemory => "out of memory",
            Self::TooLong => "datagram too long",
            Self::InvalidName => "not a valid host name",
            Self::NotFound => "host not found",
            Self::ResolverFailed => "name resolution failed",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoDevice | Self::NoRoute => ErrorKind::AddrNotAvailable,
            Self::AddressInUse => ErrorKind::AddrInUse,
            Self::InvalidAddress | Self::TooLong | Self::InvalidName => ErrorKind::InvalidInput,
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::NotConnected => ErrorKind::NotConnected,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::OutOfMemory => ErrorKind::OutOfMemory,
            Self::NotFound => ErrorKind::NotFound,
            Self::ResolverFailed => ErrorKind::Other,
        }
    }
}
