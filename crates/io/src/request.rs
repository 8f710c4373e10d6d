//! The 44 requests that [`IoService::request`](crate::IoService::request) takes. [`File`],
//! [`Directory`](crate::Directory) and the other types of this crate are made of them.
//!
//! A request for an open file, listing or filter carries its [`Lease`], which proves that no other
//! operation is under way: `file.lease()?`.
//!
//! [`File`]: crate::File
//! [`Lease`]: crate::Lease

mod directory;
mod network;
mod open_file;
mod path;
#[cfg(feature = "tls")]
mod tls;

pub use directory::{
    DirectoryCreate, DirectoryCreateTemp, DirectoryDelete, DirectoryExists, DirectoryListNext,
    DirectoryListStart, DirectoryListStop, DirectoryRename,
};
pub use network::{SocketListInterfaces, SocketLookup, SocketReverseLookup};
pub use open_file::{
    FileClose, FileCreatePipe, FileFlush, FileLength, FileLock, FilePosition, FileRead,
    FileReadByte, FileReadInto, FileSetPosition, FileTruncate, FileWriteByte, FileWriteFrom,
};
pub use path::{
    FileCopy, FileCreate, FileCreateLink, FileDelete, FileDeleteLink, FileExists, FileIdentical,
    FileLastAccessed, FileLastModified, FileLengthFromPath, FileLinkTarget, FileOpen, FileRename,
    FileRenameLink, FileResolveSymbolicLinks, FileSetLastAccessed, FileSetLastModified, FileStat,
    FileType,
};
#[cfg(feature = "tls")]
pub use tls::TlsProcessFilter;

/// Declares a request: its fields, and the function that a thread of the service runs with them.
macro_rules! request {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* } -> $output:ty;
        $run:expr
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::Operation for $name {
            const OP: $crate::IoOp = $crate::IoOp::$name;
            type Output = $output;

            fn run(self) -> Result<$output, $crate::IoError> {
                let run: fn(Self) -> Result<$output, $crate::IoError> = $run;
                run(self)
            }
        }
    };
}
use request;
