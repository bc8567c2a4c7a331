//! DNS messages.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::Waker;

use smoltcp::wire::DnsQueryType;

use super::super::Error;
use super::super::dns::{Query, encode_name};
use super::{Dice, Pair, v4};

/// The answer to `query`, with the records of `answers`, each a type and its data.
fn answer(query: &[u8], rcode: u8, answers: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] |= 0x80;
    message[3] = 0x80 | rcode;
    message[7] = u8::try_from(answers.len()).unwrap();
    for (kind, data) in answers {
        message.extend_from_slice(&[0xc0, 12]);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend_from_slice(data);
    }
    message
}

#[test]
fn fake_server_resolves_a_name() {
    let mut pair = Pair::new();
    pair.two.udp_bind(None, 53).unwrap();
    let port = pair.one.udp_bind(None, 0).unwrap();
    let name = encode_name("www.example.org.").unwrap();
    let mut query = Query::new(&name, DnsQueryType::A, 0x1234);
    let mut message = [0; 512];
    let size_bytes = query.emit(&mut message);
    pair.one.udp_send(port, &message[..size_bytes], SocketAddr::new(v4(2), 53)).unwrap();
    pair.settle();

    let (size_bytes, from) = pair.two.udp_receive(53, &mut message, Waker::noop()).unwrap();
    let cname = [3, b'a', b'b', b'c', 0];
    let reply = answer(&message[..size_bytes], 0, &[(5, &cname), (1, &[192, 0, 2, 1]), (1, &[192, 0, 2, 2])]);
    pair.two.udp_send(53, &reply, from).unwrap();
    pair.settle();

    let (size_bytes, _) = pair.one.udp_receive(port, &mut message, Waker::noop()).unwrap();
    query.receive(&message[..size_bytes]);
    let expected = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
    assert_eq!(query.answer.unwrap().unwrap(), expected);
}

#[test]
fn only_the_answer_to_the_question_counts() {
    let name = encode_name("example.org").unwrap();
    let mut message = [0; 512];
    let query = Query::new(&name, DnsQueryType::A, 7);
    let size_bytes = query.emit(&mut message);
    let question = &message[..size_bytes];
    let accepted = |message: &[u8]| {
        let mut query = Query::new(&name, DnsQueryType::A, 7);
        query.receive(message);
        query.answer
    };
    let good = answer(question, 0, &[(1, &[192, 0, 2, 1])]);
    assert!(accepted(&good).unwrap().is_ok());
    assert!(accepted(question).is_none(), "a question is no answer");
    let mut other = good.clone();
    other[1] ^= 1;
    assert!(accepted(&other).is_none(), "another number");
    let mut other = good.clone();
    other[14] ^= 1;
    assert!(accepted(&other).is_none(), "another name");
    assert_eq!(accepted(&answer(question, 3, &[])), Some(Err(Error::NotFound)));
    assert_eq!(accepted(&answer(question, 2, &[])), Some(Err(Error::ResolverFailed)));
    assert!(accepted(&answer(question, 0, &[])).unwrap().unwrap().is_empty());
}

#[test]
fn hostile_answers_do_no_harm() {
    let name = encode_name("example.org").unwrap();
    let mut message = [0; 512];
    let size_bytes = Query::new(&name, DnsQueryType::A, 7).emit(&mut message);
    let many = [(1, &[192, 0, 2, 1][..]); 12];
    let good = answer(&message[..size_bytes], 0, &many);
    let mut dice = Dice(3);
    for _ in 0..100_000 {
        let mut spoiled = good.clone();
        for _ in 0..=dice.below(4) {
            let at = dice.below(spoiled.len());
            spoiled[at] = dice.next().to_le_bytes()[0];
        }
        spoiled.truncate(dice.below(good.len() + 1));
        let mut query = Query::new(&name, DnsQueryType::A, 7);
        query.receive(&spoiled);
    }
}

#[test]
fn names_are_checked() {
    assert_eq!(encode_name("a.bc").unwrap(), *b"\x01a\x02bc\x00");
    let long = "a.".repeat(130);
    for bad in ["", ".", "a..b", ".a", "a b", "\u{e4}", "x".repeat(64).as_str(), long.as_str()] {
        assert_eq!(encode_name(bad), Err(Error::InvalidName), "{bad:?}");
    }
}
