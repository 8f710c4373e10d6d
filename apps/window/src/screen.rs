//! Frames on the screen: one half animates, the other half draws.

use std::cell::RefCell;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use insula::embed::{Frame, FrameHandler};
use insula::{Instant, IsolateCell};
use softbuffer::{Context, Surface};
use window::{Demo, FrameTimes, Meter, Ui, View, write_png};
use winit::window::Window;

/// The state for the frames of a window, which the rest of the program may read between them.
pub(crate) struct Screen {
    pub(crate) ui: IsolateCell<Ui>,
    pub(crate) meter: Meter,
    pub(crate) period: Duration,
    /// The current flight.
    pub(crate) flight: Option<Flight>,
    pub(crate) size: (u32, u32),
    surface: Surface<Rc<Window>, Rc<Window>>,
    last_time: Option<Instant>,
    /// The first error of the window system. Nothing is drawn after it.
    pub(crate) failure: Option<String>,
}

/// A demo in progress.
pub(crate) struct Flight {
    pub(crate) demo: Demo,
    /// The view at its start.
    pub(crate) from: View,
    /// The time of its first frame.
    pub(crate) start: Option<Instant>,
    pub(crate) is_over: bool,
}

impl Flight {
    pub(crate) fn new(demo: Demo, from: View) -> Self {
        Self {
            demo,
            from,
            start: None,
            is_over: false,
        }
    }

    fn view(&mut self, time: Instant) -> View {
        let start = *self.start.get_or_insert(time);
        self.is_over = self.demo.is_over(time - start);
        self.demo.view(&self.from, time - start)
    }
}

impl Screen {
    pub(crate) fn new(
        window: &Rc<Window>,
        ui: IsolateCell<Ui>,
        period: Duration,
    ) -> Result<Self, String> {
        let context = Context::new(window.clone()).map_err(|error| error.to_string())?;
        let surface = Surface::new(&context, window.clone()).map_err(|error| error.to_string())?;
        Ok(Self {
            ui,
            meter: Meter::default(),
            period,
            flight: None,
            size: (0, 0),
            surface,
            last_time: None,
            failure: None,
        })
    }

    /// Handles a new size of the window.
    ///
    /// # Panics
    /// Outside of the isolate.
    pub(crate) fn resize(&mut self, (width, height): (u32, u32)) {
        let sides = NonZeroU32::new(width).zip(NonZeroU32::new(height));
        // A window of zero width or height cannot be drawn to.
        self.size = (0, 0);
        if let Some((columns, rows)) = sides {
            match self.surface.resize(columns, rows) {
                Ok(()) => self.size = (width, height),
                Err(error) => self.fail(error.to_string()),
            }
            self.ui.with(|ui| ui.resize((width, height)));
        }
    }

    /// Returns whether the next frame will differ.
    ///
    /// # Panics
    /// Outside of the isolate.
    pub(crate) fn needs_frame(&self) -> bool {
        let is_flying = self.flight.as_ref().is_some_and(|flight| !flight.is_over);
        is_flying || self.ui.with(|ui| ui.needs_frame())
    }

    /// Returns whether a flight has ended and the last picture is complete.
    ///
    /// # Panics
    /// Outside of the isolate.
    pub(crate) fn has_arrived(&self) -> bool {
        let has_landed = self.flight.as_ref().is_some_and(|flight| flight.is_over);
        has_landed && self.ui.with(|ui| ui.is_complete() && !ui.needs_frame())
    }

    /// Writes the picture on the screen to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    ///
    /// # Panics
    /// Outside of the isolate.
    pub(crate) fn save(&self, path: &Path) -> Result<(), String> {
        // Painted again: after it was presented, the content of a window's buffer is not defined.
        let mut pixels = vec![0; self.size.0 as usize * self.size.1 as usize];
        self.ui
            .with(|ui| ui.paint(&mut pixels, &self.meter, self.period));
        write_png(path, self.size, &pixels)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    fn begin(&mut self, frame: &Frame) {
        // The first frame has no time before it, and moves by one period.
        let elapsed = self.last_time.map_or(self.period, |last| frame.time - last);
        self.last_time = Some(frame.time);
        let view = self.flight.as_mut().filter(|flight| !flight.is_over);
        let view = view.map(|flight| flight.view(frame.time));
        self.ui.with(|ui| {
            if let Some(view) = view {
                ui.show(view);
            }
            // After a pause an animation begins slowly instead of jumping.
            ui.advance(elapsed.min(4 * self.period));
        });
        // Outside of `with`, since it opens the cell itself.
        Ui::refill(&self.ui);
    }

    fn draw(&mut self) {
        if self.size == (0, 0) || self.failure.is_some() {
            return;
        }
        let presented = self.surface.buffer_mut().and_then(|mut buffer| {
            self.ui
                .with(|ui| ui.paint(&mut buffer, &self.meter, self.period));
            buffer.present()
        });
        if let Err(error) = presented {
            self.fail(error.to_string());
        }
    }

    fn fail(&mut self, error: String) {
        self.failure.get_or_insert(error);
    }

    /// Writes a summary of all frames.
    ///
    /// # Errors
    /// Returns the error of the output.
    pub(crate) fn write_text(&self, out: &mut dyn Write, tiles: &Tiles) -> std::io::Result<()> {
        let Self { meter, period, .. } = self;
        writeln!(
            out,
            "{} frames, {:.1} ms apart",
            meter.count(),
            period.as_secs_f64() * 1e3
        )?;
        writeln!(out, "  begin late by  {}", meter.late())?;
        writeln!(out, "  take           {}", meter.work())?;
        writeln!(out, "  are done after {}", meter.done())?;
        writeln!(
            out,
            "{} tiles, {:.1} a second; {} calls dropped as stale",
            tiles.done, tiles.per_second, tiles.dropped
        )
    }

    /// The same as [`write_text`](Self::write_text), as JSON for a program.
    ///
    /// # Errors
    /// Returns the error of the output.
    pub(crate) fn write_json(&self, out: &mut dyn Write, tiles: &Tiles) -> std::io::Result<()> {
        let Self { meter, period, .. } = self;
        writeln!(
            out,
            r#"{{"frames":{},"period_ms":{},"late_ms":{},"work_ms":{},"done_ms":{},"tiles":{},"tiles_per_second":{:.1},"dropped":{}}}"#,
            meter.count(),
            period.as_secs_f64() * 1e3,
            meter.late().to_json(),
            meter.work().to_json(),
            meter.done().to_json(),
            tiles.done,
            tiles.per_second,
            tiles.dropped
        )
    }
}

/// The tiles of the whole run.
pub(crate) struct Tiles {
    pub(crate) done: u64,
    pub(crate) dropped: u64,
    pub(crate) per_second: f64,
}

/// The screen, shared by its frames and the rest of the program on one thread.
pub(crate) struct Shared(pub(crate) Rc<RefCell<Screen>>);

impl FrameHandler for Shared {
    fn begin_frame(&mut self, frame: &Frame) {
        self.0.borrow_mut().begin(frame);
    }

    fn draw_frame(&mut self, _frame: &Frame) {
        self.0.borrow_mut().draw();
    }
}

impl Shared {
    /// Counts a drawn frame.
    pub(crate) fn count(&self, times: FrameTimes) {
        self.0.borrow_mut().meter.add(times);
    }
}
