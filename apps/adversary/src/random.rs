//! Random calls: mostly nearly right, since what is quite wrong is refused at once.

use guest::boot;
use guest::hvcall::Nr;
use guest::time::Instant;

/// Numbers from a seed (xorshift64*, Marsaglia and Vigna).
pub(crate) struct Random(u64);

/// Lengths that the contract treats differently.
const LENGTHS: [u64; 12] = [0, 1, 2, 8, 60, 64, 65, 256, 257, 1514, 65_536, 65_537];

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        // Any start but 0.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit.max(1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// The registers of a call. What it may point to in `arena` is new, too.
    pub(crate) fn call(&mut self, arena: &mut [u8]) -> [u64; 7] {
        let nr = self.below(13);
        self.fill(arena);
        let mut registers = [nr, 0, 0, 0, 0, 0, 0];
        match Nr::from_raw(nr) {
            // Never, or the run would be over: `exit` has cases of its own.
            Ok(Nr::Exit) => registers[0] = 10,
            // Few, or a console that nobody reads would hold everything up.
            Ok(Nr::ConsoleWrite) if !self.one_in(64) => registers[0] = u64::from(Nr::Clock as u32),
            Ok(Nr::ConsoleWrite | Nr::Entropy) => {
                registers[1] = self.address(arena);
                registers[2] = self.length();
            }
            Ok(Nr::Wait) => {
                // Until now, until long ago, or soon; never for ever.
                registers[1] = if self.one_in(4) {
                    Instant::now().as_ns().wrapping_add(self.below(200_000))
                } else {
                    self.below(2)
                };
                registers[2] = if self.one_in(2) { self.below(16) } else { self.next() };
            }
            Ok(Nr::NetSend | Nr::NetRecv | Nr::BlockSubmit | Nr::BlockReap) => {
                registers[1] = if self.one_in(8) { self.next() >> self.below(64) } else { 0 };
                registers[2] = self.address(arena) & !7;
                registers[3] = self.below(8);
            }
            Ok(Nr::Multicall) => {
                registers[1] = self.address(arena) & !7;
                registers[2] = self.below(8);
            }
            Ok(Nr::Clock) | Err(_) => registers[1] = self.below(3),
        }
        if self.one_in(16) {
            let register = self.below(7);
            let noise = self.next() >> self.below(64);
            if let Some(register) =
                registers.get_mut(usize::try_from(register).unwrap_or(0)).filter(|_| register != 0)
            {
                *register = noise;
            }
        }
        // A wait for ever, or for hours, would be no adversary.
        if registers[0] & 0xffff_ffff == u64::from(Nr::Wait as u32) && registers[1] > Instant::now().as_ns() {
            registers[1] = Instant::now().as_ns().wrapping_add(self.below(200_000));
        }
        registers
    }

    /// An address in the arena, mostly; or one of somewhere else.
    fn address(&mut self, arena: &[u8]) -> u64 {
        let base = arena.as_ptr() as u64;
        let inside = base.wrapping_add(self.below(arena.len() as u64 / 2));
        let Some(info) = boot::info() else { return inside };
        match self.below(16) {
            0 => self.next(),
            1 => info.heap_base.wrapping_add(info.heap_bytes).wrapping_sub(self.below(128)),
            2 => info.stack_base.wrapping_sub(self.below(64)),
            3 => Self::call as fn(&mut Self, &mut [u8]) -> [u64; 7] as usize as u64,
            4 => core::ptr::from_ref(info) as u64,
            5 => u64::MAX.wrapping_sub(self.below(256)),
            _ => inside & !7,
        }
    }

    fn length(&mut self) -> u64 {
        let choice = self.below(LENGTHS.len() as u64 + 2);
        match usize::try_from(choice).ok().and_then(|choice| LENGTHS.get(choice)) {
            Some(&length) => length,
            None => self.next() >> self.below(64),
        }
    }

    /// Puts descriptors of all kinds into the arena's first half, at eight places, and noise between.
    fn fill(&mut self, arena: &mut [u8]) {
        let base = arena.as_ptr() as u64;
        let half = arena.len() / 2;
        for _ in 0..8 {
            let at = usize::try_from(self.below(half as u64 / 64)).unwrap_or(0) * 64;
            let target = base.wrapping_add(half as u64).wrapping_add(self.below(half as u64 / 2));
            let words = match self.below(4) {
                // A frame; a request; an entry of a batch, of any call but `exit`, `wait` and itself; noise.
                0 => [target, 14 + self.below(1600), 0, target, 60, 0, 0, 0],
                1 => [
                    self.next(),
                    self.below(64),
                    target,
                    (1 + self.below(4)) | self.below(5) << 32,
                    0,
                    0,
                    0,
                    0,
                ],
                2 => [
                    [1, 3, 4, 5, 6, 7, 8, 10][usize::try_from(self.below(64)).unwrap_or(0) % 8],
                    self.below(2),
                    target & !7,
                    self.below(4),
                    0,
                    0,
                    0,
                    0,
                ],
                _ => core::array::from_fn(|_| self.next()),
            };
            for (place, word) in arena[at..at + 64].chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}
