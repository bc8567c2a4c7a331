//! The helper as a whole: a real forked and shut-in helper on one end of a socket pair, a smoltcp guest on the other.

mod call;
mod farewell;
mod hostile;
mod inbound;
mod outbound;
mod rig;
mod storm;
mod walls;
