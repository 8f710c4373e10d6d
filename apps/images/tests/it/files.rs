//! Risk: pictures missed, overwritten, or left half written.

use std::fs;
use std::path::{Path, PathBuf};

use images::{FileError, Found, ImageFormat, RawImage, Scan, plan};
use tempfile::TempDir;

/// A folder with empty files of the given names.
fn folder(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    folder
}

fn relative(scan: &Scan) -> Vec<&str> {
    scan.pictures
        .iter()
        .map(|found| found.relative.to_str().unwrap())
        .collect()
}

#[test]
fn folders_are_searched_in_order_whatever_the_case() {
    let names = [
        "b.JPG",
        "a.png",
        "sub/deep/d.WebP",
        "sub/c.jpeg",
        "notes.txt",
        "e.gif",
        "jpg",
    ];
    let folder = folder(&names);
    let scan = Scan::of(&[folder.path().to_owned()], Path::new("no such folder"));
    assert_eq!(
        relative(&scan),
        ["a.png", "b.JPG", "sub/c.jpeg", "sub/deep/d.WebP"]
    );
    assert!(scan.failures.is_empty());
}

#[test]
fn inputs_that_are_no_pictures_are_named() {
    let folder = folder(&["a.png", "notes.txt"]);
    let inputs = ["a.png", "notes.txt", "gone.jpg", "a.png"].map(|name| folder.path().join(name));
    let scan = Scan::of(&inputs, Path::new("out"));
    assert_eq!(relative(&scan), ["a.png"]);
    let [text, gone] = &scan.failures[..] else {
        panic!("{:?}", scan.failures)
    };
    assert!(matches!(text.error, FileError::Extension) && text.path.ends_with("notes.txt"));
    assert!(matches!(gone.error, FileError::Read(_)) && gone.path.ends_with("gone.jpg"));
    let read = RawImage::load(&gone.path).unwrap_err();
    assert!(
        read.to_string().contains("gone.jpg: cannot read: "),
        "{read}"
    );
}

#[test]
fn the_output_folder_inside_an_input_is_not_searched() {
    let folder = folder(&["a.png", "out/a.png", "other/b.png"]);
    let scan = Scan::of(&[folder.path().to_owned()], &folder.path().join("out"));
    assert_eq!(relative(&scan), ["a.png", "other/b.png"]);
}

#[cfg(unix)]
#[test]
fn a_link_in_a_circle_is_not_followed() {
    let folder = folder(&["sub/a.png"]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("sub/circle")).unwrap();
    let scan = Scan::of(&[folder.path().to_owned()], Path::new("out"));
    assert_eq!(relative(&scan), ["sub/a.png"]);
}

fn found(root: &Path, relative: &str) -> Found {
    let path = root.join(relative);
    let format = ImageFormat::of_path(&path).unwrap();
    Found {
        path,
        relative: relative.into(),
        format,
    }
}

fn outputs(pictures: &[Found], out: &Path, format: Option<ImageFormat>) -> Vec<PathBuf> {
    let jobs = plan(pictures, out, format);
    assert!(
        jobs.iter()
            .zip(pictures)
            .all(|(job, found)| job.input == found.path)
    );
    jobs.iter()
        .map(|job| job.output.strip_prefix(out).unwrap().to_owned())
        .collect()
}

#[test]
fn outputs_keep_folders_and_never_collide() {
    let root = Path::new("/photos");
    let pictures = [
        "cat.jpg",
        "cat.png",
        "CAT.webp",
        "cat-2.jpg",
        "sub/cat.jpeg",
    ]
    .map(|name| found(root, name));
    let names = outputs(&pictures, Path::new("/out"), Some(ImageFormat::Jpeg));
    let expected = [
        "cat.jpg",
        "cat-2.jpg",
        "CAT-3.jpg",
        "cat-2-2.jpg",
        "sub/cat.jpg",
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    let names = outputs(&pictures, Path::new("/out"), None);
    let expected = ["cat.jpg", "cat.png", "CAT.webp", "cat-2.jpg", "sub/cat.jpg"];
    assert_eq!(names, expected.map(PathBuf::from));
}

#[test]
fn an_input_is_never_overwritten() {
    let folder = folder(&["a.jpg", "b.png"]);
    let pictures = ["a.jpg", "b.png"].map(|name| found(folder.path(), name));
    let roundabout = folder.path().join(".");
    assert_eq!(
        outputs(&pictures, &roundabout, None),
        [PathBuf::from("a-2.jpg"), PathBuf::from("b-2.png")]
    );
}
