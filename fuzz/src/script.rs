//! Inputs with a structure: steps, each with a few numbers and bytes.
//!
//! Not by `arbitrary`, whose inputs cannot be written: seeds have to be.

/// Reads the steps of an input. What is missing at its end is zero.
#[derive(Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Reads an input from its beginning.
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Returns the kind of the next step; `None` at the end.
    pub fn kind(&mut self) -> Option<u8> {
        let (&kind, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(kind)
    }

    /// Returns the next byte.
    pub fn byte(&mut self) -> u8 {
        self.kind().unwrap_or(0)
    }

    /// Returns the next number of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Returns the next number of eight bytes.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    /// Returns the next bytes, whose number comes first.
    pub fn bytes(&mut self) -> &'a [u8] {
        let count = usize::from(self.short()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    /// Returns all bytes that are left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Writes an input that [`Script`] reads.
#[derive(Debug)]
pub struct Steps(Vec<u8>);

#[expect(clippy::new_without_default, reason = "it must not be inlined")]
impl Steps {
    /// Begins an input.
    // Not inlined: up to Rust 1.96 a vector that was moved into a call may be taken for the next empty one of
    // the same function (rust-lang/rust#155241).
    #[inline(never)]
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds single bytes: the kind of a step and small numbers.
    #[must_use]
    pub fn step(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number of eight bytes.
    #[must_use]
    pub fn long(self, number: u64) -> Self {
        self.step(&number.to_le_bytes())
    }

    /// Adds bytes after their number, at most 65,535.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let count = u16::try_from(bytes.len()).expect("seeds are small");
        self.step(&count.to_le_bytes()).step(bytes)
    }

    /// Returns the input.
    pub fn end(self) -> Vec<u8> {
        self.0
    }
}
