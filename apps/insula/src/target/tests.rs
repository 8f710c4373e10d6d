//! The choice among announced programs.

use insula_inspect::announce::Announcement;

use super::*;
use crate::failure::Failure;

fn programs() -> Vec<Announcement> {
    [(7, "images"), (8, "data"), (9, "images")]
        .map(|(pid, name)| Announcement {
            name: name.to_owned(),
            pid,
            address: "http://127.0.0.1:80/#abc".to_owned(),
        })
        .to_vec()
}

fn line(result: Result<&Announcement, Failure>) -> String {
    match result {
        Ok(program) => format!("chosen {}", program.pid),
        Err(failure @ Failure::Connection(_)) => failure.line().unwrap_or_default(),
        Err(failure) => panic!("{failure:?}"),
    }
}

#[test]
fn a_program_has_a_name_or_a_number() {
    let all = programs();
    assert_eq!(line(choose(&all, Some("data"))), "chosen 8");
    assert_eq!(line(choose(&all, Some("9"))), "chosen 9");
    assert_eq!(line(choose(&all[..1], None)), "chosen 7");
}

#[test]
fn what_fits_none_or_several_is_told_what_there_is() {
    let all = programs();
    assert_eq!(
        line(choose(&all, None)),
        "3 programs fit. Choose one by its number: 7 (images), 8 (data), 9 (images)"
    );
    assert_eq!(
        line(choose(&all, Some("images"))),
        "2 programs fit. Choose one by its number: 7 (images), 9 (images)"
    );
    assert_eq!(
        line(choose(&all, Some("10"))),
        "there is no program 10. Choose one of these: 7 (images), 8 (data), 9 (images)"
    );
    assert!(line(choose(&[], None)).starts_with("no program has announced itself. "));
    assert!(line(choose(&[], Some("a\u{1b}b"))).starts_with("there is no program a\u{fffd}b, "));
}

#[test]
fn ids_are_told_from_names() {
    for (text, is_id) in [
        ("isolates/12", true),
        ("pools/1", true),
        ("isolates/", false),
        ("isolates/+1", false),
        ("isolates/1/2", false),
        ("ports/1", false),
        ("12", false),
        ("main", false),
    ] {
        assert_eq!(of_id(text).is_some(), is_id, "{text}");
    }
    assert!(is_number("12"));
    assert!(!is_number("+12") && !is_number("") && !is_number("99999999999999999999"));
}

#[test]
fn a_name_that_several_have_is_told_their_ids() {
    let one = only("a", vec!["isolates/1".to_owned()]);
    assert_eq!(one.unwrap(), "isolates/1");
    let ids = (1..=20).map(|number| format!("isolates/{number}"));
    let several = only("a", ids.collect()).unwrap_err().line().unwrap();
    assert!(several.starts_with("20 have the name a. "), "{several}");
    assert!(several.ends_with("isolates/8"), "{several}");
    let none = only("a", Vec::new()).unwrap_err();
    assert!(matches!(none, Failure::Operation(_)));
    let port = only("ports/3", Vec::new()).unwrap_err().line().unwrap();
    assert!(
        port.starts_with("ports/3 is a port. Give the isolate"),
        "{port}"
    );
}
