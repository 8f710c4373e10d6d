//! An anonymous mapping, which belongs to this process alone.

use std::io;

use memmap2::MmapMut;

use super::HugePages;

/// Writable memory.
pub(super) struct Mapping {
    bytes: MmapMut,
}

/// Memory that is no longer written to. The system would let it be written, and the types do not.
pub(super) struct Frozen {
    bytes: MmapMut,
}

impl Mapping {
    /// Returns so many bytes, all zero. Nothing is known to advise here.
    pub(super) fn new(len: usize, _huge_pages: HugePages) -> io::Result<Self> {
        let bytes = MmapMut::map_anon(len)?;
        Ok(Self { bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Cannot fail, and has the signature of its counterpart on Linux.
    pub(super) fn freeze(self) -> Result<Frozen, (Self, io::Error)> {
        let Self { bytes } = self;
        Ok(Frozen { bytes })
    }
}

impl Frozen {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
