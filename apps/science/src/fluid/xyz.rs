//! Trajectories, in the extended XYZ format that viewers and other programs read.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::{Particles, Sample};

/// Appends one state to a trajectory: the number of particles, a line that describes the box and
/// the columns, and a line per particle with its position and velocity.
///
/// The numbers are written with as many digits as bring the same bits back.
///
/// # Errors
/// Returns the error of the writer.
pub fn write_frame(
    to: &mut impl Write,
    sample: &Sample,
    particles: &Particles,
    length: f64,
    time_step: f64,
) -> io::Result<()> {
    writeln!(to, "{}", particles.len())?;
    let time = sample.step as f64 * time_step;
    writeln!(
        to,
        "Lattice=\"{length} 0 0 0 {length} 0 0 0 {length}\" \
         Properties=species:S:1:pos:R:3:velo:R:3 Time={time} Step={} Energy={}",
        sample.step,
        sample.energies.total()
    )?;
    let ([x, y, z], [u, v, w]) = (&particles.position, &particles.velocity);
    for index in 0..particles.len() {
        let (x, y, z) = (x[index], y[index], z[index]);
        // In reduced units a particle has no element. Viewers draw argon in a fitting size.
        writeln!(to, "Ar {x} {y} {z} {} {} {}", u[index], v[index], w[index])?;
    }
    Ok(())
}

/// The particles of a fluid, and their box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FluidState {
    /// The particles. Positions outside of the box are those of images in it.
    pub particles: Particles,
    /// The edge of the box.
    pub length: f64,
}

/// The reason why a trajectory gives no state.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrajectoryError {
    /// It could not be read.
    Io(io::Error),
    /// The content is not that of the format.
    Content {
        /// The line.
        line: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl fmt::Display for TrajectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read: {error}"),
            Self::Content { line, problem } => write!(f, "line {line}: {problem}"),
        }
    }
}

impl Error for TrajectoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Content { .. } => None,
        }
    }
}

/// Reads the last state of a trajectory. A trajectory may come from another program, if its box is a
/// cube and its first columns are the species, the position and then the velocity. Without a column
/// for the velocity the particles are at rest.
///
/// # Blocking
/// Waits for the reader.
///
/// # Errors
/// See [`TrajectoryError`].
pub fn read_last_state(from: impl BufRead) -> Result<FluidState, TrajectoryError> {
    let mut lines = Lines { from, number: 0 };
    let mut last = None;
    while let Some(count) = lines.next()? {
        if !count.trim().is_empty() {
            last = Some(lines.state(&count)?);
        }
    }
    last.ok_or_else(|| lines.problem("there is no state: name a trajectory of `science md --out`"))
}

/// The columns that a trajectory has to have first.
const COLUMNS: &str = "species:S:1:pos:R:3";

/// The lines of a trajectory.
struct Lines<R> {
    from: R,
    /// That of the last line.
    number: usize,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<String>, TrajectoryError> {
        let mut line = String::new();
        let read = self.from.read_line(&mut line);
        if read.map_err(TrajectoryError::Io)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(line))
    }

    /// Reads the state behind the line with the number of its particles.
    fn state(&mut self, count: &str) -> Result<FluidState, TrajectoryError> {
        let Ok(count) = count.trim().parse::<u32>() else {
            return Err(self.problem("expected the number of particles"));
        };
        let comment = self.next()?.unwrap_or_default();
        let Some(length) = value(&comment, "Lattice=").and_then(edge) else {
            return Err(self.problem("expected the box, a cube: `Lattice=\"L 0 0 0 L 0 0 0 L\"`"));
        };
        let columns = value(&comment, "Properties=").and_then(|it| it.strip_prefix(COLUMNS));
        let Some(more) = columns else {
            return Err(self.problem(&format!(
                "expected the columns `Properties={COLUMNS}:velo:R:3`"
            )));
        };
        let numbers = if more.starts_with(":velo:R:3") { 6 } else { 3 };
        let mut particles = Particles::default();
        for number in 0..count {
            let Some(line) = self.next()? else {
                let problem = format!("the file ends after {number} of {count} particles");
                return Err(self.problem(&problem));
            };
            let words = line.split_whitespace().skip(1).take(numbers);
            let values: Option<Vec<f64>> = words.map(finite).collect();
            let values = values.filter(|values| values.len() == numbers);
            let Some(mut values) = values else {
                let problem = format!("expected a species and {numbers} numbers");
                return Err(self.problem(&problem));
            };
            values.resize(6, 0.0);
            let axes = particles.position.iter_mut().chain(&mut particles.velocity);
            axes.zip(values).for_each(|(axis, value)| axis.push(value));
            particles.number.push(number);
        }
        Ok(FluidState { particles, length })
    }

    fn problem(&self, problem: &str) -> TrajectoryError {
        TrajectoryError::Content {
            line: self.number.max(1),
            problem: problem.to_owned(),
        }
    }
}

/// Returns the value of a key in the line that describes a state, without quotation marks.
fn value<'a>(comment: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = comment.split_once(key)?;
    match after.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(value, _)| value),
        None => after.split_whitespace().next(),
    }
}

/// Returns the edge of a cube whose three vectors are given.
fn edge(vectors: &str) -> Option<f64> {
    let vectors: Vec<f64> = vectors
        .split_whitespace()
        .map(finite)
        .collect::<Option<_>>()?;
    let edge = *vectors.first()?;
    let cube = [edge, 0.0, 0.0, 0.0, edge, 0.0, 0.0, 0.0, edge];
    (edge > 0.0 && vectors == cube).then_some(edge)
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}
