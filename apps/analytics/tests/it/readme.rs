//! Risk: a command of the README that does not work as it is written there, or prints something else.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The commands as they are written, but that their files are in another folder.
#[test]
fn the_commands_of_the_readme_work_and_print_what_it_shows() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(workspace.join("README.md")).unwrap();
    let folder = TempDir::new().unwrap();
    let target = format!("{}/", folder.path().display());
    let mut printed = String::new();
    let commands = readme
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run --release -p analytics -- "));
    for command in commands {
        let (arguments, input) = match command.split_once(" < ") {
            Some((arguments, file)) => {
                let input = File::open(workspace.join(file)).unwrap();
                (arguments, Stdio::from(input))
            }
            None => (command, Stdio::null()),
        };
        let arguments: Vec<_> = arguments
            .split(' ')
            .map(|it| it.replace("target/", &target))
            .collect();
        let result = Command::new(env!("CARGO_BIN_EXE_analytics"))
            .args(&arguments)
            .current_dir(&workspace)
            .stdin(input)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(0), "{command}: {errors}");
        // A slow machine may have printed progress.
        assert!(!errors.contains("analytics: "), "{command}: {errors}");
        printed.push_str(&String::from_utf8_lossy(&result.stdout));
    }
    for file in ["weather.html", "weather.json"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
    let shown: Vec<_> = readme
        .lines()
        .filter(|line| line.contains(" is unusual, ") || line.contains(": trend "))
        .collect();
    assert!(shown.len() >= 3, "{shown:?}");
    for line in shown {
        assert!(printed.contains(line), "{line} in {printed}");
    }
}
