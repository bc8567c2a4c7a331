//! The frame policy of a NIC: which Ethernet frames pass between a guest and a tap, or another program's descriptor.
//!
//! A guest that is taken over sends what it likes. With a policy, a relay process stands between it and the network, as the helper
//! does for a `user` network: closed, with two descriptors and no others (see `relay`). It takes every frame apart and lets
//! through what it understands completely and a rule opens. The monitor passes frames along and never looks into one.
//!
//! ```text
//! ┌───────┐ ┌─────────┐ socket pair ┌──────────────────────────────┐
//! │ guest ├─┤ monitor ├─────────────┤ relay: FramePolicy::judge    ├── tap or inherited descriptor
//! └───────┘ └─────────┘             └──────────────────────────────┘
//! ```
//!
//! **Out** goes a frame with the NIC's own MAC address and IP address (that of `ip=`, or the one a DHCP server lent it before our
//! eyes), to an address and port that `--allow` names, or as an answer to somebody who called as `--accept` allows. The guest may
//! ask by ARP or NDP for hosts that it may talk to and for no others, so that it cannot even find out who is there. **In** come
//! calls that `--accept` allows and answers of hosts that `--allow` names.
//!
//! **Never** pass: VLAN tags, frames with a length in place of a type, other protocols; fragments; IPv4 options and IPv6
//! extension headers; lengths that do not agree; multicast and broadcast, but for ARP, NDP and DHCP; ICMP but echo, and
//! reports about the guest's own packets on their way in; IPv6 without `ip6=`; offload headers of the guest that are not the ones
//! that belong to their frames (see `offload`).

mod callers;
mod decode;
mod dhcp;
mod neighbours;
mod offload;
mod policy;
mod reason;
mod relay;
#[cfg(test)]
mod tests;

pub use policy::{FramePolicy, PolicyError};
pub use reason::Reason;
pub use relay::{Relay, filter};

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The guest sent it.
    FromGuest,
    /// It is for the guest.
    ToGuest,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, unchanged.
    Pass,
    /// It is dropped.
    Drop(Reason),
}
