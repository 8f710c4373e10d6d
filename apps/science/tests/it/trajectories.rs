//! Risk: a trajectory from which a simulation goes on as another one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use science::fluid::{Sample, Simulate, read_last_state, write_frame};
use tempfile::TempDir;

use crate::support::{assert_close, at_rest, liquid, simulate};

/// The states of samples as a trajectory.
fn trajectory(samples: &[&Sample], request: &Simulate) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sample in samples {
        let frame = sample.frame.as_ref().unwrap();
        let (length, time_step) = (request.length(), request.time_step);
        write_frame(&mut bytes, sample, frame, length, time_step).unwrap();
    }
    bytes
}

#[test]
fn a_simulation_goes_on_from_its_trajectory_with_the_same_bits() {
    let request = Simulate {
        production: 200,
        frames: 100,
        domains: 2,
        ..liquid()
    };
    let whole = simulate(&request).unwrap();
    let half = whole.iter().find(|sample| sample.step == 100).unwrap();
    let state = read_last_state(&trajectory(&[&whole[0], half], &request)[..]).unwrap();
    assert!(half.frame.as_ref() == Some(&state.particles));
    let request = Simulate {
        // Those of the state are taken.
        particles: 2,
        density: 1.0,
        production: 100,
        frames: 100,
        domains: 3,
        ..liquid()
    };
    let rest = simulate(&request.begin_with(Arc::new(state))).unwrap();
    for (one, other) in [(half, rest.first()), (whole.last().unwrap(), rest.last())] {
        let other = other.unwrap();
        assert!(one.frame == other.frame);
        assert_eq!(one.energies, other.energies);
    }
    let times: Vec<_> = rest.iter().map(|sample| sample.time).collect();
    assert!(times.is_sorted() && times[0] < times[times.len() - 1]);
}

/// The line before the particles, of a box of edge 9.
const BOX: &str = "pbc=\"T T T\" Lattice=\"9.0 0 0 0 9 0 0 0 9\" Properties=species:S:1:pos:R:3";

#[test]
fn a_trajectory_of_another_program_is_read() {
    let first = format!("1\n{BOX}\nX 0 0 0\n");
    let last = format!("2\n{BOX}:q:R:1\nH 1 2 3 0.5\nH 4 5 6e-1 -0.5\n\n");
    let state = read_last_state((first + &last).as_bytes()).unwrap();
    assert_eq!(state.length, 9.0);
    // Without velocities.
    assert_eq!(
        state.particles,
        at_rest(&[[1.0, 2.0, 3.0], [4.0, 5.0, 0.6]])
    );
    let moving = format!("1\n{BOX}:velo:R:3:id:I:1\nH 1 2 3 4 5 6 7\n");
    let state = read_last_state(moving.as_bytes()).unwrap();
    assert_eq!(state.particles.velocity, [[4.0], [5.0], [6.0]]);
}

#[test]
fn a_mistake_in_a_trajectory_is_named_with_its_line() {
    for (text, line, part) in [
        (String::new(), 1, "there is no state"),
        ("two\n".to_owned(), 1, "expected the number of particles"),
        (
            "1\nwithout a box\nH 1 2 3\n".to_owned(),
            2,
            "expected the box",
        ),
        (
            format!("1\n{}\nH 1 2 3\n", BOX.replace("9 0 0 0 9", "8 0 0 0 9")),
            2,
            "expected the box, a cube",
        ),
        (
            format!("1\n{}\n1 1 2 3\n", BOX.replace("species", "id")),
            2,
            "expected the columns",
        ),
        (
            format!("2\n{BOX}\nH 1 2 3\n"),
            3,
            "the file ends after 1 of 2 particles",
        ),
        (
            format!("1\n{BOX}\nH 1 nan 3\n"),
            3,
            "expected a species and 3 numbers",
        ),
        (
            format!("1\n{BOX}:velo:R:3\nH 1 2 3 4 5\n"),
            3,
            "expected a species and 6 numbers",
        ),
    ] {
        let error = read_last_state(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line {line}: ")), "{error}");
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_command_begins_with_a_trajectory_or_says_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let (file, bad) = (
        folder.path().join("fluid.xyz"),
        folder.path().join("bad.xyz"),
    );
    let request = Simulate {
        frames: 100,
        ..liquid()
    };
    let samples = simulate(&request).unwrap();
    let last = samples.last().unwrap();
    fs::write(&file, trajectory(&[last], &request)).unwrap();
    fs::write(&bad, "many\n").unwrap();
    let run = |from: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_science"));
        command.args([
            "md",
            "--cutoff",
            "2.5",
            "--equilibrate",
            "0",
            "--steps",
            "10",
        ]);
        let result = command.arg("--from").arg(from).args(more).output().unwrap();
        let errors = String::from_utf8(result.stderr).unwrap();
        (result.status.code(), errors, result.stdout)
    };
    let (code, errors, figures) = run(&file, &["--json"]);
    assert_eq!(code, Some(0), "{errors}");
    let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
    assert_eq!(figures["particles"], 500);
    assert_close(figures["length"].as_f64().unwrap(), request.length(), 1e-12);
    for (from, more, part) in [
        (
            &bad,
            ["--seed", "2"],
            "bad.xyz, line 1: expected the number of particles",
        ),
        (
            &folder.path().join("none.xyz"),
            ["--seed", "2"],
            "none.xyz: cannot read",
        ),
        (&file, ["--density", "1"], "cannot be used with"),
    ] {
        let (code, errors, _) = run(from, &more);
        assert_eq!(code, Some(2));
        assert!(errors.contains(part), "{errors}");
    }
}
