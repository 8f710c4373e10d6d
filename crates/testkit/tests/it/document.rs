//! Risk: the document promises what nothing holds: a case without an entry, a test that does
//! not exist, a table that is older than the data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use insula_testkit::conformance::{RULES, Verdict, cases, document};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_document_is_up_to_date() {
    let written = std::fs::read_to_string(workspace().join("docs/conformance.md")).unwrap();
    assert!(
        written == document(),
        "docs/conformance.md is out of date: cargo run -p insula-testkit --bin conformance -- docs/conformance.md"
    );
}

#[test]
fn every_recorded_case_and_every_rule_has_its_entry() {
    let ids: Vec<_> = cases().map(|case| case.id).collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    for number in 1..=87 {
        assert!(ids.contains(&number.to_string().as_str()), "case {number}");
    }
    assert!(RULES.iter().map(|rule| rule.number).eq(1..=40));
    for rule in RULES {
        let unknown = rule.cases.iter().find(|case| !ids.contains(case));
        assert_eq!(unknown, None, "rule {}", rule.number);
        assert!(!(rule.cases.is_empty() && rule.tests.is_empty()));
    }
}

/// A case that counts is run, or held by a test elsewhere; and one that says that it differs
/// shows in what.
#[test]
fn every_verdict_has_something_behind_it() {
    for case in cases() {
        let differs = case.checks.iter().any(|check| check.vm.is_some());
        match case.verdict {
            Verdict::AsVm => {
                assert!(
                    !case.checks.is_empty() || !case.tests.is_empty(),
                    "{}",
                    case.id
                );
                assert!(!differs, "{}", case.id);
            }
            Verdict::DifferentUnlessDart(_) | Verdict::Different(_) => {
                assert!(differs, "{}", case.id);
            }
            Verdict::NotApplicable(_) | Verdict::Later(_) => assert!(!differs, "{}", case.id),
        }
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let sources = sources(&workspace().join("crates"));
    let named = cases().flat_map(|case| case.tests);
    for test in named.chain(RULES.iter().flat_map(|rule| rule.tests)) {
        let head = format!("fn {test}(");
        assert!(
            sources.iter().any(|source| source.contains(&head)),
            "no test {test}"
        );
    }
}

fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(std::fs::read_to_string(path).expect("a source"));
        }
    }
    found
}
