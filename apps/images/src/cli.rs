//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use command::{EXIT_STATUS, InspectOptions, InspectRunOptions, NodeOptions, WorkerOptions};
use images::{ColorCorrection, ImageFormat, Operation, ParseSizeError, Recipe, ResizeMode, Size};

/// What the program is to do.
pub(crate) enum Program {
    Run(Box<Options>),
    Serve(Box<Node>),
}

impl Program {
    /// Reads the command line, and ends the program if it makes no sense.
    pub(crate) fn parse() -> Self {
        // By hand, since the inputs of a run need no command in front of them.
        let mut arguments = std::env::args_os();
        let name = arguments.next();
        let rest: Vec<_> = arguments.collect();
        match rest.split_first() {
            Some((first, _)) if first == "worker" => Self::Serve(Box::new(Node::parse_from(rest))),
            _ => Self::Run(Box::new(Options::parse_from(name.into_iter().chain(rest)))),
        }
    }
}

/// Serves pictures to runs on other machines, which ask for `--kind nats`, until it is told to stop.
#[derive(Debug, Parser)]
#[command(name = "images worker", bin_name = "images worker", after_help = EXIT_STATUS)]
pub(crate) struct Node {
    #[command(flatten)]
    pub(crate) node: NodeOptions,

    // Without `--stay`: it stays until it is told to stop anyway.
    #[command(flatten)]
    pub(crate) inspect: InspectOptions,
}

/// Turns photos into finished pictures: resized, sharpened, color corrected, encoded anew.
///
/// `images worker` serves runs on other machines.
#[derive(Debug, Parser)]
#[command(name = "images", version, after_help = EXIT_STATUS)]
pub(crate) struct Options {
    /// Picture files, and folders to search for .jpg, .jpeg, .png and .webp files
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// The folder that receives the pictures; made if missing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// The wanted size in pixels, or "none"
    #[arg(long, value_name = "WxH", default_value = "800x600")]
    resize: ResizeTo,

    /// Treatment of pictures of another shape: stretch, keep inside, or cover and cut
    #[arg(long, value_enum, default_value_t = Mode::Fit)]
    mode: Mode,

    /// Strength of the sharpening; 0 is none, 1 is strong
    #[arg(long, value_name = "AMOUNT", default_value_t = 0.3, value_parser = amount)]
    sharpen: f32,

    /// Factor for brightness
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = amount)]
    brightness: f32,

    /// Factor for contrast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = amount)]
    contrast: f32,

    /// Factor for saturation; 0 makes gray
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = amount)]
    saturation: f32,

    /// The format of the pictures; without it each keeps its own
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// JPEG quality; PNG and WebP are lossless
    #[arg(long, default_value_t = 85, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,

    #[command(flatten)]
    pub(crate) inspect: InspectRunOptions,

    /// Pictures per progress update
    #[arg(long, value_name = "PICTURES", default_value_t = 10, value_parser = batch)]
    pub(crate) batch: usize,

    /// No progress bar and no table
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Options {
    /// Returns the steps that the options ask for, in the order resize, correct, sharpen:
    /// correction costs less on the smaller picture, and sharpening comes last.
    pub(crate) fn recipe(&self) -> Recipe {
        let mut operations = Vec::new();
        if let ResizeTo::Size(size) = self.resize {
            operations.push(Operation::Resize {
                size,
                mode: self.mode.into(),
            });
        }
        let correction = ColorCorrection {
            brightness: self.brightness,
            contrast: self.contrast,
            saturation: self.saturation,
        };
        if !correction.is_neutral() {
            operations.push(Operation::ColorCorrection(correction));
        }
        if self.sharpen > 0.0 {
            operations.push(Operation::Sharpen {
                amount: self.sharpen,
            });
        }
        Recipe {
            operations,
            quality: self.quality,
        }
    }

    pub(crate) fn format(&self) -> Option<ImageFormat> {
        self.format.map(ImageFormat::from)
    }
}

#[derive(Clone, Copy, Debug)]
enum ResizeTo {
    None,
    Size(Size),
}

impl FromStr for ResizeTo {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        if text == "none" {
            Ok(Self::None)
        } else {
            text.parse().map(Self::Size)
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Exact,
    Fit,
    Fill,
}

impl From<Mode> for ResizeMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Exact => Self::Exact,
            Mode::Fit => Self::Fit,
            Mode::Fill => Self::Fill,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Jpeg,
    Png,
    Webp,
}

impl From<Format> for ImageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Jpeg => Self::Jpeg,
            Format::Png => Self::Png,
            Format::Webp => Self::WebP,
        }
    }
}

fn amount(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        // No range contains NaN, so this refuses it too.
        Ok(amount) if (0.0..=100.0).contains(&amount) => Ok(amount),
        _ => Err("expected a number from 0 to 100".to_owned()),
    }
}

fn batch(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(length) if length > 0 => Ok(length),
        _ => Err("expected a number of at least 1".to_owned()),
    }
}
