//! Trajectories, in the extended XYZ format that viewers and other programs read.

use std::io::{self, Write};

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
