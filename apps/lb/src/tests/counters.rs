use alloc::string::ToString as _;

use crate::counters::Counters;

#[test]
fn the_ends_of_all_connections_are_told() {
    let counters = Counters::default();
    assert_eq!(counters.to_string(), "0 connections taken, 0 finished, 0 cut off");
    counters.accepted.add(9);
    counters.finished.add(3);
    counters.cut.add(1);
    counters.turned_away.add(2);
    counters.client_failed.add(1);
    counters.idle.add(2);
    assert_eq!(
        counters.to_string(),
        "9 connections taken, 3 finished, 1 cut off, 2 turned away, 1 broken off by clients, 2 ended for silence"
    );
}
