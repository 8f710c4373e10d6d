//! Plots as PNG files.

use std::error::Error;
use std::fmt;
use std::sync::Once;

use plotters::prelude::{
    BitMapBackend, ChartBuilder, DrawingArea, IntoDrawingArea, LineSeries, PathElement, RGBColor,
    ShapeStyle,
};
use plotters::style::{BLACK, Color, FontStyle, IntoFont, WHITE, register_font};

/// The pixels of a plot.
const SIZE: (u32, u32) = (1200, 720);

/// Colors that are told apart also by those who do not see red and green, after Okabe and Ito
/// (2008).
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// See [`BLUE`].
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
/// See [`BLUE`].
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// See [`BLUE`].
pub const GRAY: RGBColor = RGBColor(140, 140, 140);
/// See [`BLUE`].
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// See [`BLUE`].
pub const SKY: RGBColor = RGBColor(86, 180, 233);
/// See [`BLUE`].
pub const AMBER: RGBColor = RGBColor(230, 159, 0);

/// All of them, for lines that are not known beforehand.
pub const COLORS: [RGBColor; 7] = [BLUE, ORANGE, GREEN, GRAY, PURPLE, SKY, AMBER];

/// The name under which the font of the text is known.
const FONT: &str = "sans-serif";

/// A line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its color.
    pub color: RGBColor,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Lines with their axes.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The heading.
    pub title: String,
    /// The name of the horizontal axis.
    pub x: String,
    /// The name of the vertical axis.
    pub y: String,
    /// The lines, the first one below.
    pub lines: Vec<Line>,
    /// A vertical mark with the meaning of what is before it, if there is one.
    pub mark: Option<f64>,
}

/// A plot that could not be drawn.
#[derive(Debug)]
pub struct PlotError(Box<dyn Error + Send + Sync>);

impl fmt::Display for PlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot draw the plot: {}", self.0)
    }
}

impl Error for PlotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl Plot {
    /// Draws the plot, and returns the content of a PNG file.
    ///
    /// # Errors
    /// Returns the error of the library that draws.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let mut pixels = vec![0; 3 * SIZE.0 as usize * SIZE.1 as usize];
        self.draw(&mut pixels).map_err(PlotError)?;
        encode(&pixels).map_err(|error| PlotError(error.into()))
    }

    fn draw(&self, pixels: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        register();
        let area = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
        self.draw_on(&area)
            .map_err(|error| error.to_string().into())
    }

    fn draw_on<'a>(
        &self,
        area: &DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>,
    ) -> Result<(), Box<dyn Error + 'a>> {
        area.fill(&WHITE)?;
        let (x, y) = self.ranges();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, 28).into_font())
            .margin(24)
            .x_label_area_size(60)
            .y_label_area_size(90)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .axis_desc_style((FONT, 22).into_font())
            .label_style((FONT, 18).into_font())
            .light_line_style(BLACK.mix(0.04))
            .bold_line_style(BLACK.mix(0.12))
            .draw()?;
        if let Some(mark) = self.mark {
            let line = PathElement::new(vec![(mark, y.0), (mark, y.1)], GRAY);
            chart.draw_series(std::iter::once(line))?;
        }
        for line in &self.lines {
            let style: ShapeStyle = line.color.stroke_width(2);
            let points = line.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 24, y)], style));
        }
        chart
            .configure_series_labels()
            .label_font((FONT, 20).into_font())
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()?;
        Ok(())
    }

    /// The ranges of both axes, with some room above and below the lines.
    fn ranges(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (left, right) = extent(points().map(|point| point.0));
        let (low, high) = extent(points().map(|point| point.1));
        let room = 0.06 * (high - low);
        ((left, right), (low - room, high + room))
    }
}

/// The smallest and the largest of some values. Never an empty range.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        range = (range.0.min(value), range.1.max(value));
    }
    match range {
        (low, high) if low < high => range,
        (low, high) if low == high => (low - 0.5, high + 0.5),
        _ => (0.0, 1.0),
    }
}

/// Makes the font known, which is in the program, so that no machine lacks it.
fn register() {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // Fails only for a font that is broken. The plot has no text then, and drawing it fails.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
