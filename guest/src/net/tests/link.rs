//! A link with faults, all of them repeatable.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::stack::Stack;
use super::Dice;
use super::offload::finish;
use crate::time::Instant;

/// Frames in flight, and what happens to them.
pub(super) struct Link {
    dice: Dice,
    /// One in so many frames is lost; 0 for none.
    pub(super) loss: usize,
    /// One in so many frames is held back for a millisecond; 0 for none.
    pub(super) reorder: usize,
    late: VecDeque<(Instant, bool, Vec<u8>, u16)>,
    /// Whether the link is a wire: segments are cut and checksums filled in before they are carried.
    pub(super) wire: bool,
    /// Frames carried so far.
    pub(super) carried: usize,
}

impl Link {
    pub(super) fn new() -> Self {
        Self { dice: Dice(7), loss: 0, reorder: 0, late: VecDeque::new(), wire: false, carried: 0 }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.late.front().map_or(Instant::FAR_FUTURE, |(at, ..)| *at)
    }

    /// Carries every queued frame, and says whether there was one.
    pub(super) fn carry(&mut self, one: &mut Stack, two: &mut Stack, now: Instant) -> bool {
        let before = self.carried;
        while self.late.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, from_one, frame, flags)) = self.late.pop_front() {
                let to = if from_one { &mut *two } else { &mut *one };
                to.receive(0, &frame, flags, now);
                self.carried += 1;
            }
        }
        self.carry_one_way(one, two, true, now);
        self.carry_one_way(two, one, false, now);
        self.carried != before
    }

    fn carry_one_way(&mut self, from: &mut Stack, to: &mut Stack, from_one: bool, now: Instant) {
        while let Some(frame) = from.pop_frame(0) {
            let frames = if self.wire {
                finish(&frame).into_iter().map(|bytes| (bytes, 0)).collect()
            } else {
                vec![(frame.bytes.clone(), frame.descriptor.flags)]
            };
            from.recycle(0, frame);
            for (bytes, flags) in frames {
                self.carried += 1;
                if self.dice.hits(self.loss) {
                    // Gone.
                } else if self.dice.hits(self.reorder) {
                    let at = now.saturating_add(Duration::from_millis(1));
                    self.late.push_back((at, from_one, bytes, flags));
                } else {
                    to.receive(0, &bytes, flags, now);
                }
            }
        }
    }
}
