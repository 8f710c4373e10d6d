//! A mapping of a file in memory, which can be given to another process.
//!
//! The file has no name, and its descriptor stays here until the file is sealed. (`/proc` shows the
//! file, as it shows all memory of a process.) So nothing but the mapping of this process changes its
//! bytes:
//!
//! 1. The new file is sealed against changes of its length, before it is mapped: no access to the
//!    mapping can be behind the end of the file.
//! 2. [`Mapping`] is the one mapping, and writable.
//! 3. [`Mapping::freeze`] maps the file again, read-only, and removes the writable mapping.
//! 4. [`Frozen::sealed`] seals the file against writes before it shows the descriptor. The kernel
//!    refuses that while any writable mapping exists.
//!
//! A file that another process has made has to have all these seals before it is mapped.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use memmap2::{Advice, Mmap, MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;

use super::{HugePages, SegmentError};

/// Writable memory.
pub(super) struct Mapping {
    bytes: MmapMut,
    file: File,
    huge_pages: HugePages,
}

/// Memory that is no longer written to.
pub(super) struct Frozen {
    bytes: Mmap,
    file: File,
}

impl Mapping {
    /// Returns so many bytes, all zero.
    pub(super) fn new(len: usize, huge_pages: HugePages) -> io::Result<Self> {
        let file = File::from(create()?);
        file.set_len(len as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        // SAFETY: the file has `len` bytes, which the seals make permanent. It is new and has no
        // name, and `Frozen::sealed` alone shows its descriptor, when this mapping is gone. So
        // nothing else reads or writes these bytes while they are borrowed.
        let bytes = unsafe { MmapOptions::new().len(len).map_mut(&file) }?;
        // A thread that starts a program may fork at any time. Until it calls `exec`, its child
        // would have a writable mapping too, and the kernel would refuse the seal. If the advice
        // fails, such a seal fails.
        let _ = bytes.advise(Advice::DontFork);
        if huge_pages == HugePages::Advised {
            // An advice: a kernel without huge pages refuses it, and nothing is lost.
            let _ = bytes.advise(Advice::HugePage);
        }
        Ok(Self {
            bytes,
            file,
            huge_pages,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Makes the memory read-only, or returns it with the reason why that is not possible.
    pub(super) fn freeze(self) -> Result<Frozen, (Self, io::Error)> {
        let mut options = MmapOptions::new();
        options.len(self.bytes.len());
        // A private mapping shares its pages with the file as long as they are not written to. A
        // shared one counts as writable in many kernels, even if it is read-only.
        // SAFETY: the file has as many bytes for good, as in `new`. The writable mapping is not
        // used any more, and is removed below. Seals keep others from writing, as `sealed` says.
        let bytes = match unsafe { options.map_copy_read_only(&self.file) } {
            Ok(bytes) => bytes,
            Err(error) => return Err((self, error)),
        };
        if self.huge_pages == HugePages::Advised {
            // As in `new`.
            let _ = bytes.advise(Advice::HugePage);
        }
        let Self {
            bytes: writable,
            file,
            ..
        } = self;
        drop(writable);
        Ok(Frozen { bytes, file })
    }
}

/// The seals of a file whose bytes do not change.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

impl Frozen {
    /// Maps a file that another process may have made.
    pub(super) fn open(file: OwnedFd) -> Result<Self, SegmentError> {
        let file = File::from(file);
        // A file that is none in memory has no seals.
        let seals = fcntl_get_seals(&file).map_err(|error| SegmentError::Seal(error.into()))?;
        if !seals.contains(SEALS) {
            let why = io::Error::other("it may still be written to");
            return Err(SegmentError::Seal(why));
        }
        let len = file.metadata().map_err(SegmentError::Map)?.len();
        let len = usize::try_from(len)
            .map_err(|_| SegmentError::Map(io::ErrorKind::FileTooLarge.into()))?;
        let mut options = MmapOptions::new();
        options.len(len);
        // SAFETY: the file has `len` bytes for good, and nothing writes to it any more: it has the
        // seals against both, which cannot be taken away.
        let bytes = unsafe { options.map_copy_read_only(&file) }.map_err(SegmentError::Map)?;
        Ok(Self { bytes, file })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the file, which nothing can change any more.
    pub(super) fn sealed(&self) -> io::Result<BorrowedFd<'_>> {
        // Here and not in `freeze`, which has nothing to give back if this fails, and which is
        // enough for a segment that stays in its process. To add a seal again changes nothing.
        match fcntl_add_seals(&self.file, SealFlags::WRITE) {
            // The process that has made it allows no more seals.
            Err(Errno::PERM) if fcntl_get_seals(&self.file)?.contains(SEALS) => {}
            sealed => sealed?,
        }
        Ok(self.file.as_fd())
    }
}

/// Creates a file that cannot be executed. Some systems allow no other ones, and kernels before
/// Linux 6.3 do not know of the flag.
fn create() -> rustix::io::Result<OwnedFd> {
    let create = |flags| memfd_create("insula-segment", MemfdFlags::CLOEXEC | flags);
    match create(MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => create(MemfdFlags::ALLOW_SEALING),
        created => created,
    }
}
