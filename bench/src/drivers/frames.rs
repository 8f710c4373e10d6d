//! A loop of frames on its own thread, as a window has it, while a pool computes the parts of the
//! picture.

use std::thread;
use std::time::{Duration, Instant};

use crate::case::Sample;
use crate::drivers::executor::THREADS;
use crate::measure::{Work, percentile};

/// The time between two frames, for a display of 60 Hz.
const PERIOD: Duration = Duration::from_nanos(16_666_667);
/// The tiles that are always in progress: one for each thread, and one that it takes next.
const ON_THE_WAY: usize = 2 * THREADS;
/// The time that a tile takes on an undisturbed core.
pub(crate) const TILE: Duration = Duration::from_millis(10);
/// The side of a tile, in pixels.
const SIDE: usize = 256;
/// The columns of the picture, in tiles.
const COLUMNS: usize = 4;
const ROWS: usize = 3;

/// The code that runs in the thread of the frames.
pub(crate) trait Stage {
    /// Runs a frame: requests missing tiles, and draws.
    fn frame(&mut self);

    /// Takes the tiles that have arrived; called whenever the thread was unparked, and between
    /// frames.
    fn flush(&mut self);

    /// Returns the number of tiles that have arrived so far.
    fn tiles(&mut self) -> u64;
}

/// Drives `stage` for `length` at 60 frames per second. Returns p50, p99 and p99.9 of the lateness
/// of frames in milliseconds, and the number of tiles per second.
///
/// A frame that should have begun already when the one before ends is skipped, as on a display.
pub(crate) fn drive(stage: &mut impl Stage, length: Duration) -> Sample {
    let start = Instant::now();
    let mut late = Vec::new();
    let mut due = start;
    while due < start + length {
        let now = Instant::now();
        if now >= due {
            late.push((now - due).as_secs_f64() * 1e3);
            stage.frame();
            let now = Instant::now();
            while due <= now {
                due += PERIOD;
            }
        }
        stage.flush();
        // An arriving tile unparks this thread.
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
    }
    let tiles = stage.tiles() as f64 / start.elapsed().as_secs_f64();
    late.sort_by(f64::total_cmp);
    let mut numbers = [0.5, 0.99, 0.999]
        .map(|share| percentile(&late, share))
        .to_vec();
    numbers.push(tiles);
    Sample(numbers)
}

/// A part of the picture.
pub(crate) struct Tile {
    number: u64,
    pixels: Vec<u32>,
}

impl Tile {
    /// Computes for [`TILE`].
    pub(crate) fn compute(number: u64, work: Work) -> Self {
        work.run();
        Self {
            number,
            pixels: vec![number as u32; SIDE * SIDE],
        }
    }
}

/// The picture, and the tiles in progress.
pub(crate) struct Scene {
    pixels: Vec<u32>,
    tiles: Vec<Option<Tile>>,
    asked: u64,
    came: u64,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            pixels: vec![0; COLUMNS * SIDE * ROWS * SIDE],
            tiles: (0..COLUMNS * ROWS).map(|_| None).collect(),
            asked: 0,
            came: 0,
        }
    }

    /// Returns the number of a tile to compute, if too few are in progress.
    pub(crate) fn order(&mut self) -> Option<u64> {
        let is_room = self.asked - self.came < ON_THE_WAY as u64;
        is_room.then(|| {
            self.asked += 1;
            self.asked - 1
        })
    }

    pub(crate) fn insert(&mut self, tile: Tile) {
        assert!(tile.number < self.asked, "a tile that nobody asked for");
        self.came += 1;
        let place = tile.number as usize % self.tiles.len();
        self.tiles[place] = Some(tile);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.came < self.asked
    }

    pub(crate) fn came(&self) -> u64 {
        self.came
    }

    /// Copies all tiles into the picture, row by row.
    pub(crate) fn draw(&mut self) {
        for (place, tile) in self.tiles.iter().enumerate() {
            let Some(tile) = tile else { continue };
            let corner = place / COLUMNS * SIDE * SIDE * COLUMNS + place % COLUMNS * SIDE;
            for (row, pixels) in tile.pixels.chunks(SIDE).enumerate() {
                let at = corner + row * SIDE * COLUMNS;
                self.pixels[at..at + SIDE].copy_from_slice(pixels);
            }
        }
        // Nothing reads the picture, so the copies could be left out.
        std::hint::black_box(&self.pixels);
    }
}

/// Lowers the priority of the calling thread, so that it computes only while nothing more urgent
/// does, like the threads of `apps/window` that compute tiles. Does nothing except on Linux.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        thread_local! {
            static IS_DONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        if !IS_DONE.replace(true) {
            // If that is forbidden, tiles and frames compete.
            let _ = rustix::process::setpriority_process(None, 19);
        }
    }
}
