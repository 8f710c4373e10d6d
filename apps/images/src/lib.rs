//! Photos to finished pictures: decode, resize, sharpen, correct colors, encode.
//!
//! The crate has two halves that meet in the contract [`Pictures`], whose one call takes a
//! [`ProcessImage`] and gives a [`ProcessedImage`].
//! One is pure: [`Pipeline::process`] turns the bytes of one picture file into the bytes of
//! another and touches neither files nor threads, so that a worker of any kind can run it; a
//! [`PictureWorker`] is one in an isolate, and [`start_pool`] starts several.
//! The other is about folders: [`Scan`] finds the pictures, [`plan`] names the outputs,
//! [`Updates`] reads the files, has the pool process them and groups what comes back,
//! [`write_atomically`] puts it in place, [`Tally`] and [`Summary`] count.
//!
//! # What is kept and what is not
//!
//! Pixels are 8 bits per channel from the decoder on (16-bit PNG is reduced), in the color space
//! of the input file: nothing is converted, and the ICC profile that gives the values their
//! meaning goes into the output (see [`IccProfile`] for the exceptions). The EXIF orientation is
//! applied to the pixels; no other metadata is carried over. Of an animation the first picture is
//! used.
#![forbid(unsafe_code)]

mod format;
mod geometry;
mod request;

mod error;

mod color;
mod decode;
mod encode;
mod icc;
mod pipeline;
mod resize;
mod sharpen;

mod batch;
mod output;
mod scan;
mod service;
mod summary;
mod updates;

pub use batch::Batches;

pub use color::ColorCorrection;
pub use decode::{Decoding, MAX_PIXELS};
pub use error::{Failure, FileError, ProcessError};
pub use format::ImageFormat;
pub use geometry::{ParseSizeError, ResizeMode, Size};
pub use icc::IccProfile;
pub use output::{Job, plan, write_atomically};
pub use pipeline::Pipeline;
pub use request::{BatchUpdate, Operation, ProcessImage, ProcessedImage, RawImage, Timings};
pub use scan::{Found, Scan};
pub use service::{
    PicturePool, PictureWorker, Pictures, PicturesCaller, PicturesRequest, PicturesResponder,
    start_pool,
};
pub use summary::{Summary, Tally};
pub use updates::{Recipe, Updates};
