//! One macro: a target of `loader::fuzz` under libFuzzer.

pub use libfuzzer_sys;
pub use loader;

use std::cell::RefCell;

use loader::fuzz::rng::Rng;
use loader::fuzz::target::{Target, open};
use loader::fuzz::world::Depth;

thread_local! {
    static TARGET: RefCell<Option<(Box<dyn Target>, u64)>> = const { RefCell::new(None) };
}

fn with<T>(name: &str, act: impl FnOnce(&mut dyn Target, &mut u64) -> T) -> T {
    TARGET.with_borrow_mut(|target| {
        let (target, number) = target.get_or_insert_with(|| (open(name).expect("the host gives what it needs"), 0));
        act(target.as_mut(), number)
    })
}

/// Runs an input; panics if what came of it is wrong.
pub fn run(name: &str, input: &[u8]) {
    let result = with(name, |target, number| {
        *number += 1;
        let depth = if number.is_multiple_of(256) { Depth::Everything } else { Depth::Changed };
        target.run(input, depth)
    });
    if let Err(violation) = result {
        panic!("{violation}");
    }
}

/// Changes an input as the target knows how: every other time libFuzzer does it in its own way.
pub fn mutate(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    if seed & 1 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let mut rng = Rng::new(u64::from(seed));
    let mut input = data[..size].to_vec();
    with(name, |target, _| {
        if input.is_empty() || rng.once_in(8) {
            input.clear();
            target.generate(&mut rng, &mut input);
        } else {
            target.mutate(&mut rng, &mut input, &[]);
        }
    });
    let len = input.len().min(max_size);
    data[..len].copy_from_slice(&input[..len]);
    len
}

/// Makes a target of that name libFuzzer's.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        use $crate::libfuzzer_sys::{self, fuzz_mutator, fuzz_target};

        fuzz_target!(|input: &[u8]| $crate::run($name, input));
        fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutate($name, data, size, max_size, seed)
        });
    };
}
