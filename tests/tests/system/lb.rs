//! `lb` over the userspace network, and over a tap where the load is: backends and clients are ordinary sockets of this host.

mod drain;
mod forwarding;
mod health;
mod rig;
mod tap;
