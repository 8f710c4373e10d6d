//! Colors of escape times.

use std::sync::LazyLock;

/// The colors of one cycle of the palette, which are interpolated smoothly.
const STOPS: [(f32, [f32; 3]); 8] = [
    (0.0, [6.0, 12.0, 54.0]),
    (0.14, [20.0, 74.0, 148.0]),
    (0.30, [86.0, 168.0, 214.0]),
    (0.44, [242.0, 246.0, 228.0]),
    (0.58, [252.0, 190.0, 66.0]),
    (0.72, [206.0, 82.0, 32.0]),
    (0.86, [88.0, 18.0, 58.0]),
    // The first color again, so that one cycle passes into the next.
    (1.0, [6.0, 12.0, 54.0]),
];

const SHADES: usize = 2048;

/// The color of points inside the set.
pub(crate) const INSIDE: u32 = 0;

/// Returns the color of an escape time as 0x00rrggbb; infinity is inside the set.
pub(crate) fn color(time: f32) -> u32 {
    static ROUND: LazyLock<Box<[u32]>> = LazyLock::new(|| {
        let shades = (0..SHADES).map(|index| shade(index as f32 / SHADES as f32));
        shades.collect()
    });
    if time.is_infinite() {
        return INSIDE;
    }
    // The more steps there are, the less each one counts, or deep pictures would flicker.
    let turns = (time + 1.0).sqrt() * 0.16 - 0.14;
    // The remainder is for a product that is rounded up to `SHADES`.
    ROUND[(turns.fract() * SHADES as f32) as usize % SHADES]
}

/// Returns the color at a position from 0 to 1 of the cycle.
fn shade(at: f32) -> u32 {
    let next = STOPS
        .partition_point(|stop| stop.0 <= at)
        .min(STOPS.len() - 1);
    let (from, to) = (STOPS[next - 1], STOPS[next]);
    let part = (at - from.0) / (to.0 - from.0);
    let part = part * part * (3.0 - 2.0 * part);
    let mix = |index: usize| (from.1[index] + (to.1[index] - from.1[index]) * part).round() as u32;
    mix(0) << 16 | mix(1) << 8 | mix(2)
}
