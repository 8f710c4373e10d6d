//! Risk: a command of the README that does not work as it is written there.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

#[test]
fn the_commands_of_the_readme_work_and_write_their_pictures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let commands = readme
        .lines()
        .filter_map(|line| line.strip_prefix("cargo run --release -p science -- "));
    let mut pictures = Vec::new();
    for command in commands {
        let mut arguments: Vec<_> = command.split(' ').collect();
        let out = TempDir::new().unwrap();
        let folder = arguments.iter().position(|it| *it == "--out").unwrap() + 1;
        arguments[folder] = out.path().to_str().unwrap();
        if arguments[0] == "md" {
            // As it is written, it takes 12,000 steps.
            arguments.extend(["--equilibrate", "20", "--steps", "50"]);
        }
        let result = Command::new(env!("CARGO_BIN_EXE_science"))
            .args(&arguments)
            .current_dir(&root)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(0), "{command}: {errors}");
        let files = fs::read_dir(out.path()).unwrap();
        let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
        pictures.extend(names.filter(|name| name.ends_with(".png")));
    }
    pictures.sort();
    assert_eq!(
        pictures,
        ["energy.png", "radial.png", "singular-values.png"]
    );
}
