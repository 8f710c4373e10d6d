//! A profile: how often each stack was seen.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use insula_inspect::model::Profile;
use serde_json::json;

use crate::cli::{self, Global};
use crate::failure::{Failure, Outcome};
use crate::output::{print, print_json};
use crate::pprof;
use crate::tables;
use crate::target::connect;
use crate::text::{clean, millis, several};

/// Watches a program for a while, and prints what its threads did.
pub(super) fn run(options: &cli::Profile, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let seconds = options.seconds;
    let timeout = global.timeout + Duration::from_secs(seconds);
    let profile: Profile = client.call_within("profile", json!({ "seconds": seconds }), timeout)?;
    if let Some(path) = &options.pprof {
        return write_pprof(path, &profile, global);
    }
    if global.json {
        print_json(&profile)
    } else if options.folded {
        print(&folded(&profile))
    } else {
        let mut text = tables::stacks(&profile).plain();
        let time = millis(profile.duration_ms);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "({} looks in {time})", profile.looks);
        print(&text)
    }
}

/// Writes a file for pprof, whole or not at all.
fn write_pprof(path: &Path, profile: &Profile, global: &Global) -> Outcome {
    let bytes = pprof::encoded(profile).map_err(|error| Failure::file("compress", path, &error))?;
    write_whole(path, &bytes).map_err(|error| Failure::file("write", path, &error))?;
    let name = clean(&path.display().to_string());
    if global.json {
        return print_json(&json!({ "file": name, "looks": profile.looks }));
    }
    let looks = several(profile.looks, "look");
    print(&format!(
        "{looks} in {name}; show it with: go tool pprof -top {name}\n"
    ))
}

/// As `write_atomically` of the programs, whose package would bring the whole engine with it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    // With the permissions of any new file; by default only its owner could read it.
    let mut file = tempfile::Builder::new().make_in(folder.unwrap_or(Path::new(".")), |path| {
        File::create_new(path)
    })?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Returns a line for each stack, as tools for flame graphs read them.
fn folded(profile: &Profile) -> String {
    let mut text = String::new();
    for stack in &profile.stacks {
        // A semicolon ends a frame, and the last blank is before the number.
        let frames = stack.frames.iter();
        let frames: Vec<_> = frames.map(|it| clean(it).replace(';', ",")).collect();
        let _ = writeln!(text, "{} {}", frames.join(";"), stack.looks);
    }
    text
}

#[cfg(test)]
mod tests {
    use insula_inspect::model::Stack;

    use super::*;

    #[test]
    fn a_name_neither_ends_a_frame_nor_a_line() {
        let stack = Stack {
            frames: vec!["a;b".to_owned(), "c\n9".to_owned()],
            looks: 3,
        };
        let profile = Profile {
            stacks: vec![stack],
            ..Profile::default()
        };
        assert_eq!(folded(&profile), "a,b;c\u{fffd}9 3\n");
    }
}
