//! Files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that gets its name when it is complete. Until then the bytes are in a temporary file
/// beside it, which is removed if the value is dropped.
///
/// This protects against an interrupted program, not against a power failure: nothing waits until
/// the disk has stored the data.
#[derive(Debug)]
#[must_use = "without `finish` there is no file"]
pub struct OutputFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl OutputFile {
    /// Creates a temporary file beside `path`, and the folders that are missing.
    ///
    /// # Blocking
    /// Waits for the disk, as all methods do.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn create(path: &Path) -> io::Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // `create_new` gives the file the permissions of any new file; the default of the builder
        // would leave it readable by its owner only.
        let file = tempfile::Builder::new()
            .prefix(".unfinished-")
            .suffix(".part")
            .make_in(folder, |path| File::create_new(path))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
        })
    }

    /// Gives the file its name. A file of that name is replaced.
    ///
    /// # Errors
    /// Returns the error of the operating system; the temporary file is removed then.
    pub fn finish(self) -> io::Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file completely or not at all, with [`OutputFile`].
///
/// # Blocking
/// Waits for the disk.
///
/// # Errors
/// Returns the error of the operating system.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}
