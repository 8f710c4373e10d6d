//! The logic of the user interface. It lives in the root isolate, on the window's thread. Input,
//! finished tiles and frames reach it one after the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use insula::{Instant, IsolateCell, spawn_local};

use crate::atlas::{Atlas, level_of};
use crate::canvas::Canvas;
use crate::fixed::Fixed;
use crate::fractal::{Reference, steps_at};
use crate::load::Gauge;
use crate::meter::Meter;
use crate::service::FractalCaller;
use crate::strip::{self, Facts};
use crate::tile::{Tile, TileKey, TileRequest};
use crate::view::View;

/// The speed at which the picture follows the wheel: after a second a share of e^-14 of the way is
/// left.
const HASTE: f64 = 14.0;

/// The content of the window, and the work in progress for it.
#[derive(Debug)]
pub struct Ui {
    /// The size of the whole window, in pixels.
    size: (u32, u32),
    /// The current view.
    view: View,
    /// The view to which the picture glides.
    target: View,
    atlas: Atlas,
    caller: FractalCaller,
    /// The most calls in progress: one for each worker, and one more for its queue.
    most: usize,
    calls: HashMap<TileKey, Asked>,
    reference: Option<Arc<Reference>>,
    /// `true` if the screen does not show the current state yet.
    is_stale: bool,
    is_complete: bool,
    missing: usize,
    counts: Counts,
    rate: Rate,
    gauge: Gauge,
}

/// Counters of the requested tiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Calls made.
    pub asked: u64,
    /// Tiles received.
    pub done: u64,
    /// Calls dropped because their tiles were no longer visible.
    pub dropped: u64,
}

/// A call in progress.
#[derive(Debug)]
struct Asked {
    /// Its number, since a tile may be requested, dropped and requested again.
    serial: u64,
    abort: AbortHandle,
}

/// Counts the tiles of the last second.
#[derive(Debug, Default)]
struct Rate {
    since: Option<Instant>,
    done: u64,
    per_second: f64,
}

/// A call to be made.
struct Order {
    request: TileRequest,
    serial: u64,
    registration: AbortRegistration,
    caller: FractalCaller,
}

impl Ui {
    /// Creates the state for a window of `size` pixels. Tiles come from `caller`, whose pool has
    /// `workers`. The strip shows the load of `gauge`.
    pub fn new(size: (u32, u32), caller: FractalCaller, workers: usize, gauge: Gauge) -> Self {
        let view = View::home(picture(size));
        Self {
            size,
            view,
            target: view,
            atlas: Atlas::default(),
            caller,
            most: 2 * workers,
            calls: HashMap::new(),
            reference: None,
            is_stale: true,
            is_complete: false,
            missing: 0,
            counts: Counts::default(),
            rate: Rate::default(),
            gauge,
        }
    }

    /// Requests a redraw, because the window has lost its content.
    pub fn redraw(&mut self) {
        self.is_stale = true;
    }

    /// Returns the current view.
    pub fn view(&self) -> View {
        self.view
    }

    /// Handles a new size of the window.
    pub fn resize(&mut self, size: (u32, u32)) {
        self.size = size;
        self.is_stale = true;
    }

    /// Drags the picture, which follows at once.
    pub fn drag(&mut self, by: (f64, f64)) {
        self.view.pan(by);
        self.target.pan(by);
        self.is_stale = true;
    }

    /// Glides a number of pixels to the side.
    pub fn pan(&mut self, by: (f64, f64)) {
        self.target.pan(by);
        self.is_stale = true;
    }

    /// Glides 2^`by` times closer to the point at a pixel of the window, or to the middle if `at`
    /// is `None`.
    pub fn zoom(&mut self, at: Option<(f64, f64)>, by: f64) {
        let (width, height) = picture(self.size);
        let middle = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        let at = at.map_or((0.0, 0.0), |at| (at.0 - middle.0, at.1 - middle.1));
        self.target.zoom_at(at, by);
        self.is_stale = true;
    }

    /// Returns the view of the whole set.
    pub fn home(&self) -> View {
        View::home(picture(self.size))
    }

    /// Glides to a view.
    pub fn glide(&mut self, target: View) {
        self.target = target;
        self.is_stale = true;
    }

    /// Shows a view at once.
    pub fn show(&mut self, view: View) {
        self.is_stale |= view != self.view;
        (self.view, self.target) = (view, view);
    }

    /// Returns whether the next frame will differ from the last one.
    pub fn needs_frame(&self) -> bool {
        self.is_stale || self.view != self.target
    }

    /// Returns whether every tile of the current view exists.
    pub fn is_complete(&self) -> bool {
        self.is_complete && self.view == self.target
    }

    /// Returns the counters of the tiles.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Continues the way to the target by `time`.
    pub fn advance(&mut self, time: Duration) {
        if self.view == self.target {
            return;
        }
        self.is_stale = true;
        let part = 1.0 - (-HASTE * time.as_secs_f64()).exp();
        self.view = self.view.towards(&self.target, part);
        // The way that is left shrinks by a share each time, so it would never end, nor would the
        // frames.
        if self.view.is_close_to(&self.target) {
            self.view = self.target;
        }
    }

