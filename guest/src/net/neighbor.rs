//! Who has which MAC address on the link.
//!
//! Entries come from ARP and NDP, and from ordinary traffic: whoever just sent us a packet needs no asking. Everything is
//! bounded: the table drops its least recently used entry, and an entry that is still being asked for keeps only a few
//! packets. Time comes in from outside, questions go out as a list of addresses.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use smoltcp::wire::EthernetAddress;

use super::frame::Outgoing;
use super::sorted::SortedMap;
use crate::time::Instant;

/// Most neighbours known at once.
const CAPACITY: usize = 256;
/// Packets kept per neighbour while its address is being asked for (RFC 4861, section 7.2.2, wants at least one).
const MAX_PENDING: usize = 4;
/// How long an answer is trusted without a sign of life.
const REACHABLE: Duration = Duration::from_secs(60);
/// Time between questions, and how many are asked.
const RETRY: Duration = Duration::from_secs(1);
const MAX_TRIES: u8 = 3;

#[derive(Debug, Default)]
struct Neighbor {
    mac: Option<EthernetAddress>,
    confirmed: Instant,
    used: Instant,
    /// Questions asked since the last answer, and when the next is due. `tries` 0 means none is under way.
    tries: u8,
    ask_at: Instant,
    pending: Vec<Outgoing>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Neighbors {
    table: SortedMap<IpAddr, Neighbor>,
    /// No question is due before this. May be early, never late.
    next_ask: Instant,
    /// Packets dropped because their neighbour did not answer.
    pub(super) dropped: u64,
}

/// A question to put on the link: to everybody, or to the MAC that answered last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) target: IpAddr,
    pub(super) to: Option<EthernetAddress>,
}

/// What became of a packet handed to [`Neighbors::resolve`].
#[derive(Debug)]
pub(super) enum Resolution {
    /// It can leave, to this MAC. There may be a question to ask all the same, to keep the entry fresh.
    Known(Outgoing, EthernetAddress, Option<Question>),
    /// It waits. Ask this now, if anything.
    Waiting(Option<Question>),
}

impl Neighbors {
    pub(super) fn new() -> Self {
        Self { table: SortedMap::new(), next_ask: Instant::FAR_FUTURE, dropped: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Finds the MAC for `packet`, bound for `target` on the link, or keeps the packet until it is known.
    pub(super) fn resolve(&mut self, target: IpAddr, packet: Outgoing, now: Instant) -> Resolution {
        let neighbor = entry(&mut self.table, target, now, &mut self.dropped);
        neighbor.used = now;
        if let Some(mac) = neighbor.mac {
            let stale = now.duration_since(neighbor.confirmed) > REACHABLE && neighbor.tries == 0;
            let question = stale.then(|| ask(neighbor, target, now, &mut self.next_ask));
            return Resolution::Known(packet, mac, question);
        }
        if neighbor.pending.len() < MAX_PENDING {
            neighbor.pending.push(packet);
        } else {
            self.dropped += 1;
        }
        let first = neighbor.tries == 0;
        Resolution::Waiting(first.then(|| ask(neighbor, target, now, &mut self.next_ask)))
    }

    /// An ARP or NDP answer: `address` is at `mac`. Gives the packets that waited for it.
    pub(super) fn confirm(&mut self, address: IpAddr, mac: EthernetAddress, now: Instant) -> Vec<Outgoing> {
        let neighbor = entry(&mut self.table, address, now, &mut self.dropped);
        neighbor.mac = Some(mac);
        neighbor.confirmed = now;
        neighbor.tries = 0;
        core::mem::take(&mut neighbor.pending)
    }

    /// A packet from `address` came from `mac`. Fills an entry and keeps it fresh, but never redirects one: only an answer
    /// or the neighbour's silence does that.
    pub(super) fn observe(&mut self, address: IpAddr, mac: EthernetAddress, now: Instant) -> Vec<Outgoing> {
        match self.table.get_mut(address) {
            Some(neighbor) if neighbor.mac == Some(mac) => {
                neighbor.confirmed = now;
                neighbor.tries = 0;
                Vec::new()
            }
            Some(neighbor) if neighbor.mac.is_some() => Vec::new(),
            _ => self.confirm(address, mac, now),
        }
    }

    /// An unasked announcement: believed only about a neighbour that is known already.
    pub(super) fn announce(&mut self, address: IpAddr, mac: EthernetAddress, now: Instant) -> Vec<Outgoing> {
        if self.table.get(address).is_some() { self.confirm(address, mac, now) } else { Vec::new() }
    }

    /// The questions that are due, after dropping neighbours that never answered.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Question> {
        if now < self.next_ask {
            return Vec::new();
        }
        let mut questions = Vec::new();
        let mut next = Instant::FAR_FUTURE;
        let dropped = &mut self.dropped;
        self.table.retain(|target, neighbor| {
            if neighbor.tries == 0 {
                return true;
            }
            if neighbor.ask_at <= now {
                if neighbor.tries >= MAX_TRIES {
                    *dropped += neighbor.pending.len() as u64;
                    return false;
                }
                questions.push(ask(neighbor, target, now, &mut next));
            }
            next = next.min(neighbor.ask_at);
            true
        });
        self.next_ask = next;
        questions
    }

    /// When [`Self::due`] has something to say.
    pub(super) fn deadline(&self) -> Instant {
        self.next_ask
    }

    /// Forgets everything, because our own addresses changed.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.next_ask = Instant::FAR_FUTURE;
    }
}

/// Counts a question, plans the next, and says whom to ask.
fn ask(neighbor: &mut Neighbor, target: IpAddr, now: Instant, next: &mut Instant) -> Question {
    neighbor.tries += 1;
    neighbor.ask_at = now.saturating_add(RETRY);
    *next = (*next).min(neighbor.ask_at);
    // The last try goes to everybody: the neighbour may have a new MAC.
    Question { target, to: neighbor.mac.filter(|_| neighbor.tries < MAX_TRIES) }
}

/// The entry for `address`, new if need be; the least recently used makes room.
#[inline(never)]
fn entry<'a>(
    table: &'a mut SortedMap<IpAddr, Neighbor>,
    address: IpAddr,
    now: Instant,
    dropped: &mut u64,
) -> &'a mut Neighbor {
    if table.len() >= CAPACITY
        && table.get(address).is_none()
        && let Some(oldest) = table.iter().min_by_key(|(_, neighbor)| neighbor.used).map(|(key, _)| key)
        && let Some(evicted) = table.remove(oldest)
    {
        *dropped += evicted.pending.len() as u64;
    }
    table.get_or_insert_with(address, || Neighbor { used: now, ..Neighbor::default() })
}
