//! Random numbers for the tests, the same ones in each run.

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns a whole number of both signs with up to 20 digits, times a power of two up to 2⁴⁰:
    /// exact in `f32`, and so in `f64`.
    pub(crate) fn whole(&mut self) -> i128 {
        let digits = i128::from(self.next() % (1 << 21)) - (1 << 20);
        digits << self.below(41)
    }

    /// Returns a length of a slice: short ones, and those around multiples of a block and of what
    /// one thread sums alone.
    pub(crate) fn length(&mut self) -> usize {
        let around = match self.below(4) {
            0 => 0,
            1 => 128 * self.below(40),
            2 => 65_536,
            _ => 65_536 * self.below(4),
        };
        (around + self.below(20)).saturating_sub(self.below(10))
    }
}
