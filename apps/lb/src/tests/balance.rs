//! Who gets a connection.

use std::vec::Vec;

use crate::balance::{Backends, Place, Tried};
use crate::config::{Config, Policy};
use crate::health::{Health, is_good};

fn backends(count: u16, policy: Policy) -> Backends {
    let backends = (0..count).map(|index| ([10, 0, 0, 1], 1000 + index).into()).collect();
    Backends::new(&Config { backends, policy, ..Config::default() })
}

/// Which backends so many connections in a row get, each of which stays.
fn fill(backends: &Backends, count: usize) -> (Vec<Place<'_>>, Vec<u16>) {
    let places: Vec<_> = (0..count).map(|_| backends.choose(Tried::default()).unwrap()).collect();
    let ports = places.iter().map(|place| place.backend.address.port() - 1000).collect();
    (places, ports)
}

fn take_out(backends: &Backends, index: usize) {
    let backend = backends.iter().nth(index).unwrap();
    for _ in 0..3 {
        backend.health.observe(false);
    }
    assert!(!backend.health.is_up());
}

#[test]
fn each_has_its_turn() {
    let backends = backends(3, Policy::RoundRobin);
    assert_eq!(fill(&backends, 7).1, [0, 1, 2, 0, 1, 2, 0]);
    take_out(&backends, 1);
    assert_eq!(fill(&backends, 4).1, [2, 0, 2, 0]);
}

#[test]
fn whoever_has_fewest_connections_gets_the_next() {
    let backends = backends(3, Policy::LeastConnections);
    let (mut places, ports) = fill(&backends, 6);
    assert_eq!(ports, [0, 1, 2, 0, 1, 2]);
    // Both of backend 1 end, and it gets the next two.
    places.retain(|place| place.backend.address.port() != 1001);
    assert_eq!(fill(&backends, 2).1, [1, 1]);
    take_out(&backends, 1);
    let (_kept, ports) = fill(&backends, 2);
    assert!(ports.iter().all(|port| *port != 1), "{ports:?}");
}

#[test]
fn places_count_until_they_are_dropped() {
    let backends = backends(2, Policy::RoundRobin);
    let (places, _) = fill(&backends, 5);
    let count = || backends.iter().map(|backend| backend.connections()).collect::<Vec<_>>();
    assert_eq!(count(), [3, 2]);
    drop(places);
    assert_eq!(count(), [0, 0]);
    let totals: u64 = backends.iter().map(|backend| backend.counters.connections.get()).sum();
    assert_eq!(totals, 5);
}

#[test]
fn what_was_tried_is_not_tried_again() {
    for policy in [Policy::RoundRobin, Policy::LeastConnections] {
        let backends = backends(64, policy);
        let mut tried = Tried::default();
        for _ in 0..64 {
            let place = backends.choose(tried).unwrap();
            tried.add(&place);
        }
        assert!(tried.is_any() && backends.choose(tried).is_none());
        assert!(backends.iter().all(|backend| backend.counters.connections.get() == 1));
    }
}

#[test]
fn nobody_is_chosen_when_all_are_down() {
    let backends = backends(2, Policy::RoundRobin);
    take_out(&backends, 0);
    take_out(&backends, 1);
    assert!(backends.choose(Tried::default()).is_none());
}

#[test]
fn health_changes_after_so_many_in_a_row() {
    let health = Health::new(3, 2);
    let observed = |observations: &[bool]| -> Vec<bool> {
        observations.iter().map(|success| health.observe(*success)).collect()
    };
    assert_eq!(observed(&[false, false, true, false, false]), [false; 5]);
    assert!(health.is_up());
    assert_eq!(observed(&[false]), [true]);
    assert!(!health.is_up());
    assert_eq!(observed(&[false, true, false, true]), [false; 4]);
    assert_eq!(observed(&[true]), [true]);
    assert!(health.is_up());
}

#[test]
fn answers_from_200_to_399_are_good() {
    for (answer, good) in [
        (b"HTTP/1.1 200", true),
        (b"HTTP/1.0 399", true),
        (b"HTTP/1.1 404", false),
        (b"HTTP/1.1 503", false),
        (b"HTTP/1.1 100", false),
        (b"HTTP/1.1 2x0", false),
        (b"SSH-2.0-Open", false),
    ] {
        assert_eq!(is_good(answer), good);
    }
}
