//! The parts of `window` that do not depend on a window system: numbers, the fractal, views, tiles,
//! drawing, and the logic of the user interface. `main.rs` adds the window.
#![forbid(unsafe_code)]

mod atlas;
mod canvas;
mod demo;
mod fixed;
mod fractal;
mod load;
mod meter;
mod palette;
mod priority;
mod screenshot;
mod service;
mod strip;
mod tile;
mod ui;
mod view;

pub use atlas::Atlas;
pub use canvas::{Area, Canvas};
pub use demo::{Demo, End};
pub use fixed::{Fixed, NoNumber};
pub use fractal::Reference;
pub use load::{Gauge, Load};
pub use meter::{FrameTimes, Meter, Pace, Quantiles};
pub use priority::step_back;
pub use screenshot::write_png;
pub use service::{Computer, Fractal, FractalCaller, FractalResponder, TilePool, start_pool};
pub use tile::{Tile, TileKey, TileRequest};
pub use ui::{Counts, Ui};
pub use view::{DEEPEST, View};
