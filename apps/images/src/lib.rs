//! Turns photos into finished pictures: decodes, resizes, sharpens, corrects colors, encodes.
//!
//! The crate has two halves that meet in the contract [`Pictures`], whose only call takes a
//! [`ProcessImage`] and returns a [`ProcessedImage`].
//! One half is pure: [`Pipeline::process`] turns the bytes of one picture file into the bytes of
//! another without files or threads, so any kind of worker can run it; a [`PictureWorker`] runs it
//! in an isolate, and [`start_pool`] starts several.
//! The second half handles folders: [`Scan`] finds the pictures, [`plan`] names the outputs,
//! [`Updates`] reads the files, lets the pool process them and groups the results,
//! [`Tally`] and [`Summary`] count.
//!
//! # What is kept and what is not
//!
//! Pixels have 8 bits per channel from the decoder on (16-bit PNG is reduced), in the color space
//! of the input file. Nothing is converted, and the ICC profile that defines the values is copied
//! to the output (see [`IccProfile`] for the exceptions). The EXIF orientation is applied to the
//! pixels; no other metadata is copied. Of an animation the first picture is used.
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
pub use output::{Job, plan};
pub use pipeline::Pipeline;
pub use request::{BatchUpdate, Operation, ProcessImage, ProcessedImage, RawImage, Timings};
pub use scan::{Found, Scan};
pub use service::{
    MOST_BYTES, PicturePool, PictureWorker, Pictures, PicturesCaller, PicturesRequest,
    PicturesResponder, serve, start_pool, start_pool_of,
};
pub use summary::{Summary, Tally};
pub use updates::{Recipe, Updates};
