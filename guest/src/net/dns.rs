//! Names to addresses: a stub resolver (RFC 1035).
//!
//! A query goes out from a random port under a random number, and only an answer that repeats both, and the question, counts.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData, DnsRepr,
};

use super::{Error, Result, UdpSocket, driver};
use crate::executor::timeout;

/// Most addresses given for a name.
pub const MAX_ADDRESSES: usize = 8;
/// What [`resolve`] finds.
pub type Addresses = heapless::Vec<IpAddr, MAX_ADDRESSES>;

const PORT: u16 = 53;
/// Rounds over all resolvers, and how long each may take to answer.
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(2);
/// Answers without EDNS are no longer (RFC 1035, section 4.2.1).
const MAX_MESSAGE_BYTES: usize = 512;
const HEADER_BYTES: usize = 12;
const MAX_NAME_BYTES: usize = 255;
const MAX_LABEL_BYTES: usize = 63;

/// Finds the addresses of `name`, IPv4 first. An address in text form is its own answer.
///
/// # Errors
/// [`Error::InvalidName`]; [`Error::NotFound`]; [`Error::ResolverFailed`] if there is no resolver or it failed;
/// [`Error::TimedOut`] if none answered.
pub async fn resolve(name: &str) -> Result<Addresses> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(Addresses::from_iter([address]));
    }
    let name = encode_name(name)?;
    let resolvers = super::configs().into_iter().flat_map(|config| config.resolvers);
    let resolvers: heapless::Vec<IpAddr, 8> = resolvers.take(8).collect();
    let mut error = Error::ResolverFailed;
    for resolver in (0..ROUNDS).flat_map(|_| resolvers.iter()) {
        match ask(&name, SocketAddr::new(*resolver, PORT)).await {
            Ok(addresses) if addresses.is_empty() => return Err(Error::NotFound),
            Ok(addresses) => return Ok(addresses),
            Err(Error::NotFound) => return Err(Error::NotFound),
            Err(other) => error = other,
        }
    }
    Err(error)
}

/// Asks one resolver for both kinds of address.
async fn ask(name: &[u8], resolver: SocketAddr) -> Result<Addresses> {
    let socket = UdpSocket::bind(0)?;
    let numbers = driver::with(|stack| (stack.random)()).to_le_bytes();
    let mut queries = [
        Query::new(name, DnsQueryType::A, u16::from_le_bytes([numbers[0], numbers[1]])),
        Query::new(name, DnsQueryType::Aaaa, u16::from_le_bytes([numbers[2], numbers[3]])),
    ];
    let mut message = [0; MAX_MESSAGE_BYTES];
    for query in &queries {
        let size_bytes = query.emit(&mut message);
        socket.send_to(&message[..size_bytes], resolver).await?;
    }
    let answers = async {
        while queries.iter().any(|query| query.answer.is_none()) {
            let (size_bytes, from) = socket.recv_from(&mut message).await?;
            if from == resolver {
                queries.iter_mut().for_each(|query| query.receive(&message[..size_bytes]));
            }
        }
        Ok(())
    };
    let in_time = timeout(PATIENCE, answers).await;
    let mut found = Addresses::new();
    for answer in queries.iter().filter_map(|query| query.answer.as_ref()) {
        found.extend(
            answer.as_ref().map_err(|error| *error)?.iter().copied().take(MAX_ADDRESSES - found.len()),
        );
    }
    match in_time {
        _ if !found.is_empty() => Ok(found),
        Ok(result) => result.map(|()| found),
        Err(_) => Err(Error::TimedOut),
    }
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Query<'a> {
    name: &'a [u8],
    kind: DnsQueryType,
    number: u16,
    /// What the resolver said, once it has.
    pub(super) answer: Option<Result<Addresses>>,
}

impl<'a> Query<'a> {
    /// A question for the addresses of `name`, in wire form.
    pub(super) fn new(name: &'a [u8], kind: DnsQueryType, number: u16) -> Self {
        Self { name, kind, number, answer: None }
    }

    /// Writes the question and says how long it is.
    pub(super) fn emit(&self, out: &mut [u8; MAX_MESSAGE_BYTES]) -> usize {
        let message = DnsRepr {
            transaction_id: self.number,
            opcode: DnsOpcode::Query,
            flags: DnsFlags::RECURSION_DESIRED,
            question: DnsQuestion { name: self.name, type_: self.kind },
        };
        let size_bytes = message.buffer_len();
        message.emit(&mut DnsPacket::new_unchecked(&mut out[..size_bytes]));
        size_bytes
    }

    /// Takes in a message from the resolver. Anything but the answer to this question is ignored.
    pub(super) fn receive(&mut self, message: &[u8]) {
        if let Some(answer) = self.parse(message) {
            self.answer.get_or_insert(answer);
        }
    }

    fn parse(&self, message: &[u8]) -> Option<Result<Addresses>> {
        let packet = DnsPacket::new_checked(message).ok()?;
        let response = packet.flags().contains(DnsFlags::RESPONSE) && packet.opcode() == DnsOpcode::Query;
        if !response || packet.transaction_id() != self.number || packet.question_count() != 1 {
            return None;
        }
        let (mut rest, question) = DnsQuestion::parse(message.get(HEADER_BYTES..)?).ok()?;
        if question.type_ != self.kind || !question.name.eq_ignore_ascii_case(self.name) {
            return None;
        }
        if packet.rcode() == DnsRcode::NXDomain {
            return Some(Err(Error::NotFound));
        }
        if packet.rcode() != DnsRcode::NoError {
            return Some(Err(Error::ResolverFailed));
        }
        let mut found = Addresses::new();
        for _ in 0..packet.answer_record_count() {
            // An answer cut short still has its first records.
            let Ok((after, record)) = DnsRecord::parse(rest) else { break };
            rest = after;
            let address = match record.data {
                DnsRecordData::A(address) => IpAddr::V4(address),
                DnsRecordData::Aaaa(address) => IpAddr::V6(address),
                DnsRecordData::Cname(_) | DnsRecordData::Other(..) => continue,
            };
            if found.push(address).is_err() {
                break;
            }
        }
        Some(Ok(found))
    }
}

/// A name in wire form: each label after its length, then a zero.
pub(super) fn encode_name(name: &str) -> Result<heapless::Vec<u8, MAX_NAME_BYTES>> {
    let mut wire = heapless::Vec::new();
    let name = name.strip_suffix('.').unwrap_or(name);
    for label in name.split('.') {
        let size_bytes = u8::try_from(label.len()).unwrap_or(u8::MAX);
        let printable = label.bytes().all(|byte| byte.is_ascii_graphic());
        if label.is_empty() || label.len() > MAX_LABEL_BYTES || !printable {
            return Err(Error::InvalidName);
        }
        wire.push(size_bytes).map_err(|_| Error::InvalidName)?;
        wire.extend_from_slice(label.as_bytes()).map_err(|_| Error::InvalidName)?;
    }
    wire.push(0).map_err(|_| Error::InvalidName)?;
    Ok(wire)
}
