//! An inspector from outside, beside a real program.

mod dumps;
mod pools;
