//! The risk: the page asks for a file that the server does not know, or for one of another server.

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use super::{FILES, SCRIPT_HASH, STYLE_HASH};

/// Returns what stands between `before` and the next quotation mark of any kind, each time.
fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|part| part.split(['"', '\'']).next())
}

#[test]
fn each_file_that_the_page_names_is_there() {
    // All but the tools without imports have some.
    let has_import = |file: &&super::File| file.content.contains("from './");
    assert!(FILES.iter().filter(has_import).count() > 10);
    for file in FILES {
        let names = quoted(file.content, "from './")
            .map(|name| format!("/{name}"))
            .chain(quoted(file.content, "src=\"").map(str::to_owned))
            .chain(quoted(file.content, "href=\"").map(str::to_owned));
        for name in names {
            let is_known = FILES.iter().any(|known| known.path == name);
            assert!(is_known, "{} names {name}", file.path);
        }
    }
}

#[test]
fn each_file_of_the_folder_is_served() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    for name in names {
        let path = std::path::Path::new(folder).join(&name);
        let content = std::fs::read_to_string(path).expect("it can be read");
        let is_served = FILES.iter().any(|file| file.content.contains(&content));
        assert!(is_served, "{}", name.display());
    }
}

#[test]
fn the_policy_has_the_hashes_of_what_a_browser_takes_for_style_and_script() {
    let page = super::file("/").expect("it is there").content;
    for (name, expected) in [("style", &*STYLE_HASH), ("script", &*SCRIPT_HASH)] {
        let (_, rest) = page.split_once(&format!("<{name}>")).expect("it has one");
        let (part, _) = rest.split_once(&format!("</{name}>")).expect("which ends");
        let part = part.replace("\r\n", "\n");
        let hash = BASE64.encode(&Sha256::digest(part));
        assert_eq!(*expected, format!("sha256-{hash}"));
        // A policy allows no other one.
        assert_eq!(page.matches(&format!("<{name}")).count(), 1);
    }
    // Nor any in an attribute.
    assert!(!page.contains(" style="));
}

#[test]
fn each_script_is_fetched_at_once() {
    let begin = include_str!("../../../page/begin.js");
    let scripts = FILES.iter().filter(|file| file.kind == super::SCRIPT);
    let names = scripts.map(|file| file.path.trim_matches('/').trim_end_matches(".js"));
    for name in names {
        assert!(begin.contains(&format!("'{name}'")), "{name}");
    }
}

#[test]
fn nothing_of_the_page_comes_from_elsewhere() {
    for file in FILES {
        // The name of a format is no address that is fetched.
        let content = file.content.replace("http://www.w3.org/", "");
        for foreign in [
            "http://",
            "https://",
            "innerHTML",
            "eval(",
            "document.write",
        ] {
            assert!(!content.contains(foreign), "{} has {foreign}", file.path);
        }
    }
}
