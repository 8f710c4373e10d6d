//! Names the outputs.

use std::collections::HashSet;
use std::fs;
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

/// Returns the jobs for `pictures`. Each output has the same folders below `out` as its input below
/// its root, the same name, and the extension of its format.
///
/// No two outputs share a name, even if case is ignored, and no output is one of the inputs: a
/// second `cat.jpg` becomes `cat-2.jpg`. The names depend on the inputs only, so a second run
/// replaces the files of the first.
pub fn plan(pictures: &[Found], out: &Path, format: Option<ImageFormat>) -> Vec<Job> {
    // With all inputs in it, so that no output replaces a picture that is still to be read.
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
        // Ends after at most as many rounds as there are used names.
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

/// Returns a key that is equal for two paths that may be the same file. The folder is resolved, the
/// name is not: an output replaces a link of its name, not the link's target.
fn fingerprint(path: &Path) -> String {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Fails for a folder that does not exist yet, as that of an output may not.
    let folder = fs::canonicalize(folder)
        .or_else(|_| path::absolute(folder))
        .unwrap_or_else(|_| folder.to_owned());
    let whole = folder.join(path.file_name().unwrap_or_default());
    // The file systems of macOS and Windows ignore case. Elsewhere this only numbers a name that
    // could have stayed.
    whole.to_string_lossy().to_lowercase()
}
