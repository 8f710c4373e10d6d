//! Memory of its own for each large value.

#[cfg(not(target_os = "linux"))]
mod anonymous;
#[cfg(feature = "serde")]
mod beside;
#[cfg(target_os = "linux")]
mod memfd;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

#[cfg(not(target_os = "linux"))]
use anonymous::{Frozen, Mapping};
#[cfg(feature = "serde")]
pub use beside::{read_beside, write_beside};
#[cfg(target_os = "linux")]
use memfd::{Frozen, Mapping};

/// Makes segments: the memory of large values.
///
/// The allocator of a program may keep what is freed, and a large block may lie between small ones
/// that live on. A segment has a mapping of its own, which is returned to the system when the last
/// owner drops it. That costs system calls, and the system gives the memory page by page when it is
/// first touched: it pays for large values only. Values below the threshold come from the program's
/// allocator.
///
/// On Linux the memory of a segment is a file in memory (`memfd_create`), so that another process
/// can map it, see [`Segment::as_fd`]. It is an open file of the process, of which there is a most,
/// and it counts as shared memory: in `RssShmem` of the process and in `shmem` of its cgroup.
///
/// # Forks
/// On Linux, the child of a `fork` does not have the mapping of a [`SegmentMut`], and must neither
/// touch the bytes nor drop it: what it finds at their address, if anything, is other memory. A
/// [`Segment`] can be used there.
///
/// ```
/// use insula_memory::{SegmentError, SegmentPool};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = SegmentPool::new(1 << 20);
/// let mut picture = pool.allocate(8 << 20)?;
/// picture[0] = 255;
/// let picture = picture.freeze()?;
/// let same = picture.clone(); // shares the memory
/// assert_eq!((same[0], same[1], same.len()), (255, 0, 8 << 20));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPool {
    threshold: usize,
    huge_pages: HugePages,
}

/// Whether segments ask for transparent huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// They do not: the system decides.
    #[default]
    Automatic,
    /// They do, on Linux, by `madvise`. The memory of a segment is shared memory, for which the
    /// kernel follows the advice only if the file `shmem_enabled` in
    /// `/sys/kernel/mm/transparent_hugepage` says `advise` or more; the usual value is `never`.
    Advised,
}

impl SegmentPool {
    /// Makes segments of values that have at least `threshold` bytes. A usual threshold is 1 MiB.
    pub const fn new(threshold: usize) -> Self {
        Self {
            threshold,
            huge_pages: HugePages::Automatic,
        }
    }

    /// Sets whether segments ask for huge pages.
    #[must_use]
    pub const fn huge_pages(self, huge_pages: HugePages) -> Self {
        Self { huge_pages, ..self }
    }

    /// Returns `len` bytes, all zero. Below the threshold, and if `len` is zero, they come from the
    /// program's allocator.
    ///
    /// # Errors
    /// If the system has no such memory, or no file for it.
    pub fn allocate(&self, len: usize) -> Result<SegmentMut, SegmentError> {
        let storage = if len == 0 || len < self.threshold {
            Storage::Heap(zeroes(len)?)
        } else {
            Storage::Mapped(Mapping::new(len, self.huge_pages).map_err(SegmentError::Map)?)
        };
        Ok(SegmentMut { storage })
    }

    /// Returns a copy of these bytes, in memory as [`allocate`](Self::allocate) returns it.
    ///
    /// # Errors
    /// If the system has no such memory.
    pub fn copy_of(&self, bytes: &[u8]) -> Result<Segment, SegmentError> {
        let mut segment = self.allocate(bytes.len())?;
        segment.copy_from_slice(bytes);
        Ok(segment.freeze()?)
    }
}

fn zeroes(len: usize) -> Result<Vec<u8>, SegmentError> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|_| SegmentError::OutOfMemory { len })?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// The writable memory of one large value, which [`SegmentPool::allocate`] returns.
pub struct SegmentMut {
    storage: Storage<Vec<u8>, Mapping>,
}

/// The shared, read-only memory of one large value, which [`SegmentMut::freeze`] returns.
///
/// A clone shares the memory, and the last one returns it to the system.
#[derive(Clone)]
pub struct Segment {
    storage: Arc<Storage<Vec<u8>, Frozen>>,
}

enum Storage<H, M> {
    Heap(H),
    Mapped(M),
}

impl SegmentMut {
    /// Makes the memory read-only, so that it can be shared. Nothing is copied.
    ///
    /// # Errors
    /// If the system does not map the memory again. The error has the segment, unchanged.
    pub fn freeze(self) -> Result<Segment, FreezeError> {
        let storage = match self.storage {
            Storage::Heap(bytes) => Storage::Heap(bytes),
            Storage::Mapped(mapping) => {
                let frozen = mapping.freeze().map_err(|(mapping, error)| {
                    let storage = Storage::Mapped(mapping);
                    let segment = Self { storage };
                    FreezeError { segment, error }
                })?;
                Storage::Mapped(frozen)
            }
        };
        let storage = Arc::new(storage);
        Ok(Segment { storage })
    }
}

