//! Allowed dependencies between crates, and the reason for each outside dependency.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::document::{Row, table};
use super::{Violation, Workspace};

const CRATES: &str = "## Crates";
const DEPENDENCIES: &str = "## Dependencies";

/// Not a default member; its dependencies are the peers, which are explained where they are used.
const BENCH: &str = "insula-bench";

/// A member of the workspace.
pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the workspace's folder.
    pub(super) folder: String,
    pub(super) dependencies: Vec<Dependency>,
    /// The root files of its libraries and programs, relative to the workspace's folder.
    pub(super) roots: Vec<String>,
}

pub(super) struct Dependency {
    pub(super) name: String,
    is_dev: bool,
}

/// Returns the members of the workspace, read from `cargo metadata`.
///
/// # Errors
/// One line for the user if cargo fails or prints something unexpected.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        // Only the members and what they ask for: to resolve the rest, cargo might need a registry.
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {}", said.trim()));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata printed no JSON: {error}"))?;
    let packages = list(&metadata, "packages")
        .iter()
        .map(|package| read(root, package));
    packages
        .collect::<Option<_>>()
        .ok_or_else(|| "cargo metadata has an unknown form".to_owned())
}

fn read(root: &Path, package: &Value) -> Option<Package> {
    let relative = |path: &Value| Some(super::relative(root, Path::new(path.as_str()?)));
    let manifest = relative(&package["manifest_path"])?;
    let dependency = |value: &Value| {
        let name = value["name"].as_str()?.to_owned();
        Some(Dependency {
            name,
            is_dev: value["kind"] == "dev",
        })
    };
    let is_product = |target: &&Value| {
        list(target, "kind")
            .iter()
            .any(|kind| matches!(kind.as_str(), Some("lib" | "bin" | "proc-macro")))
    };
    let targets = list(package, "targets").iter().filter(is_product);
    Some(Package {
        name: package["name"].as_str()?.to_owned(),
        folder: manifest.strip_suffix("/Cargo.toml")?.to_owned(),
        dependencies: list(package, "dependencies")
            .iter()
            .map(dependency)
            .collect::<Option<_>>()?,
        roots: targets
            .map(|target| relative(&target["src_path"]))
            .collect::<Option<_>>()?,
    })
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// # Errors
/// Fails if ARCHITECTURE.md lacks one of the two tables.
pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>, String> {
    let mut found = Vec::new();
    let rows = table(&workspace.architecture, CRATES)?;
    for package in &workspace.packages {
        match rows.iter().find(|row| row.names(0).contains(&package.name)) {
            Some(row) => check_arrows(workspace, package, row, &mut found),
            None => found.push(Violation {
                file: format!("{}/Cargo.toml", package.folder),
                line: 1,
                what: format!("the crate {} is not in the table of crates", package.name),
                remedy: format!("add its row to ARCHITECTURE.md, below \"{CRATES}\""),
            }),
        }
    }
    let is_member = |name: &String| {
        workspace
            .packages
            .iter()
            .any(|package| package.name == *name)
    };
    for row in rows
        .iter()
        .filter(|row| !row.names(0).iter().any(is_member))
    {
        found.push(in_document(
            row,
            "this row's crate is no member",
            "remove the row",
        ));
    }
    check_reasons(workspace, &mut found)?;
    Ok(found)
}

/// The columns are: crate, folder, may use, its tests may also use, what it is.
fn check_arrows(workspace: &Workspace, package: &Package, row: &Row, found: &mut Vec<Violation>) {
    if !row.names(1).contains(&package.folder) {
        let what = format!("{} is in the folder {}", package.name, package.folder);
        found.push(in_document(row, &what, "write that in the row"));
    }
    let (always, in_tests) = (row.names(2), row.names(3));
    for dependency in &package.dependencies {
        let name = &dependency.name;
        let is_member = workspace.packages.iter().any(|member| member.name == *name);
        // A dependency of the build counts as one of the product, and not of the tests.
        let is_allowed = always.contains(name) || dependency.is_dev && in_tests.contains(name);
        if is_member && !is_allowed {
            found.push(Violation {
                file: format!("{}/Cargo.toml", package.folder),
                line: 1,
                what: format!("{} may not use {name}", package.name),
                remedy: format!(
                    "see ARCHITECTURE.md:{}, or argue for a new arrow there",
                    row.line
                ),
            });
        }
    }
}

/// Checks that each outside dependency has its reason in the document, and each reason its
/// dependency.
fn check_reasons(workspace: &Workspace, found: &mut Vec<Violation>) -> Result<(), String> {
    let rows = table(&workspace.architecture, DEPENDENCIES)?;
    let reasons: Vec<_> = rows.iter().flat_map(|row| row.names(0)).collect();
    let ours: Vec<_> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut used = Vec::new();
    for package in workspace
        .packages
        .iter()
        .filter(|package| package.name != BENCH)
    {
        let foreign = package
            .dependencies
            .iter()
            .map(|dependency| &dependency.name);
        for name in foreign.filter(|name| !ours.contains(&name.as_str())) {
            used.push(name.clone());
            if !reasons.contains(name) {
                found.push(Violation {
                    file: format!("{}/Cargo.toml", package.folder),
                    line: 1,
                    what: format!("the dependency {name} has no reason"),
                    remedy: format!("write it in ARCHITECTURE.md, below \"{DEPENDENCIES}\""),
                });
            }
        }
    }
    for row in &rows {
        for name in row.names(0).iter().filter(|name| !used.contains(name)) {
            let what = format!("no crate but the bench depends on {name}");
            found.push(in_document(row, &what, "remove it from the table"));
        }
    }
    Ok(())
}

fn in_document(row: &Row, what: &str, remedy: &str) -> Violation {
    Violation {
        file: "ARCHITECTURE.md".to_owned(),
        line: row.line,
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}
