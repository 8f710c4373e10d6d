//! Risk: a row that names no version, or the wrong one, cannot be compared with a later run.

use super::of;

#[test]
fn every_peer_is_locked_at_a_version() {
    for peer in [
        "actix",
        "async-channel",
        "crossbeam-channel",
        "flume",
        "kameo",
        "kanal",
        "ractor",
        "rayon",
        "std",
        "tarpc",
        "threadpool",
        "tokio",
        "xtra",
    ] {
        assert!(of(peer).contains('.'), "{peer}");
    }
}

#[test]
fn an_unknown_name_is_not_guessed() {
    assert_eq!(of("no-such-crate"), "?");
}
