//! The operations of the I/O service, with the numbers that the Dart VM gives them.

use std::fmt;

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// An operation of the I/O service. The numbers are those of the Dart VM's.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum IoOp {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl IoOp {
            /// All operations, by number.
            pub const ALL: [Self; 44] = [$(Self::$name,)+];

            /// Returns the operation's name, as error messages show it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

operations! {
    /// Checks whether there is a file.
    FileExists = 0, "look for a file";
    /// Creates an empty file.
    FileCreate = 1, "create a file";
    /// Deletes a file.
    FileDelete = 2, "delete a file";
    /// Renames a file.
    FileRename = 3, "rename a file";
    /// Copies a file.
    FileCopy = 4, "copy a file";
    /// Opens a file.
    FileOpen = 5, "open a file";
    /// Resolves all links of a path.
    FileResolveSymbolicLinks = 6, "resolve links";
    /// Closes an open file.
    FileClose = 7, "close a file";
    /// Returns the position of an open file's next read or write.
    FilePosition = 8, "tell a position";
    /// Sets the position of an open file's next read or write.
    FileSetPosition = 9, "set a position";
    /// Cuts an open file off, or extends it with zeros.
    FileTruncate = 10, "truncate a file";
    /// Returns the length of an open file.
    FileLength = 11, "tell a length";
    /// Returns the length of a file by path.
    FileLengthFromPath = 12, "tell a length";
    /// Returns when a file was last read.
    FileLastAccessed = 13, "tell the time of the last access";
    /// Sets the time at which a file was last read.
    FileSetLastAccessed = 14, "set the time of the last access";
    /// Returns when a file was last written.
    FileLastModified = 15, "tell the time of the last change";
    /// Sets the time at which a file was last written.
    FileSetLastModified = 16, "set the time of the last change";
    /// Waits until all written bytes are on the device, so that they survive a power cut.
    FileFlush = 17, "flush a file";
    /// Reads one byte.
    FileReadByte = 18, "read a file";
    /// Writes one byte.
    FileWriteByte = 19, "write a file";
    /// Reads into a new buffer.
    FileRead = 20, "read a file";
    /// Reads into the caller's buffer.
    FileReadInto = 21, "read a file";
    /// Writes a buffer.
    FileWriteFrom = 22, "write a file";
    /// Creates a symbolic link.
    FileCreateLink = 23, "create a link";
    /// Deletes a link.
    FileDeleteLink = 24, "delete a link";
    /// Renames a link.
    FileRenameLink = 25, "rename a link";
    /// Returns the target of a link.
    FileLinkTarget = 26, "read a link";
    /// Returns the type of what is at a path.
    FileType = 27, "tell what is at a path";
    /// Checks whether two paths name the same thing.
    FileIdentical = 28, "compare two paths";
    /// Returns the metadata of a path.
    FileStat = 29, "tell about a path";
    /// Locks or unlocks an open file.
    FileLock = 30, "lock a file";
    /// Creates a pipe.
    FileCreatePipe = 31, "create a pipe";
    /// Returns the addresses of a host.
    SocketLookup = 32, "look up a host";
    /// Returns the network interfaces of this machine.
    SocketListInterfaces = 33, "list the network interfaces";
    /// Returns the name of the host that has an address.
    SocketReverseLookup = 34, "look up an address";
    /// Creates a directory.
    DirectoryCreate = 35, "create a folder";
    /// Deletes a directory.
    DirectoryDelete = 36, "delete a folder";
    /// Checks whether there is a directory.
    DirectoryExists = 37, "look for a folder";
    /// Creates a directory with a new name.
    DirectoryCreateTemp = 38, "create a temporary folder";
    /// Begins to list a directory.
    DirectoryListStart = 39, "list a folder";
    /// Returns the next entries of a listing.
    DirectoryListNext = 40, "list a folder";
    /// Stops a listing before its end.
    DirectoryListStop = 41, "list a folder";
    /// Renames a directory.
    DirectoryRename = 42, "rename a folder";
    /// Encrypts and decrypts the bytes of a TLS connection.
    TlsProcessFilter = 43, "encrypt or decrypt";
}

impl IoOp {
    /// Returns the operation's number, 0 to 43.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the operation with a number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        // The numbers have no gaps, so each is the index of its operation.
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for IoOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