impl Segment {
    /// Returns whether the memory is a mapping of its own, and not one from the program's allocator.
    pub fn is_mapped(&self) -> bool {
        matches!(*self.storage, Storage::Mapped(_))
    }
}

#[cfg(target_os = "linux")]
impl Segment {
    /// Maps the file of a segment that another process has made: what [`as_fd`](Self::as_fd) returns
    /// there. Nothing is copied.
    ///
    /// # Errors
    /// [`SegmentError::Seal`], if the file is not sealed against writes and changes of its length, so
    /// that its bytes could change; [`SegmentError::Map`], if it cannot be mapped.
    pub fn from_fd(file: std::os::fd::OwnedFd) -> Result<Self, SegmentError> {
        let storage = Arc::new(Storage::Mapped(Frozen::open(file)?));
        Ok(Self { storage })
    }

    /// Returns the file with the bytes of this segment, so that another process can map it without
    /// a copy: over a socket (`SCM_RIGHTS`), or inherited by a child. The file is closed on `exec`
    /// until that is changed.
    ///
    /// The file has the length of the segment and is sealed: no process can write to it or change
    /// its length, through this descriptor or through another one. It should be mapped privately and
    /// for reading (`MAP_PRIVATE`), which shares the pages: many kernels refuse a shared mapping of
    /// a sealed file, even if that is read-only.
    ///
    /// # Errors
    /// [`SegmentError::NotMapped`], if the value is below the threshold of its pool, and
    /// [`SegmentError::Seal`], if the system refuses to seal the file, for example because the
    /// kernel itself still writes to the memory. In that case a later call may succeed.
    pub fn as_fd(&self) -> Result<std::os::fd::BorrowedFd<'_>, SegmentError> {
        match &*self.storage {
            Storage::Heap(_) => Err(SegmentError::NotMapped),
            Storage::Mapped(frozen) => frozen.sealed().map_err(SegmentError::Seal),
        }
    }
}

impl Deref for SegmentMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.storage {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(mapping) => mapping.bytes(),
        }
    }
}

impl DerefMut for SegmentMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.storage {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(mapping) => mapping.bytes_mut(),
        }
    }
}

impl Deref for Segment {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.storage {
            Storage::Heap(bytes) => bytes,
            Storage::Mapped(frozen) => frozen.bytes(),
        }
    }
}

/// The bytes stay where they are, in memory of the program's allocator.
impl From<Vec<u8>> for Segment {
    fn from(bytes: Vec<u8>) -> Self {
        let storage = Arc::new(Storage::Heap(bytes));
        Self { storage }
    }
}

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Segment {}

impl AsRef<[u8]> for SegmentMut {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for SegmentMut {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SegmentMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.storage.debug(f, "SegmentMut", self.len())
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.storage.debug(f, "Segment", self.len())
    }
}

impl<H, M> Storage<H, M> {
    /// Without the bytes, of which there are many.
    fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str, len: usize) -> fmt::Result {
        f.debug_struct(name)
            .field("len", &len)
            .field("is_mapped", &matches!(self, Self::Mapped(_)))
            .finish()
    }
}

/// Why there is no segment, or no file of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum SegmentError {
    /// The allocator has no memory for a value below the threshold.
    OutOfMemory {
        /// The bytes that were asked for.
        len: usize,
    },
    /// The system gives no memory, or no file for it.
    Map(io::Error),
    /// The value is below the threshold of its pool, and its memory is no file.
    NotMapped,
    /// The system does not seal the file.
    Seal(io::Error),
}

impl fmt::Display for SegmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { len } => write!(f, "no memory for {len} bytes"),
            Self::Map(error) => write!(f, "cannot map a segment: {error}"),
            Self::NotMapped => f.write_str("a value below the threshold has no file"),
            Self::Seal(error) => write!(f, "cannot seal the file of a segment: {error}"),
        }
    }
}

impl Error for SegmentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Map(error) | Self::Seal(error) => Some(error),
            Self::OutOfMemory { .. } | Self::NotMapped => None,
        }
    }
}

impl From<FreezeError> for SegmentError {
    fn from(error: FreezeError) -> Self {
        Self::Map(error.error)
    }
}

/// The memory of a segment could not be mapped again.
#[derive(Debug)]
pub struct FreezeError {
    /// The segment, unchanged.
    pub segment: SegmentMut,
    /// Why it could not be frozen.
    pub error: io::Error,
}

impl fmt::Display for FreezeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot map a segment for reading: {}", self.error)
    }
}

impl Error for FreezeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
