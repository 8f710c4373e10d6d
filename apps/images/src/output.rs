//! Naming the outputs and putting them in place.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};

use crate::{Found, ImageFormat};

/// One file to read and one to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The input file.
    pub input: PathBuf,
    /// The output file.
    pub output: PathBuf,
    /// The format of the output.
    pub format: ImageFormat,
}

/// Gives each picture its place below `out`: the same folders as below its input, the same name,
/// the extension of its new format.
///
/// No two outputs share a name, in no case of letters, and none is one of the inputs: a second
/// `cat.jpg` becomes `cat-2.jpg`. The names depend on nothing but the inputs, so that a second run
/// replaces the files of the first.
pub fn plan(pictures: &[Found], out: &Path, format: Option<ImageFormat>) -> Vec<Job> {
    let mut taken: HashSet<String> = pictures
        .iter()
        .map(|found| fingerprint(&found.path))
        .collect();
    let mut jobs = Vec::with_capacity(pictures.len());
    for found in pictures {
        let format = format.unwrap_or(found.format);
        let wanted = out.join(&found.relative).with_extension(format.extension());
        let stem = wanted.file_stem().unwrap_or_default().to_os_string();
        let mut output = wanted.clone();
        // Ends after at most as many rounds as names are taken.
        for number in 2_u64.. {
            if taken.insert(fingerprint(&output)) {
                break;
            }
            let mut name = stem.clone();
            name.push(format!("-{number}.{}", format.extension()));
            output = wanted.with_file_name(name);
        }
        jobs.push(Job {
            input: found.path.clone(),
            output,
            format,
        });
    }
    jobs
}

/// Writes a file so that it is there whole or not at all: into a temporary file beside it, which
/// then takes its name. Missing folders are made. On an error the temporary file is removed.
///
/// This guards against an interrupted program, not against a power failure: it does not wait until
/// the disk has everything.
///
/// # Blocking
/// Waits for the disk.
///
/// # Errors
/// The reason of the operating system.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // `create_new` gives the file the permissions of any new file; the default of the builder
    // would leave it readable by its owner only.
    let mut file = tempfile::Builder::new()
        .prefix(".images-")
        .suffix(".part")
        .make_in(folder, |path| File::create_new(path))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Equal for two paths that may be the same file. The folder is resolved, the name is not: a link
/// is replaced by an output of its name, not what it links to.
fn fingerprint(path: &Path) -> String {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder)
        .or_else(|_| path::absolute(folder))
        .unwrap_or_else(|_| folder.to_owned());
    let whole = folder.join(path.file_name().unwrap_or_default());
    whole.to_string_lossy().to_lowercase()
}
