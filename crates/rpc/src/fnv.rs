//! FNV-1a with 64 bits, which is the same in every program and with every compiler.

use std::hash::{Hash, Hasher};

/// The offset basis, as published by Fowler, Noll and Vo.
pub(crate) const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The prime.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Adds a byte to a hash.
pub(crate) const fn add(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(PRIME)
}

/// Hashes a value.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.iter().fold(self.0, |hash, byte| add(hash, *byte));
        }
    }
    let mut hasher = Fnv(BASIS);
    value.hash(&mut hasher);
    hasher.finish()
}
