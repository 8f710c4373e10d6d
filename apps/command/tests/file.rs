//! Risk: a program that leaves half a file, or one that others cannot read.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

use std::fs;
use std::io::Write;
use std::path::Path;

use command::{OutputFile, write_atomically};
use tempfile::TempDir;

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn writing_replaces_whole_files_and_leaves_nothing_else() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/folder/a.png");
    write_atomically(&path, b"first").unwrap();
    write_atomically(&path, b"second, longer").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second, longer");
    assert_eq!(names_in(path.parent().unwrap()), ["a.png"]);
}

#[test]
fn a_failed_write_leaves_no_temporary_file() {
    let folder = TempDir::new().unwrap();
    let taken = folder.path().join("a.png");
    fs::create_dir_all(taken.join("not empty")).unwrap();
    write_atomically(&taken, b"picture").unwrap_err();
    assert_eq!(names_in(folder.path()), ["a.png"]);
    fs::write(folder.path().join("file"), "").unwrap();
    write_atomically(&folder.path().join("file/a.png"), b"picture").unwrap_err();
    assert_eq!(names_in(folder.path()), ["a.png", "file"]);
}

#[cfg(unix)]
#[test]
fn outputs_have_the_permissions_of_new_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let (ours, plain) = (folder.path().join("a.png"), folder.path().join("plain"));
    write_atomically(&ours, b"picture").unwrap();
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn a_file_that_is_not_finished_leaves_what_was_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "old").unwrap();
    let mut file = OutputFile::create(&path).unwrap();
    file.write_all(&vec![b'x'; 100_000]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(folder.path()), ["a.csv"]);
}
