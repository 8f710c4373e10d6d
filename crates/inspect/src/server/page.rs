//! The files of the page, which are in the program itself.

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

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
        content: include_str!("../../page/index.html"),
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
    file!("style.css", STYLE),
    file!("threads.js", SCRIPT),
    file!("waits.js", SCRIPT),
];

/// Returns the file at a path, which is compared as a whole.
pub(super) fn file(path: &str) -> Option<File> {
    FILES.iter().find(|file| file.path == path).copied()
}

#[cfg(test)]
mod tests;
