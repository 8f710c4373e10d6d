//! Risk: a README whose commands do not work.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::data;

/// Each command of the README as it is written, but that its files are in another folder, and that its
/// large table is a shorter one.
#[test]
fn the_commands_of_the_readme_work() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(workspace.join("README.md")).unwrap();
    let folder = TempDir::new().unwrap();
    let target = format!("{}/", folder.path().display());
    let mut count = 0;
    let commands = readme.lines();
    for command in commands.filter_map(|line| line.strip_prefix("cargo run --release -p data -- "))
    {
        let arguments = command
            .split(' ')
            .map(|it| it.replace("target/", &target).replace("10000000", "10000"));
        let arguments: Vec<_> = arguments.collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let result = data(&arguments).current_dir(&workspace).output().unwrap();
        let errors = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{command}: {errors}");
        if let Some(out) = arguments.iter().skip_while(|it| **it != "--out").nth(1) {
            assert!(Path::new(out).is_file(), "{command}");
        }
        count += 1;
    }
    assert!(count >= 3, "{count}");
}
