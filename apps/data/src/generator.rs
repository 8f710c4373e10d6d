//! Tables of any length, to try the program with.

use fastrand::Rng;

use crate::Items;

/// Generates the measurements of a sensor that does not exist: one in each second, with a daily rise
/// and fall and some noise. The same seed gives the same numbers. They come in chunks.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
    next: u64,
    end: u64,
}

impl Generator {
    /// The items of a chunk.
    pub const CHUNK: u64 = 100_000;

    /// Creates a generator of so many items.
    pub fn new(items: u64, seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            next: 0,
            end: items,
        }
    }

    /// Returns the number of items that are left.
    pub fn left(&self) -> u64 {
        self.end - self.next
    }

    fn value(&mut self, second: u64) -> f64 {
        const DAY: f64 = 86_400.0;
        let angle = second as f64 % DAY / DAY * std::f64::consts::TAU;
        // The sum of four uniform numbers is close enough to the noise of a sensor.
        let noise: f64 = (0..4).map(|_| self.random.f64() - 0.5).sum();
        let value = 15.0 + 8.0 * angle.sin() + noise;
        // A sensor has three digits.
        (value * 1e3).round() / 1e3
    }
}

impl Iterator for Generator {
    type Item = Items;

    fn next(&mut self) -> Option<Items> {
        if self.next == self.end {
            return None;
        }
        let last = self.end.min(self.next + Self::CHUNK);
        let mut items = Items::default();
        for number in self.next..last {
            let value = self.value(number);
            items.push(&format!("s{number}"), value);
        }
        self.next = last;
        Some(items)
    }
}
