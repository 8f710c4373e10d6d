//! A loop of frames whose tiles tokio or rayon computes: a channel carries them, and an unpark
//! notifies the thread of the frames.

use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::case::Sample;
use crate::drivers::frames::{Scene, Stage, TILE, Tile, drive, step_back};
use crate::drivers::pool::ClosurePool;
use crate::measure::Work;

/// Returns the lateness of frames, and the number of tiles per second.
pub(crate) fn lateness(pool: &impl ClosurePool, steps_back: bool, length: Duration) -> Sample {
    let (done, tiles) = unbounded();
    let mut window = Window {
        pool,
        work: Work::lasting(TILE),
        steps_back,
        scene: Scene::new(),
        done,
        tiles,
    };
    let sample = drive(&mut window, length);
    // No thread computes when the next case begins.
    window.wait();
    sample
}

struct Window<'a, P> {
    pool: &'a P,
    work: Work,
    steps_back: bool,
    scene: Scene,
    done: Sender<Tile>,
    tiles: Receiver<Tile>,
}

impl<P: ClosurePool> Window<'_, P> {
    fn refill(&mut self) {
        while let Some(number) = self.scene.order() {
            let (work, steps_back) = (self.work, self.steps_back);
            let (done, window): (_, Thread) = (self.done.clone(), thread::current());
            self.pool.execute(move || {
                if steps_back {
                    step_back();
                }
                // The window may have been closed.
                let _ = done.send(Tile::compute(number, work));
                window.unpark();
            });
        }
    }

    fn wait(&mut self) {
        while self.scene.is_waiting() {
            let tile = self.tiles.recv().expect("this end sends too");
            self.scene.insert(tile);
        }
    }
}

impl<P: ClosurePool> Stage for Window<'_, P> {
    fn frame(&mut self) {
        self.refill();
        self.scene.draw();
    }

    fn flush(&mut self) {
        while let Ok(tile) = self.tiles.try_recv() {
            self.scene.insert(tile);
            self.refill();
        }
    }

    fn tiles(&mut self) -> u64 {
        self.scene.came()
    }
}
