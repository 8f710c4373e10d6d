//! Risk: a live view that shows something else than the particles.

use science::fluid::{Particles, picture};

fn at(positions: &[[f64; 3]]) -> Particles {
    let mut particles = Particles::default();
    for (number, position) in positions.iter().enumerate() {
        for axis in 0..3 {
            particles.position[axis].push(position[axis]);
            particles.velocity[axis].push(0.0);
        }
        particles.number.push(number as u32);
    }
    particles
}

#[test]
fn each_particle_of_the_nearer_half_is_a_dot_at_its_place() {
    assert_eq!(picture(&at(&[]), 8.0, 3, 2), "⠀⠀⠀\n⠀⠀⠀\n");
    // The first dot of the first character, and the last of the last one.
    let corners = at(&[[0.0, 0.0, 0.0], [7.9, 7.9, 1.0]]);
    assert_eq!(picture(&corners, 8.0, 3, 2), "⠁⠀⠀\n⠀⠀⢀\n");
    // Behind the middle, and twice at one place.
    let others = at(&[[4.0, 4.0, 5.0], [2.5, 0.5, 3.0], [2.6, 0.6, 2.0]]);
    assert_eq!(picture(&others, 8.0, 2, 1), "⠈⠀\n");
    // A coordinate at the very edge is not outside of the picture.
    let edge = at(&[[8.0, 8.0, 0.0]]);
    assert_eq!(picture(&edge, 8.0, 1, 1), "⢀\n");
}
