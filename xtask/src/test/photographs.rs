//! Large real photographs for the pictures program: those of the Debian package `mate-backgrounds`,
//! up to 17.9 megapixels, downloaded once into `target/` and never committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Trouble, Verdict, capture, cargo, pass};

const PACKAGE: &str = "mate-backgrounds";

/// Runs the pictures program over the package's photographs, with its default options.
pub(super) fn process(root: &Path) -> Verdict {
    let folder = root.join("target").join("photographs");
    let photographs = fetch(&folder).map_err(Trouble::Impossible)?;
    let mut command = cargo(root);
    command.args(["run", "--profile", "optimized", "--package", "images", "--"]);
    pass(
        command
            .arg(photographs)
            .arg("--out")
            .arg(folder.join("pictures")),
    )
}

/// Downloads and unpacks the package unless that was done before. Returns the pictures' folder.
fn fetch(folder: &Path) -> Result<PathBuf, String> {
    let unpacked = folder.join("package");
    if !unpacked.is_dir() {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        // An archive may be left of a run that was interrupted, or put there where there is no
        // network.
        let archive = match archive_in(folder) {
            Some(archive) => archive,
            None => {
                capture(
                    Command::new("apt-get")
                        .current_dir(folder)
                        .args(["download", PACKAGE]),
                )?;
                archive_in(folder).ok_or("apt-get download left no archive behind")?
            }
        };
        // Unpack under another name first, so that an interrupted unpacking is repeated.
        let partial = folder.join("partial");
        capture(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(archive)
                .arg(&partial),
        )?;
        fs::rename(&partial, &unpacked)
            .map_err(|error| format!("cannot rename {}: {error}", partial.display()))?;
    }
    // The other folders contain drawings.
    Ok(unpacked.join("usr/share/backgrounds/mate/nature"))
}

fn archive_in(folder: &Path) -> Option<PathBuf> {
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PACKAGE) && name.ends_with(".deb")
    };
    folder
        .read_dir()
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(is_archive)
}
