//! Saves pictures of the window as files.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

/// Writes pixels (0x00rrggbb, in rows) as a PNG file, which appears completely or not at all.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_png(path: &Path, (width, height): (u32, u32), pixels: &[u32]) -> io::Result<()> {
    let bytes: Vec<u8> = pixels
        .iter()
        .flat_map(|pixel| {
            let [_, red, green, blue] = pixel.to_be_bytes();
            [red, green, blue]
        })
        .collect();
    // Write under another name first, so that a program that waits for the file never reads half of
    // it.
    let partial = path.with_extension("partial");
    let file = BufWriter::new(File::create(&partial)?);
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(&bytes).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    fs::rename(partial, path)
}
