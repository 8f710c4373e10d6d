//! Pictures with few colors, which are small files.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use super::{Verdict, failed};

type Color = [u8; 3];

/// The colors of a picture with one byte for each pixel.
const MOST_COLORS: usize = 256;

/// Writes a picture anew with at most 256 colors: those of most pixels, and the nearest of them for
/// the others, which are on the soft edges of letters.
pub(super) fn shrink(picture: &[u8], file: &Path) -> Verdict {
    let decoder = png::Decoder::new(std::io::Cursor::new(picture));
    let mut reader = decoder.read_info().map_err(failed)?;
    let size = reader.output_buffer_size();
    let mut bytes = vec![0; size.ok_or_else(|| failed("a picture without a size"))?];
    let info = reader.next_frame(&mut bytes).map_err(failed)?;
    let samples = info.color_type.samples();
    let pixels = bytes[..info.buffer_size()].chunks_exact(samples);
    let pixels: Vec<Color> = pixels.map(|it| [it[0], it[1], it[2]]).collect();
    let palette = palette(&pixels);
    let mut known = HashMap::new();
    let indexes: Vec<u8> = pixels
        .iter()
        .map(|color| {
            *known
                .entry(*color)
                .or_insert_with(|| nearest(&palette, *color))
        })
        .collect();
    let out = BufWriter::new(File::create(file).map_err(failed)?);
    let mut encoder = png::Encoder::new(out, info.width, info.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&indexes).map_err(failed)?;
    writer.finish().map_err(failed)
}

/// Returns the colors of most pixels, in an order that depends on the picture alone.
fn palette(pixels: &[Color]) -> Vec<Color> {
    let mut counts: HashMap<Color, usize> = HashMap::new();
    for color in pixels {
        *counts.entry(*color).or_default() += 1;
    }
    let mut colors: Vec<_> = counts.into_iter().collect();
    colors.sort_by_key(|(color, count)| (usize::MAX - count, *color));
    colors.truncate(MOST_COLORS);
    colors.into_iter().map(|(color, _)| color).collect()
}

fn nearest(palette: &[Color], color: Color) -> u8 {
    let distance = |other: &Color| -> u32 {
        let differences = color
            .iter()
            .zip(other)
            .map(|(a, b)| u32::from(a.abs_diff(*b)));
        differences.map(|it| it * it).sum()
    };
    let place = (0..palette.len()).min_by_key(|place| distance(&palette[*place]));
    place
        .and_then(|it| u8::try_from(it).ok())
        .unwrap_or_default()
}