    /// Draws the window.
    pub fn paint(&mut self, pixels: &mut [u32], meter: &Meter, period: Duration) {
        let width = self.size.0 as usize;
        let (_, height) = picture(self.size);
        // Without the strip, behind which tiles would be drawn for nothing.
        let above = width * height as usize;
        self.atlas
            .draw(&self.view, &mut Canvas::new(&mut pixels[..above], width));
        let now = Instant::now();
        let is_last = self.is_complete();
        let facts = Facts {
            depth: self.view.zoom - self.home().zoom,
            tiles_per_second: self.rate.at(now, self.counts.done),
            missing: self.missing,
            load: self.gauge.at(now, is_last),
        };
        strip::draw(&mut Canvas::new(pixels, width), meter, &facts, period);
        self.is_stale = false;
    }

    /// Drops the calls for tiles that are no longer visible, and requests the most urgent missing
    /// ones.
    ///
    /// # Panics
    /// Outside of the isolate of `ui`.
    pub fn refill(ui: &IsolateCell<Self>) {
        for order in ui.with(Self::orders) {
            let ui = ui.clone();
            spawn_local(async move {
                let Order {
                    request,
                    serial,
                    registration,
                    caller,
                } = order;
                let key = request.key;
                let call = async { caller.tile(request).await };
                // Aborting a call drops it, which cancels it.
                // If it was aborted there is nothing to refill: `orders`, which did that, makes the
                // next calls.
                let Ok(answer) = Abortable::new(call, registration).await else {
                    return;
                };
                ui.with(|ui| ui.answered(key, serial, answer.ok()));
                Self::refill(&ui);
            });
        }
    }

    /// Returns the calls to make now.
    fn orders(&mut self) -> Vec<Order> {
        // Of the target and not of the view, which only passes by the places in between.
        let missing = self.atlas.missing(&self.target, picture(self.size));
        self.missing = missing.len();
        self.is_complete = missing.is_empty();
        let wanted: HashSet<_> = missing.iter().copied().collect();
        let dropped = self.calls.extract_if(|key, _| !wanted.contains(key));
        for (_, asked) in dropped {
            asked.abort.abort();
            self.counts.dropped += 1;
        }
        let mut orders = Vec::new();
        for key in missing {
            if self.calls.len() >= self.most {
                break;
            }
            if !self.calls.contains_key(&key) {
                orders.push(self.order(key));
            }
        }
        orders
    }

    fn order(&mut self, key: TileKey) -> Order {
        let serial = self.counts.asked;
        // Never counted down, so that no two calls have the same number.
        self.counts.asked += 1;
        let (abort, registration) = AbortHandle::new_pair();
        self.calls.insert(key, Asked { serial, abort });
        Order {
            request: TileRequest {
                key,
                reference: self.reference(),
            },
            serial,
            registration,
            caller: self.caller.clone(),
        }
    }

    /// Handles the end of a call, with a tile unless it failed.
    fn answered(&mut self, key: TileKey, serial: u64, tile: Option<Tile>) {
        // The tile may have been dropped and requested again, and the second call must stay listed.
        if self.calls.get(&key).is_some_and(|it| it.serial == serial) {
            self.calls.remove(&key);
        }
        if let Some(tile) = tile {
            self.atlas.insert(key, tile);
            self.counts.done += 1;
            self.is_stale = true;
        }
    }

    /// Returns a reference near the target and deep enough for it; the last one while that fits.
    fn reference(&mut self) -> Arc<Reference> {
        let level = level_of(&self.target);
        if let Some(reference) = &self.reference {
            let (re, im) = reference.center();
            let away = |a: Fixed, b: Fixed| (a - b).to_f64().abs() / self.target.pixel();
            let (x, y) = (
                away(re, self.target.center.0),
                away(im, self.target.center.1),
            );
            // A million pixels away, the difference still has some 30 binary digits below one
            // pixel.
            if x.max(y) < 1e6 && reference.steps() >= steps_at(level) {
                return reference.clone();
            }
        }
        // With room for ten levels, so that zooming in does not compute a new orbit at each of
        // them.
        let steps = steps_at(level + 10);
        let reference = Arc::new(Reference::new(self.target.center, steps));
        self.reference.insert(reference).clone()
    }
}

impl Rate {
    /// Returns the tiles per second, updated once a second.
    fn at(&mut self, now: Instant, done: u64) -> f64 {
        let since = *self.since.get_or_insert(now);
        let elapsed = (now - since).as_secs_f64();
        if elapsed >= 1.0 {
            self.per_second = (done - self.done) as f64 / elapsed;
            (self.since, self.done) = (Some(now), done);
        }
        self.per_second
    }
}

/// Returns the size of the part of the window above the strip.
fn picture((width, height): (u32, u32)) -> (u32, u32) {
    (width, height.saturating_sub(strip::HEIGHT as u32).max(1))
}
