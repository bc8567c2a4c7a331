//! A program's output as it comes, so that a test can wait for a line instead of for a time.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a test waits for output before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

/// What a stream has given so far. A thread of its own reads it, so the program never waits for its reader.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Capture {
    /// Starts reading `stream` to its end.
    pub fn of(mut stream: impl Read + Send + 'static) -> Self {
        let capture = Self::default();
        let writer = capture.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let taken = stream.read(&mut chunk).unwrap_or(0);
                let mut state = writer.state();
                state.bytes.extend_from_slice(&chunk[..taken]);
                state.ended = taken == 0;
                writer.shared.1.notify_all();
                if state.ended {
                    return;
                }
            }
        });
        capture
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.state().bytes).into_owned()
    }

    /// The text to the stream's end.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn to_end(&self) -> String {
        self.wait("the end of the output", |state| state.ended.then_some(()));
        self.text()
    }

    /// Waits until `wanted` has come and returns the line that it is in.
    ///
    /// # Panics
    /// If the stream ends without it, or it does not come.
    #[must_use]
    pub fn line_with(&self, wanted: &str) -> String {
        self.wait(wanted, |state| {
            let text = String::from_utf8_lossy(&state.bytes);
            let line = text.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains(wanted));
            assert!(line.is_some() || !state.ended, "the output ended without {wanted:?}:\n{text}");
            line.map(|line| line.trim_end().to_owned())
        })
    }

    fn wait<T>(&self, wanted: &str, mut condition: impl FnMut(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(value) = condition(&state) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let text = String::from_utf8_lossy(&state.bytes).into_owned();
            assert!(!left.is_zero(), "waited in vain for {wanted:?} in:\n{text}");
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
