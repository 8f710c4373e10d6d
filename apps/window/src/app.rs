//! The window: passes winit's events to the isolate.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use insula::embed::{Flush, MessageLoop, UiBinding};
use insula::{Instant, IsolateCell};
use window::{Demo, End, FrameTimes, Pace, Ui, View};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalSize;
use winit::event::{ElementState, MouseButton, MouseScrollDelta, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow};
use winit::keyboard::{Key, NamedKey};
use winit::window::{Window, WindowId};

use crate::cli::{Options, Summary};
use crate::screen::{Flight, Screen, Shared, Tiles};

/// Levels per notch of the wheel.
const NOTCH: f64 = 0.5;
/// Pixels per press of an arrow key.
const ARROW: f64 = 120.0;
/// The duration of a flight that a key starts.
const FLIGHT: Duration = Duration::from_secs(20);
/// The longest wait for the last tiles of a demo.
const PATIENCE: Duration = Duration::from_secs(120);

/// Wakes our loop, which has something to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake;

/// The program around the window.
pub(crate) struct App {
    ui_loop: MessageLoop,
    binding: UiBinding,
    ui: IsolateCell<Ui>,
    pace: Pace,
    rate: Option<u32>,
    size: (u32, u32),
    place: View,
    demo: Option<Demo>,
    screenshot: Option<PathBuf>,
    linger: Duration,
    summary: Summary,
    start: Instant,
    /// `None` until the window system allows a window.
    window: Option<Opened>,
    cursor: (f64, f64),
    is_dragging: bool,
    /// The times at which the demo was over and its picture was saved.
    landed: Option<Instant>,
    saved: Option<Instant>,
    failure: Option<String>,
}

struct Opened {
    window: Rc<Window>,
    screen: Rc<RefCell<Screen>>,
}

impl App {
    pub(crate) fn new(
        options: &Options,
        ui_loop: MessageLoop,
        binding: UiBinding,
        ui: IsolateCell<Ui>,
    ) -> Self {
        Self {
            ui_loop,
            binding,
            ui,
            // Until a window is open, whose display may have another rate.
            pace: Pace::new(period(60_000)),
            rate: options.rate,
            size: options.size,
            place: options.place(),
            demo: options.demo(),
            screenshot: options.screenshot.clone(),
            linger: options.linger.unwrap_or_default(),
            summary: options.summary,
            start: Instant::now(),
            window: None,
            cursor: (0.0, 0.0),
            is_dragging: false,
            landed: None,
            saved: None,
            failure: None,
        }
    }

