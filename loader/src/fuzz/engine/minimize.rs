//! Smaller inputs that show the same.

use std::io;

use crate::fuzz::target;

/// Most inputs that are tried.
const MOST_ATTEMPTS: usize = 2000;

/// Takes away from an input what is not needed for `shows` to hold.
///
/// # Errors
/// What the host says when the target is made.
pub fn minimize(name: &str, mut input: Vec<u8>, mut shows: impl FnMut(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let target = target::open(name)?;
    let mut attempt = 0;
    for _ in 0..MOST_ATTEMPTS {
        let Some(candidate) = target.shrink(&input, attempt) else { break };
        if candidate.len() < input.len() && shows(&candidate) {
            input = candidate;
            // What came before failed for a larger input; coming back to it is seldom worth it, so go on from here.
            attempt = attempt.saturating_sub(1);
        } else {
            attempt += 1;
        }
    }
    Ok(input)
}
