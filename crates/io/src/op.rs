//! The operations of the I/O service, with the numbers that the Dart VM gives them.

use std::fmt;

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// What a request asks for. The numbers are those of the Dart VM's I/O service.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum IoOp {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl IoOp {
            /// All of them, by number.
            pub const ALL: [Self; 44] = [$(Self::$name,)+];

            /// What it does, as it stands in messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

operations! {
    /// Whether there is a file.
    FileExists = 0, "look for a file";
    /// Makes an empty file.
    FileCreate = 1, "create a file";
    /// Deletes a file.
    FileDelete = 2, "delete a file";
    /// Renames a file.
    FileRename = 3, "rename a file";
    /// Copies a file.
    FileCopy = 4, "copy a file";
    /// Opens a file.
    FileOpen = 5, "open a file";
    /// Follows all links of a path.
    FileResolveSymbolicLinks = 6, "resolve links";
    /// Closes an open file.
    FileClose = 7, "close a file";
    /// Where an open file is read and written next.
    FilePosition = 8, "tell a position";
    /// Moves that place.
    FileSetPosition = 9, "set a position";
    /// Cuts an open file off, or extends it with zeros.
    FileTruncate = 10, "truncate a file";
    /// The length of an open file.
    FileLength = 11, "tell a length";
    /// The length of a file.
    FileLengthFromPath = 12, "tell a length";
    /// When a file was read last.
    FileLastAccessed = 13, "tell the time of the last access";
    /// Changes that.
    FileSetLastAccessed = 14, "set the time of the last access";
    /// When a file was written last.
    FileLastModified = 15, "tell the time of the last change";
    /// Changes that.
    FileSetLastModified = 16, "set the time of the last change";
    /// Sees to it that what was written survives a power cut.
    FileFlush = 17, "flush a file";
    /// Reads one byte.
    FileReadByte = 18, "read a file";
    /// Writes one byte.
    FileWriteByte = 19, "write a file";
    /// Reads into a new buffer.
    FileRead = 20, "read a file";
    /// Reads into a buffer that the caller gives.
    FileReadInto = 21, "read a file";
    /// Writes a buffer.
    FileWriteFrom = 22, "write a file";
    /// Makes a symbolic link.
    FileCreateLink = 23, "create a link";
    /// Deletes a link.
    FileDeleteLink = 24, "delete a link";
    /// Renames a link.
    FileRenameLink = 25, "rename a link";
    /// Where a link leads.
    FileLinkTarget = 26, "read a link";
    /// What is at a path.
    FileType = 27, "tell what is at a path";
    /// Whether two paths lead to one thing.
    FileIdentical = 28, "compare two paths";
    /// Everything about a path.
    FileStat = 29, "tell about a path";
    /// Locks or unlocks an open file.
    FileLock = 30, "lock a file";
    /// Makes a pipe.
    FileCreatePipe = 31, "create a pipe";
    /// The addresses of a host.
    SocketLookup = 32, "look up a host";
    /// The network interfaces of this machine.
    SocketListInterfaces = 33, "list the network interfaces";
    /// The host of an address.
    SocketReverseLookup = 34, "look up an address";
    /// Makes a folder.
    DirectoryCreate = 35, "create a folder";
    /// Deletes a folder.
    DirectoryDelete = 36, "delete a folder";
    /// Whether there is a folder.
    DirectoryExists = 37, "look for a folder";
    /// Makes a folder with a name of its own.
    DirectoryCreateTemp = 38, "create a temporary folder";
    /// Begins to list a folder.
    DirectoryListStart = 39, "list a folder";
    /// The next entries.
    DirectoryListNext = 40, "list a folder";
    /// Ends a listing early.
    DirectoryListStop = 41, "list a folder";
    /// Renames a folder.
    DirectoryRename = 42, "rename a folder";
    /// Encrypts and decrypts what a TLS connection has.
    TlsProcessFilter = 43, "encrypt or decrypt";
}

impl IoOp {
    /// Its number, 0 to 43.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The operation of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for IoOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
