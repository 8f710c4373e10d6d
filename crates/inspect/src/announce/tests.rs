//! Announcements in folders of their own.

use std::fs;
use std::path::Path;

use super::{Announcement, announce_in, announced_in};

fn announcement(pid: u32) -> Announcement {
    Announcement {
        name: "images".to_owned(),
        pid,
        address: "http://127.0.0.1:40123/#0123456789abcdef".to_owned(),
    }
}

fn own() -> Announcement {
    announcement(std::process::id())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_announcement_is_there_until_its_guard_is_dropped() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("insula");
    assert_eq!(announced_in(&folder).unwrap(), []);
    let guard = announce_in(&folder, &own()).unwrap();
    assert_eq!(announced_in(&folder).unwrap(), [own()]);
    assert_eq!(names(&folder), [format!("{}.json", std::process::id())]);
    assert_eq!(guard.path().parent(), Some(folder.as_path()));
    drop(guard);
    assert_eq!(announced_in(&folder).unwrap(), []);
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn the_end_of_one_inspector_leaves_the_announcement_of_the_next() {
    let place = tempfile::tempdir().unwrap();
    let first = announce_in(place.path(), &own()).unwrap();
    let next = Announcement {
        address: "unix:/run/next.sock#abc".to_owned(),
        ..own()
    };
    let second = announce_in(place.path(), &next).unwrap();
    drop(first);
    assert_eq!(announced_in(place.path()).unwrap(), [next]);
    drop(second);
    assert_eq!(announced_in(place.path()).unwrap(), []);
}

#[test]
fn files_that_make_no_sense_are_skipped() {
    let place = tempfile::tempdir().unwrap();
    let pid = std::process::id();
    let path = place.path().join(format!("{pid}.json"));
    let long = format!(r#"{{"name":"{}"}}"#, "a".repeat(70_000));
    let other = serde_json::to_string(&announcement(pid + 1)).unwrap();
    for content in ["", "{", "[]", "{}", r#"{"pid":-1}"#, &long, &other] {
        fs::write(&path, content).unwrap();
        assert_eq!(announced_in(place.path()).unwrap(), []);
        // It may be written anew by its program.
        assert!(path.exists());
    }
    fs::write(place.path().join("notes.txt"), "mine").unwrap();
    fs::write(place.path().join("007.json"), "mine").unwrap();
    fs::write(place.path().join("99999999999999.json"), "mine").unwrap();
    fs::write(place.path().join(format!(".{pid}-0.part")), &other).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(announced_in(place.path()).unwrap(), []);
    assert!(place.path().join("notes.txt").exists());
}

#[test]
fn an_unfinished_file_does_not_keep_the_next_from_being_written() {
    let place = tempfile::tempdir().unwrap();
    let pid = std::process::id();
    fs::write(place.path().join(format!(".{pid}-0.part")), "half").unwrap();
    let _guard = announce_in(place.path(), &own()).unwrap();
    assert_eq!(announced_in(place.path()).unwrap(), [own()]);
}

#[test]
fn the_token_is_not_shown() {
    let shown = format!("{:?}", own());
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
    let place = tempfile::tempdir().unwrap();
    let guard = announce_in(place.path(), &own()).unwrap();
    let shown = format!("{guard:?}");
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_the_user_can_read_an_announcement() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("insula");
        let guard = announce_in(&folder, &own()).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(guard.path()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let place = tempfile::tempdir().unwrap();
        for mode in [0o720, 0o702, 0o777, 0o1777] {
            set_mode(place.path(), mode);
            let written = announce_in(place.path(), &own()).unwrap_err();
            let read = announced_in(place.path()).unwrap_err();
            for error in [written, read] {
                assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error}");
            }
        }
        set_mode(place.path(), 0o700);
        assert_eq!(names(place.path()), [""; 0]);
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (target, link) = (place.path().join("target"), place.path().join("insula"));
        fs::create_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        announce_in(&link, &own()).unwrap_err();
        announced_in(&link).unwrap_err();
        assert_eq!(names(&target), [""; 0]);
    }

    #[test]
    fn links_pipes_and_files_that_others_can_change_are_skipped() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(format!("{}.json", std::process::id()));
        let elsewhere = place.path().join("elsewhere");
        let content = serde_json::to_string(&own()).unwrap();
        fs::write(&elsewhere, &content).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert_eq!(announced_in(place.path()).unwrap(), []);
        fs::remove_file(&path).unwrap();
        fs::write(&path, &content).unwrap();
        set_mode(&path, 0o666);
        assert_eq!(announced_in(place.path()).unwrap(), []);
        set_mode(&path, 0o600);
        assert_eq!(announced_in(place.path()).unwrap(), [own()]);
        fs::remove_file(&path).unwrap();
        // To open one without a writer would block.
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(announced_in(place.path()).unwrap(), []);
    }

    #[test]
    fn the_files_of_processes_that_have_ended_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let content = serde_json::to_string(&announcement(pid)).unwrap();
        fs::write(place.path().join(format!("{pid}.json")), content).unwrap();
        fs::write(place.path().join(format!(".{pid}-3.part")), "half").unwrap();
        assert_eq!(announced_in(place.path()).unwrap(), []);
        assert_eq!(names(place.path()), [""; 0]);
    }
}
