//! The socket on which segments go to the other process.
//!
//! A ring carries bytes. A frame with segments has their number in the ring, and their files go over a
//! Unix socket, in one message for each such frame and before it: what the number promises is there when
//! the frame is read. The first message from the parent has the file of the rings themselves.
//!
//! # Bounds
//! At most [`MOST_FLYING`] files are on their way in a direction, since the system counts them against
//! the open files of the user. The reader counts those that it has taken in the shared memory, and a
//! writer without room waits for it as it waits for room in the ring.
//!
//! # A process that lies
//! A message that is missing, or has other files than the frame says, is [`Corrupt`]. A file is mapped
//! only if it is sealed, so that nothing can change what is read there.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use insula_memory::{Segment, SegmentError};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    sendmsg, socketpair,
};

use crate::ring::Corrupt;

/// The segments that may go beside one frame.
pub(crate) const MOST_SEGMENTS: usize = 16;

/// The segments that may be on their way in one direction.
pub(crate) const MOST_FLYING: u64 = 32;

/// The bytes of the message with the memory, by which a worker knows its standard input.
const MEMORY: &[u8] = b"insula worker 1";

/// The bytes of a message with segments, since one without bytes is the end.
const SEGMENTS: &[u8] = b"s";

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Handles(OwnedFd);

/// Why segments did not come, or go.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The other process lies.
    Corrupt,
    /// The system has refused it.
    Refused(io::Error),
}

impl Handles {
    /// Makes both ends, and puts the memory into that of the child.
    pub(crate) fn pair(memory: BorrowedFd<'_>) -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let ours = Self(ours);
        ours.send_files(MEMORY, &[memory])?;
        Ok((ours, theirs))
    }

    /// Returns whether a descriptor is the end of a child that has not taken its memory.
    pub(crate) fn is_one(descriptor: impl AsFd) -> bool {
        let mut bytes = [0; 32];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        // Anything but a socket has an error.
        recv(descriptor, &mut bytes, flags).is_ok_and(|(len, _)| bytes[..len] == *MEMORY)
    }

    /// Takes the memory out of the end of a child.
    pub(crate) fn open(descriptor: OwnedFd) -> io::Result<(Self, OwnedFd)> {
        let handles = Self(descriptor);
        let wrong = || io::Error::other("standard input is not the socket of a worker");
        let (bytes, mut files) = handles.receive_files()?;
        match files.pop() {
            Some(memory) if bytes == MEMORY && files.is_empty() => Ok((handles, memory)),
            _ => Err(wrong()),
        }
    }

    /// Sends segments. There is room for them: no more are on their way than may be.
    pub(crate) fn send(&self, segments: &[Segment]) -> Result<(), Lost> {
        let files: Result<Vec<_>, _> = segments.iter().map(Segment::as_fd).collect();
        let files = files.map_err(Lost::of)?;
        match self.send_files(SEGMENTS, &files) {
            Ok(()) => Ok(()),
            // The other side has counted more than it has taken.
            Err(Errno::AGAIN) => Err(Lost::Corrupt),
            Err(error) => Err(Lost::Refused(error.into())),
        }
    }

    /// Takes the segments of a frame.
    pub(crate) fn receive(&self, count: usize) -> Result<Vec<Segment>, Lost> {
        let (_, files) = self.receive_files().map_err(|error| match error {
            // Nothing is there, though the frame is.
            Errno::AGAIN => Lost::Corrupt,
            error => Lost::Refused(error.into()),
        })?;
        if files.len() != count {
            return Err(Lost::Corrupt);
        }
        let segments = files.into_iter().map(Segment::from_fd);
        segments.collect::<Result<_, _>>().map_err(Lost::of)
    }

    pub(crate) fn send_files(
        &self,
        bytes: &[u8],
        files: &[BorrowedFd<'_>],
    ) -> rustix::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SEGMENTS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // It fits: there are at most as many files as the space is for.
        control.push(SendAncillaryMessage::ScmRights(files));
        // A process that has gone is noticed otherwise, and must not end this one by a signal.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, flags)?;
        Ok(())
    }

    fn receive_files(&self) -> rustix::io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SEGMENTS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 32];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let slices = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&self.0, slices, &mut control, flags)?;
        let len = received.bytes;
        let files = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => files.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let files = files.collect();
        // There is space for as many as go with a frame. What does not come is one file too many for
        // this process.
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(Errno::MFILE);
        }
        Ok((bytes[..len].to_vec(), files))
    }
}

impl Lost {
    fn of(error: SegmentError) -> Self {
        match error {
            SegmentError::Map(error) => Self::Refused(error),
            // Not sealed by the other process. A segment of this one is, unless the kernel refuses.
            _ => Self::Corrupt,
        }
    }
}

impl From<Corrupt> for Lost {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => Corrupt.fmt(f),
            Self::Refused(error) => write!(f, "a segment cannot be passed on: {error}"),
        }
    }
}

#[cfg(test)]
mod tests;