    /// Prints the summary at the end.
    pub(crate) fn finish(self, out: &mut dyn Write) -> Result<(), String> {
        let seconds = (Instant::now() - self.start).as_secs_f64();
        if let Some(opened) = &self.window {
            let screen = opened.screen.borrow();
            let counts = self.binding.enter(|_| self.ui.with(|ui| ui.counts()));
            let counts = counts.unwrap_or_default();
            let tiles = Tiles {
                done: counts.done,
                dropped: counts.dropped,
                per_second: counts.done as f64 / seconds,
            };
            // If the reader of the output is gone, the summary is not needed.
            let _ = match self.summary {
                Summary::Text => screen.write_text(out, &tiles),
                Summary::Json => screen.write_json(out, &tiles),
                Summary::None => Ok(()),
            };
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// Opens the window.
    fn open(&mut self, window_system: &ActiveEventLoop) -> Result<Opened, String> {
        let (width, height) = self.size;
        let attributes = Window::default_attributes()
            .with_title("Insula: Mandelbrot")
            .with_inner_size(PhysicalSize::new(width, height));
        let window = window_system.create_window(attributes);
        let window = Rc::new(window.map_err(|error| error.to_string())?);
        let display = window.current_monitor();
        let told = display.and_then(|display| display.refresh_rate_millihertz());
        let rate = self.rate.map(|rate| rate * 1000).or(told).unwrap_or(60_000);
        self.pace = Pace::new(period(rate));
        let mut screen = Screen::new(&window, self.ui.clone(), self.pace.period())?;
        let size = window.inner_size();
        self.binding.enter(|_| {
            screen.resize((size.width, size.height));
            let home = self.ui.with(|ui| ui.home());
            self.ui.with(|ui| ui.show(home));
            screen.flight = self.demo.clone().map(|demo| Flight::new(demo, home));
        });
        let screen = Rc::new(RefCell::new(screen));
        self.binding.set_frame_handler(Shared(screen.clone()));
        Ok(Opened { window, screen })
    }

    /// Runs `f` in the isolate for user input, which ends a flight.
    fn input(&mut self, f: impl FnOnce(&mut Ui)) {
        let Some(opened) = &self.window else { return };
        // A demo keeps its flight, whatever the mouse does meanwhile: the flight's end ends the
        // program.
        if self.demo.is_none() {
            opened.screen.borrow_mut().flight = None;
        }
        self.binding.enter(|_| self.ui.with(f));
    }

    fn key(&mut self, key: Key<&str>, window_system: &ActiveEventLoop) {
        match key {
            Key::Named(NamedKey::Escape) | Key::Character("q" | "Q") => window_system.exit(),
            Key::Named(NamedKey::ArrowLeft) => self.input(|ui| ui.pan((ARROW, 0.0))),
            Key::Named(NamedKey::ArrowRight) => self.input(|ui| ui.pan((-ARROW, 0.0))),
            Key::Named(NamedKey::ArrowUp) => self.input(|ui| ui.pan((0.0, ARROW))),
            Key::Named(NamedKey::ArrowDown) => self.input(|ui| ui.pan((0.0, -ARROW))),
            Key::Character("+" | "=") => self.input(|ui| ui.zoom(None, NOTCH)),
            Key::Character("-" | "_") => self.input(|ui| ui.zoom(None, -NOTCH)),
            Key::Character("r" | "R") => self.input(|ui| ui.glide(ui.home())),
            Key::Character("d" | "D") => self.fly(),
            _ => {}
        }
    }

    /// Flies to the place from the current view.
    fn fly(&mut self) {
        let Some(opened) = &self.window else { return };
        let demo = Demo {
            length: FLIGHT,
            place: self.place,
            end: End::Place,
        };
        let from = self.binding.enter(|_| self.ui.with(|ui| ui.view()));
        if let (Some(from), None) = (from, &self.demo) {
            opened.screen.borrow_mut().flight = Some(Flight::new(demo, from));
        }
    }

    fn moved(&mut self, to: (f64, f64)) {
        let by = (to.0 - self.cursor.0, to.1 - self.cursor.1);
        self.cursor = to;
        if self.is_dragging {
            self.input(|ui| ui.drag(by));
        }
    }

    fn turned(&mut self, delta: MouseScrollDelta) {
        let notches = match delta {
            MouseScrollDelta::LineDelta(_, lines) => f64::from(lines),
            MouseScrollDelta::PixelDelta(pixels) => pixels.y / 60.0,
        };
        let at = self.cursor;
        self.input(|ui| ui.zoom(Some(at), notches * NOTCH));
    }

    /// Runs a frame if one is due.
    fn frame(&mut self) {
        let Some(opened) = &self.window else { return };
        let now = Instant::now();
        let Some(due) = self.pace.due().filter(|due| *due <= now) else {
            return;
        };
        let late = self.pace.begin(now);
        // With the time at which the frame was due, so that animations move evenly also if frames
        // begin late.
        self.binding.begin_frame(due);
        let work = Instant::now() - now;
        Shared(opened.screen.clone()).count(FrameTimes { late, work });
    }

    /// Starts the frames if there is something to animate, and stops them otherwise.
    fn keep_pace(&mut self) {
        let Some(opened) = &self.window else { return };
        let screen = &opened.screen;
        let needs = self.binding.enter(|_| screen.borrow().needs_frame());
        if needs == Some(true) {
            self.pace.start(Instant::now());
        } else if self.pace.due().is_some() {
            // No frame until something moves again: a window at rest should let the processor
            // sleep.
            self.pace.stop();
            self.binding
                .notify_idle(Instant::now() + Duration::from_millis(100));
        }
    }

    /// Checks whether a demo has ended.
    fn end_demo(&mut self, window_system: &ActiveEventLoop) -> Result<(), String> {
        let Some(opened) = self.window.as_ref().filter(|_| self.demo.is_some()) else {
            return Ok(());
        };
        let now = Instant::now();
        if let Some(saved) = self.saved {
            if now - saved >= self.linger {
                window_system.exit();
            }
            return Ok(());
        }
        let screen = opened.screen.borrow();
        if screen.flight.as_ref().is_none_or(|flight| !flight.is_over) {
            return Ok(());
        }
        let landed = *self.landed.get_or_insert(now);
        let has_arrived = self.binding.enter(|_| screen.has_arrived());
        if has_arrived == Some(true) {
            if let Some(path) = &self.screenshot {
                let saved = self.binding.enter(|_| screen.save(path));
                saved.ok_or("the isolate of the window has ended")??;
            }
            self.saved = Some(now);
        } else if now - landed > PATIENCE {
            return Err("the last tiles of the demo do not come".to_owned());
        }
        Ok(())
    }

    /// Returns the latest time of the next wake-up.
    fn next_look(&self, next_due: Option<Instant>) -> Option<Instant> {
        let end = self.saved.map(|saved| saved + self.linger);
        [next_due, self.pace.due(), end].into_iter().flatten().min()
    }

    /// Records an error and ends the program.
    fn fail(&mut self, error: String, window_system: &ActiveEventLoop) {
        // The first one: what fails after it mostly fails because of it.
        self.failure.get_or_insert(error);
        window_system.exit();
    }
}

impl ApplicationHandler<Wake> for App {
    fn resumed(&mut self, window_system: &ActiveEventLoop) {
        // On some systems a program is suspended and resumed, and keeps its window.
        if self.window.is_some() {
            return;
        }
        match self.open(window_system) {
            Ok(opened) => self.window = Some(opened),
            Err(error) => self.fail(format!("cannot open a window: {error}"), window_system),
        }
    }

    fn window_event(&mut self, window_system: &ActiveEventLoop, _id: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => window_system.exit(),
            WindowEvent::Resized(size) => {
                if let Some(opened) = &self.window {
                    let mut screen = opened.screen.borrow_mut();
                    self.binding
                        .enter(|_| screen.resize((size.width, size.height)));
                }
            }
            WindowEvent::RedrawRequested => {
                self.binding.enter(|_| self.ui.with(Ui::redraw));
            }
            WindowEvent::CursorMoved { position, .. } => self.moved((position.x, position.y)),
            WindowEvent::MouseWheel { delta, .. } => self.turned(delta),
            WindowEvent::MouseInput {
                state,
                button: MouseButton::Left,
                ..
            } => self.is_dragging = state == ElementState::Pressed,
            WindowEvent::KeyboardInput { event, .. } if event.state == ElementState::Pressed => {
                self.key(event.logical_key.as_ref(), window_system);
            }
            _ => {}
        }
    }

    /// Runs frames and tasks, now that all events have been handled.
    fn about_to_wait(&mut self, window_system: &ActiveEventLoop) {
        // Before the tasks: a frame is due at a time, and a few more microseconds delay no task
        // noticeably.
        self.frame();
        let flushed = self.ui_loop.flush_tasks(Flush::All);
        self.keep_pace();
        if let Err(error) = self.end_demo(window_system) {
            self.fail(error, window_system);
        }
        let failure = self
            .window
            .as_ref()
            .and_then(|opened| opened.screen.borrow_mut().failure.take());
        if let Some(error) = failure {
            self.fail(error, window_system);
        }
        window_system.set_control_flow(match self.next_look(flushed.next_due) {
            Some(due) => {
                let left = due - Instant::now();
                // winit uses the clock of `std`, to which an `insula::Instant` cannot be converted.
                // The difference can.
                ControlFlow::WaitUntil(std::time::Instant::now() + left)
            }
            None => ControlFlow::Wait,
        });
    }

    /// Hides the window at once. It is dropped later, with the rest of the program's state.
    fn exiting(&mut self, _window_system: &ActiveEventLoop) {
        if let Some(opened) = &self.window {
            opened.window.set_visible(false);
        }
    }
}

/// Returns the time between two frames, for a rate in thousandths of a hertz.
fn period(millihertz: u32) -> Duration {
    // A rate of 0 would make a period that no `Duration` can hold.
    Duration::from_secs_f64(1000.0 / f64::from(millihertz.max(1000)))
}
