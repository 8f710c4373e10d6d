//! Finds the pictures.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{Failure, FileError, ImageFormat};

/// The pictures in a list of files and folders.
///
/// A folder stands for every `.jpg`, `.jpeg`, `.png` and `.webp` file in it and below, in any case
/// of letters; other files in it are skipped. Links to folders are not followed, as they could form
/// a cycle.
///
/// # Ordering
/// Inputs in the order given; within a folder by name, folders among files.
#[derive(Debug, Default)]
pub struct Scan {
    /// The pictures found; each path occurs once.
    pub pictures: Vec<Found>,
    /// Inputs that do not exist or cannot be read, and named files that are not pictures.
    pub failures: Vec<Failure>,
    seen: HashSet<PathBuf>,
}

/// A picture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path, starting with the input that led to it.
    pub path: PathBuf,
    /// Its path below that input; the file name if the input was the file itself.
    pub relative: PathBuf,
    /// The format of its extension.
    pub format: ImageFormat,
}

impl Scan {
    /// Searches `inputs`. The folder `skipped` (the output folder, if it is inside an input) is not
    /// entered.
    ///
    /// # Blocking
    /// Waits for the disk.
    pub fn of(inputs: &[PathBuf], skipped: &Path) -> Self {
        // An output folder that does not exist yet contains nothing to skip.
        let skipped = fs::canonicalize(skipped).ok();
        let mut scan = Self::default();
        for input in inputs {
            match fs::metadata(input) {
                Ok(kind) if kind.is_dir() => scan.enter(input, input, skipped.as_deref()),
                Ok(_) => scan.add_named(input),
                Err(reason) => scan.fail(input, FileError::Read(reason)),
            }
        }
        scan
    }

    /// Recursion is bounded by the depth of the folders, which the system's path length bounds.
    fn enter(&mut self, folder: &Path, root: &Path, skipped: Option<&Path>) {
        let entries = match sorted_entries(folder) {
            Ok(entries) => entries,
            // One folder that cannot be read does not hide the pictures of the others.
            Err(reason) => return self.fail(folder, FileError::Read(reason)),
        };
        for path in entries {
            // `is_dir` follows links, so a link to a folder is left out below and not taken for a
            // picture.
            if path.is_dir() {
                let is_skipped =
                    skipped.is_some() && fs::canonicalize(&path).ok().as_deref() == skipped;
                if !path.is_symlink() && !is_skipped {
                    self.enter(&path, root, skipped);
                }
            } else if let Some(format) = ImageFormat::of_path(&path) {
                let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
                self.add(Found {
                    path,
                    relative,
                    format,
                });
            }
        }
    }

    fn add_named(&mut self, path: &Path) {
        match (ImageFormat::of_path(path), path.file_name()) {
            (Some(format), Some(name)) => {
                self.add(Found {
                    path: path.to_owned(),
                    relative: name.into(),
                    format,
                });
            }
            _ => self.fail(path, FileError::Extension),
        }
    }

    fn add(&mut self, found: Found) {
        // A folder and a file in it may both be named.
        if self.seen.insert(found.path.clone()) {
            self.pictures.push(found);
        }
    }

    fn fail(&mut self, path: &Path, error: FileError) {
        self.failures.push(Failure {
            path: path.to_owned(),
            error,
        });
    }
}

fn sorted_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    // The order of `read_dir` is arbitrary, and the numbers in the outputs' names depend on it.
    paths.sort();
    Ok(paths)
}
