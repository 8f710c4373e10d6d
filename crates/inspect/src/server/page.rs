//! The files of the page, which are in the program itself.
//!
//! The style sheet is a part of the page, because the first paint would wait for another connection
//! otherwise. So is the icon in its head, which is drawn faster than as a picture, and the script that
//! fetches the others, after that paint. The page's policy allows the style sheet and the script by their
//! hashes.

use std::sync::LazyLock;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// The hash of the style sheet, as a policy names it.
pub(super) static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| hash(include_str!("../../page/style.css")));

/// The hash of the script that is a part of the page.
pub(super) static SCRIPT_HASH: LazyLock<String> =
    LazyLock::new(|| hash(include_str!("../../page/begin.js")));

fn hash(part: &str) -> String {
    // A browser hashes what it has parsed, where each end of a line is one byte.
    let parsed = part.replace("\r\n", "\n");
    format!("sha256-{}", BASE64.encode(&Sha256::digest(parsed)))
}

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    path: &'static str,
    pub(super) kind: &'static str,
    pub(super) content: &'static str,
}

/// Makes a file of the folder `page`.
macro_rules! file {
    ($name:literal, $kind:expr) => {
        File {
            path: concat!("/", $name),
            kind: $kind,
            content: include_str!(concat!("../../page/", $name)),
        }
    };
}

/// All of them.
const FILES: &[File] = &[
    File {
        path: "/",
        kind: "text/html; charset=utf-8",
        content: concat!(
            include_str!("../../page/head.html"),
            "<style>",
            include_str!("../../page/style.css"),
            "</style>\n</head>\n<body>\n<header>\n  ",
            include_str!("../../page/icon.svg"),
            include_str!("../../page/body.html"),
            "<script>",
            include_str!("../../page/begin.js"),
            "</script>\n</body>\n</html>\n",
        ),
    },
    file!("app.js", SCRIPT),
    file!("charts.js", SCRIPT),
    file!("connection.js", SCRIPT),
    file!("data.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("events.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("graph.js", SCRIPT),
    file!("icon.svg", PICTURE),
    file!("isolate.js", SCRIPT),
    file!("isolates.js", SCRIPT),
    file!("overview.js", SCRIPT),
    file!("pool.js", SCRIPT),
    file!("pools.js", SCRIPT),
    file!("profile.js", SCRIPT),
    file!("threads.js", SCRIPT),
    file!("waits.js", SCRIPT),
];

/// Returns the file at a path, which is compared as a whole.
pub(super) fn file(path: &str) -> Option<File> {
    FILES.iter().find(|file| file.path == path).copied()
}

#[cfg(test)]
mod tests;
