//! A host that has said all and is gone, and a guest that takes its time to listen.

use smoltcp::time::Duration;
use smoltcp::wire::TcpSeqNumber;

use super::super::connection::Served;
use super::call::Call;

const WINDOW: u16 = 10;
const DATA_BYTES: usize = 8 * WINDOW as usize;

/// A call whose host has said all before the guest answered.
fn farewell() -> Call {
    let mut call = Call::new();
    call.say_all(DATA_BYTES);
    call.answer(WINDOW);
    call
}

/// Serves until there is nothing to do, and says what became of the connection and what the guest has heard.
fn serve(call: &mut Call) -> (Served, Option<TcpSeqNumber>) {
    let mut heard = None;
    for _ in 0..64 {
        let (served, next, _) = call.serve();
        heard = next.or(heard);
        if served != Served::More {
            return (served, heard);
        }
    }
    panic!("it never rests");
}

#[test]
fn a_slow_guest_hears_all_that_the_host_has_said() {
    let mut call = farewell();
    let end = call.start + DATA_BYTES + 1;
    // A window a minute: eight minutes in all.
    for minute in 0..20 {
        let (served, heard) = serve(&mut call);
        assert_eq!(served, Served::Waits, "minute {minute}");
        let heard = heard.unwrap_or(call.start);
        call.acknowledge(heard, WINDOW);
        if heard == end {
            return;
        }
        call.stack.now += Duration::from_secs(60);
    }
    panic!("the guest has not heard all");
}

#[test]
fn a_guest_that_listens_no_more_is_given_up() {
    let mut call = farewell();
    for _ in 0..2 {
        assert_eq!(serve(&mut call).0, Served::Waits);
        call.stack.now += Duration::from_secs(61);
    }
    assert_eq!(serve(&mut call).0, Served::Over);
}
