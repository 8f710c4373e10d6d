//! Risk: a live view that shows something else than the particles.

use science::fluid::picture;

use crate::support::at_rest;

#[test]
fn each_particle_of_the_nearer_half_is_a_dot_at_its_place() {
    assert_eq!(picture(&at_rest(&[]), 8.0, 3, 2), "⠀⠀⠀\n⠀⠀⠀\n");
    // The first dot of the first character, and the last of the last one.
    let corners = at_rest(&[[0.0, 0.0, 0.0], [7.9, 7.9, 1.0]]);
    assert_eq!(picture(&corners, 8.0, 3, 2), "⠁⠀⠀\n⠀⠀⢀\n");
    // Behind the middle, and twice at one place.
    let others = at_rest(&[[4.0, 4.0, 5.0], [2.5, 0.5, 3.0], [2.6, 0.6, 2.0]]);
    assert_eq!(picture(&others, 8.0, 2, 1), "⠈⠀\n");
    // A coordinate at the very edge is not outside of the picture.
    let edge = at_rest(&[[8.0, 8.0, 0.0]]);
    assert_eq!(picture(&edge, 8.0, 1, 1), "⢀\n");
}
