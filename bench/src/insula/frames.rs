//! Frames of a root isolate whose tiles a worker pool computes, as in `apps/window`.

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use insula::embed::RootIsolate;
use insula::embed::{Flush, Frame, FrameHandler, MessageLoop, UiBinding};
use insula::{Context, Instant, IsolateCell, Runtime, WorkerPool, block_on, contract, spawn_local};

use super::Shape;
use crate::case::Sample;
use crate::drivers::executor::THREADS;
use crate::drivers::frames::{Scene, Stage, TILE, Tile, drive, step_back};
use crate::measure::Work;

/// Computes tiles.
#[contract]
pub(crate) trait Tiles {
    async fn tile(&self, cx: &Context, number: u64) -> Result<Tile, Infallible>;
}

#[derive(Debug)]
struct Painter {
    work: Work,
    steps_back: bool,
}

impl Tiles for Painter {
    async fn tile(&self, _cx: &Context, number: u64) -> Result<Tile, Infallible> {
        if self.steps_back {
            step_back();
        }
        Ok(Tile::compute(number, self.work))
    }
}

/// Returns the lateness of frames, and the number of tiles per second, when tiles are computed at
/// the priority of the frames' thread, or at a lower one if `steps_back` is set.
pub(crate) fn lateness(steps_back: bool, length: Duration) -> Sample {
    let work = Work::lasting(TILE);
    let runtime = Shape::Multi.runtime();
    let sample = {
        let _entered = runtime.enter();
        let pool = WorkerPool::builder()
            .workers(THREADS)
            .service::<TilesResponder<_>>(
                move |_cx| async move { Ok(Painter { work, steps_back }) },
            )
            .build();
        let pool = block_on(pool).expect("the workers start");
        let mut window = Window::open(&runtime, pool.caller());
        drive(&mut window, length)
    };
    runtime.shut_down();
    sample
}

/// The thread of the window: a foreign loop drives the root isolate.
struct Window {
    ui_loop: MessageLoop,
    binding: UiBinding,
    scene: IsolateCell<Scene>,
}

impl Window {
    fn open(runtime: &Runtime, caller: TilesCaller) -> Self {
        let window = thread::current();
        let ui_loop = MessageLoop::in_foreign_loop("ui", runtime, move || window.unpark());
        let binding = UiBinding::new(&ui_loop, RootIsolate::builder("window"));
        let binding = binding.expect("the loop is not merged");
        let scene = binding.enter(|_| IsolateCell::new(Scene::new()));
        let scene = scene.expect("the isolate is there");
        binding.set_frame_handler(Frames {
            scene: scene.clone(),
            caller,
        });
        Self {
            ui_loop,
            binding,
            scene,
        }
    }
}

impl Stage for Window {
    fn frame(&mut self) {
        let frame = self.binding.begin_frame(Instant::now());
        assert!(frame.is_some(), "the isolate has ended");
    }

    fn flush(&mut self) {
        self.ui_loop.flush_tasks(Flush::All);
    }

    fn tiles(&mut self) -> u64 {
        let came = self
            .binding
            .enter(|_| self.scene.with(|scene| scene.came()));
        came.expect("the isolate is there")
    }
}

struct Frames {
    scene: IsolateCell<Scene>,
    caller: TilesCaller,
}

impl FrameHandler for Frames {
    fn begin_frame(&mut self, _frame: &Frame) {
        refill(&self.scene, &self.caller);
    }

    fn draw_frame(&mut self, _frame: &Frame) {
        self.scene.with(Scene::draw);
    }
}

/// Requests tiles, and again when one has arrived.
fn refill(scene: &IsolateCell<Scene>, caller: &TilesCaller) {
    while let Some(number) = scene.with(Scene::order) {
        let (scene, caller) = (scene.clone(), caller.clone());
        spawn_local(async move {
            let tile = caller.tile(number).await.expect("a worker answers");
            scene.with(|scene| scene.insert(tile));
            refill(&scene, &caller);
        });
    }
}
