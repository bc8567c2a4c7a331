//! A connection at its end, with a guest that keeps its window shut.

use smoltcp::time::Duration;

use super::super::connection::Served;
use super::call::Call;

/// What the guest takes at first.
const WINDOW: u16 = 10;

/// With the clock standing still, it comes to rest. It would go on for ever, a window probe each time, and take the helper's whole
/// time.
#[test]
fn a_shut_window_after_the_end_of_a_stream_is_no_storm() {
    let mut call = Call::new();
    call.answer(WINDOW);
    let _ = call.serve();
    // The caller says more than the guest's window takes, by one byte, and is done. The guest takes it, shuts its window, and takes
    // the rest with the probes that follow, the end of the stream as well.
    call.say_all(usize::from(WINDOW) + 1);
    for _ in 0..8 {
        if let (_, Some(ack), _) = call.serve() {
            call.acknowledge(ack, 0);
        }
        call.stack.now += Duration::from_secs(2);
    }
    let mut segments = 0;
    for _ in 0..100 {
        call.stack.now += Duration::from_millis(1);
        let (served, _, count) = call.serve();
        segments += count;
        if served == Served::Waits {
            assert!(segments <= 64, "{segments} segments about nothing");
            return;
        }
        assert_eq!(served, Served::More);
    }
    panic!("it never rests, and has sent {segments} segments");
}
