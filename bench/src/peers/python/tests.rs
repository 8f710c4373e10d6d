//! Risk: a package that is missing, or has other results, goes unnoticed.

use std::collections::HashMap;

use super::{Installed, Peer, Python, assert_near};

const PEER: Peer = Peer {
    name: "numpy",
    package: "numpy",
    key: "matrices",
    threads: "threads of BLAS",
};

fn python(installed: Result<Option<&str>, &str>) -> Python {
    let installed = installed.map(|version| Installed {
        python: "3.11.7".to_owned(),
        packages: HashMap::from([("numpy".to_owned(), version.map(str::to_owned))]),
    });
    Python {
        program: "python3".into(),
        installed: installed.map_err(str::to_owned),
    }
}

#[test]
fn a_row_names_versions_and_threads() {
    let (version, note) = python(Ok(Some("2.4.6"))).version_and_note(&PEER);
    assert_eq!(version.as_deref(), Some("2.4.6"));
    assert_eq!(note, "numpy 2.4.6, Python 3.11.7, 2 threads of BLAS");
}

#[test]
fn a_row_without_its_package_says_how_to_install_it() {
    for (installed, missing) in [(Ok(None), "numpy"), (Err("no such file"), "Python 3")] {
        let (version, note) = python(installed).version_and_note(&PEER);
        assert_eq!(version, None);
        assert!(note.starts_with(&format!("missing: {missing},")), "{note}");
        assert!(note.ends_with("pip install polars numpy scikit-learn"));
    }
}

#[test]
fn numbers_agree_within_the_tolerance() {
    assert_near("a mean", Some(1e6 + 1.0), 1e6, 1e-5);
    assert_near("a mean", Some(1e-7), 0.0, 1e-6);
}

#[test]
#[should_panic(expected = "a mean: 1.1 in Python, 1 here")]
fn another_number_does_not_agree() {
    assert_near("a mean", Some(1.1), 1.0, 1e-6);
}

#[test]
#[should_panic(expected = "a mean: NaN in Python")]
fn no_number_does_not_agree() {
    assert_near("a mean", None, 1.0, 1e-6);
}
