//! The answers of the server to requests that are no session.

use std::sync::LazyLock;

use super::page::{File, SCRIPT_HASH, STYLE_HASH};

/// Forbids the page everything but its own style and scripts, its own files and its own server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let (script, style) = (&*SCRIPT_HASH, &*STYLE_HASH);
    format!(
        "default-src 'none'; script-src 'self' '{script}'; style-src '{style}'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// Why a request has no result. The texts tell nothing of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    BadRequest,
    Forbidden,
    NotFound,
    NotAllowed,
    TooLate,
    TooLarge,
    UpgradeNeeded,
    Busy,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::TooLate => "408 Request Timeout",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::UpgradeNeeded => "426 Upgrade Required",
            Self::Busy => "503 Service Unavailable",
        }
    }
}

/// An answer with its body.
pub(super) struct Answer {
    line: &'static str,
    kind: &'static str,
    opener: &'static str,
    body: String,
}

/// Parts a page from the one that has opened it, which could navigate it otherwise.
const APART: &str = "Cross-Origin-Opener-Policy: same-origin\r\n";

impl Answer {
    pub(super) fn of(status: Status) -> Self {
        let line = status.line();
        Self {
            line,
            kind: "text/plain; charset=utf-8",
            opener: APART,
            body: format!("{line}\n"),
        }
    }

    /// `is_alone` says that no page has asked for it. A browser makes another process for a page that is
    /// parted from its opener, once it has the answer, which would double the time to the first paint.
    pub(super) fn page(file: File, is_alone: bool) -> Self {
        Self {
            line: "200 OK",
            kind: file.kind,
            opener: if is_alone { "" } else { APART },
            body: file.content.to_owned(),
        }
    }

    pub(super) fn metrics(body: String) -> Self {
        Self {
            line: "200 OK",
            kind: "text/plain; version=0.0.4; charset=utf-8",
            opener: APART,
            body,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let Self {
            line,
            kind,
            opener,
            body,
        } = self;
        let (length, policy) = (body.len(), &*POLICY);
        format!(
            "HTTP/1.1 {line}\r\n\
             Content-Type: {kind}\r\n\
             Content-Length: {length}\r\n\
             Content-Security-Policy: {policy}\r\n\
             X-Content-Type-Options: nosniff\r\n\
             X-Frame-Options: DENY\r\n\
             Referrer-Policy: no-referrer\r\n\
             {opener}\
             Cross-Origin-Resource-Policy: same-origin\r\n\
             Cache-Control: no-store\r\n\
             Connection: close\r\n\
             \r\n{body}"
        )
        .into_bytes()
    }
}
