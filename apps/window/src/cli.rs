//! The command line.

use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use command::InspectOptions;

use window::{DEEPEST, Demo, End, Fixed, View};

/// The Mandelbrot set in a window, computed by a pool of isolates while it stays smooth.
///
/// Drag to move, turn the wheel to zoom around the mouse. Keys: + and - zoom around the middle,
/// the arrows move, R shows the whole set, D flies to the place of --re, --im and --zoom, Q or
/// Escape quits.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Options {
    /// Size of the window in pixels.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "960x600", value_parser = parse_size)]
    pub(crate) size: (u32, u32),
    /// Workers that compute tiles; as many as there are cores unless given.
    #[arg(long, value_parser = parse_workers)]
    pub(crate) workers: Option<usize>,
    /// Frames per second; what the display says unless given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rate: Option<u32>,
    /// Flies to the place and back by itself, for so long, and quits.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) demo: Option<Duration>,
    /// The view at which the demo ends.
    #[arg(long, value_enum, default_value_t = End::Home)]
    pub(crate) demo_end: End,
    /// Writes the last picture of the demo to this file when all of its tiles are there.
    #[arg(long, value_name = "FILE.png", requires = "demo")]
    pub(crate) screenshot: Option<PathBuf>,
    /// The time for which the window stays open after the demo.
    #[arg(long, value_name = "SECONDS", requires = "demo", value_parser = parse_seconds)]
    pub(crate) linger: Option<Duration>,
    /// The form in which the times of frames are summed up on exit.
    #[arg(long, value_enum, default_value_t = Summary::Text)]
    pub(crate) summary: Summary,
    /// Real part of the place; as many digits as you like.
    #[arg(
        long,
        allow_negative_numbers = true,
        default_value = "-0.743643887037158704752191506114774"
    )]
    pub(crate) re: Fixed,
    /// Imaginary part of the place.
    #[arg(
        long,
        allow_negative_numbers = true,
        default_value = "0.131825904205311970493132056385139"
    )]
    pub(crate) im: Fixed,
    /// Depth of the place: its pixels are 2^-zoom apart. At most 104.
    #[arg(long, default_value_t = 50.0, value_parser = parse_zoom)]
    pub(crate) zoom: f64,

    #[command(flatten)]
    pub(crate) inspect: InspectOptions,
}

/// A form of the summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Summary {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
    /// Nothing.
    None,
}

impl Options {
    pub(crate) fn workers(&self) -> usize {
        let cores = || available_parallelism().map_or(1, usize::from);
        self.workers.unwrap_or_else(cores)
    }

    /// The place to fly to.
    pub(crate) fn place(&self) -> View {
        View {
            center: (self.re, self.im),
            zoom: self.zoom,
        }
    }

    pub(crate) fn demo(&self) -> Option<Demo> {
        self.demo.map(|length| Demo {
            length,
            place: self.place(),
            end: self.demo_end,
        })
    }
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (64..=8192).contains(side));
    let sides = text
        .split_once('x')
        .and_then(|(w, h)| Some((side(w)?, side(h)?)));
    sides.ok_or_else(|| "give two numbers from 64 to 8192, such as 960x600".to_owned())
}

fn parse_workers(text: &str) -> Result<usize, String> {
    let workers = text
        .parse()
        .ok()
        .filter(|workers| (1..=1024).contains(workers));
    workers.ok_or_else(|| "give a number from 1 to 1024".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|it| (0.1..=86400.0).contains(it));
    let seconds = seconds.ok_or_else(|| "give seconds, at least 0.1".to_owned())?;
    Ok(Duration::from_secs_f64(seconds))
}

fn parse_zoom(text: &str) -> Result<f64, String> {
    let zoom = text.parse().ok().filter(|it| (5.0..=DEEPEST).contains(it));
    zoom.ok_or_else(|| format!("give a number from 5 to {DEEPEST}"))
}
