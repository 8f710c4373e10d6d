//! Absences: the names that a folder must not use, which keep the borders between crates.

use super::source::{Name, Source};
use super::{Violation, Workspace};

/// Names that code in some folders may not use.
struct Absence {
    /// The folders that the rule covers. Their tests, models and examples are exempt.
    within: &'static [&'static str],
    except: &'static [&'static str],
    is_forbidden: fn(&Name) -> bool,
    why: &'static str,
    remedy: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        within: &["crates"],
        except: &["crates/sync"],
        is_forbidden: is_hidden_from_loom,
        why: "loom cannot see it",
        remedy: "use insula_sync",
    },
    Absence {
        within: &["crates/core"],
        except: &[],
        is_forbidden: |name| {
            ASYNC_RUNTIMES
                .iter()
                .any(|runtime| name.starts_with(runtime))
        },
        why: "core is no guest of an async runtime",
        remedy: "build on wakers, which every executor understands",
    },
    Absence {
        within: &["crates/core"],
        except: &[],
        is_forbidden: |name| {
            SERIALIZERS
                .iter()
                .any(|serializer| name.starts_with(serializer))
        },
        why: "core never serializes: messages move",
        remedy: "do it above core",
    },
    Absence {
        within: &["crates/rpc"],
        except: &[],
        is_forbidden: |name| OUTSIDE_WORLD.iter().any(|module| name.starts_with(module)),
        why: "typed calls know no socket and no process",
        remedy: "do it behind the `Endpoint` seam, in a crate above",
    },
];

/// Items of `std::sync` that are neither locks nor atomics of the runtime's protocols: shared
/// ownership, and values that are initialized once.
const NO_LOCKS: &[&str] = &["Arc", "Weak", "Once", "OnceLock", "LazyLock"];

const ASYNC_RUNTIMES: &[&str] = &[
    "tokio",
    "smol",
    "async_std",
    "async_executor",
    "futures_executor",
];
const SERIALIZERS: &[&str] = &["serde", "serde_json", "postcard", "bincode"];
const OUTSIDE_WORLD: &[&str] = &["std::net", "std::process", "std::os"];

/// Returns whether a name is in `std::sync` or `core::sync`, except for [`NO_LOCKS`]. The module
/// itself counts too, since it could be renamed.
fn is_hidden_from_loom(name: &Name) -> bool {
    let is_sync = name.starts_with("std::sync") || name.starts_with("core::sync");
    is_sync
        && !name
            .segments
            .get(2)
            .is_some_and(|item| NO_LOCKS.contains(&item.as_str()))
}

pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let sources = workspace.sources.iter();
    let mut found: Vec<_> = sources
        .flat_map(|source| check_source(source, ABSENCES))
        .collect();
    found.extend(
        workspace
            .packages
            .iter()
            .filter(|it| it.folder == "crates/core")
            .flat_map(core),
    );
    found
}

fn check_source(source: &Source, absences: &[Absence]) -> Vec<Violation> {
    let mut found = Vec::new();
    for absence in absences {
        let applies =
            source.is_in(absence.within) && !source.is_in(absence.except) && !source.is_test();
        let names = source
            .names
            .iter()
            .filter(|name| applies && (absence.is_forbidden)(name));
        found.extend(names.map(|name| Violation {
            file: source.path.clone(),
            line: name.line,
            what: format!("names `{}`: {}", name.segments.join("::"), absence.why),
            remedy: absence.remedy.to_owned(),
        }));
    }
    found
}

/// Checks the manifest: core must not depend on a crate that its code may not name.
fn core(package: &super::Package) -> Vec<Violation> {
    let forbidden = |name: &str| {
        let name = name.replace('-', "_");
        [ASYNC_RUNTIMES, SERIALIZERS]
            .concat()
            .contains(&name.as_str())
    };
    let dependencies = package.dependencies.iter();
    let found = dependencies.filter(|dependency| forbidden(&dependency.name));
    found
        .map(|dependency| Violation {
            file: format!("{}/Cargo.toml", package.folder),
            line: 1,
            what: format!("core depends on {}", dependency.name),
            remedy: "core names no async runtime and no serializer".to_owned(),
        })
        .collect()
}

#[cfg(test)]
pub(super) fn in_source(source: &Source) -> Vec<Violation> {
    check_source(source, ABSENCES)
}
