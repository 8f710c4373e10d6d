//! A picture of the particles, in characters.

use super::Particles;

/// The dots of a Braille character, by column and row, as bits of its number.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Draws the particles of a box of edge `length`, seen along z, in lines of `columns` characters.
/// Each character is a grid of two dots by four, and a dot is a place with a particle. The nearer
/// half of the box is drawn; a picture of all of it would be full of dots.
pub fn picture(particles: &Particles, length: f64, columns: usize, rows: usize) -> String {
    let mut cells = vec![0; columns * rows];
    let [xs, ys, zs] = &particles.position;
    for index in 0..particles.len() {
        if zs[index] > 0.5 * length {
            continue;
        }
        let column = scale(xs[index], length, 2 * columns);
        let row = scale(ys[index], length, 4 * rows);
        if let Some(cell) = cells.get_mut(row / 4 * columns + column / 2) {
            *cell |= DOTS[column % 2][row % 4];
        }
    }
    let mut text = String::new();
    for row in cells.chunks(columns.max(1)) {
        text.extend(row.iter().map(|dots| braille(*dots)));
        text.push('\n');
    }
    text
}

/// Returns the index of a coordinate among so many.
fn scale(coordinate: f64, length: f64, count: usize) -> usize {
    let index = (coordinate / length * count as f64) as usize;
    index.min(count.saturating_sub(1))
}

fn braille(dots: u32) -> char {
    // The block of Braille characters begins here and has all 256 of them.
    char::from_u32(0x2800 + dots).unwrap_or(' ')
}
