//! Charts as SVG, whose colors are those of the page around them.
//!
//! Each function returns one `svg` element. Colors and fonts are classes of the page's style sheet,
//! so that a chart is right in light and in dark.

mod bars;
mod heat;
mod lines;
mod scale;
mod scatter;

use std::fmt::Write;

pub(crate) use bars::{columns, histogram, rows, stems};
pub(crate) use heat::heat_map;
pub(crate) use lines::{Line, Size, lines, steps};
pub(crate) use scatter::{Group, against, groups};

use scale::Scale;

/// The room for the labels of an axis.
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 24.0;
const MARGIN: f64 = 8.0;

/// Returns a number with four significant digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Returns a text in which nothing is taken for a tag.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A long name would reach out of the chart.
fn shortened(name: &str, most: usize) -> String {
    match name.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A chart that is being drawn: two axes and what is between them.
struct Frame {
    svg: String,
    x: Scale,
    y: Scale,
    width: f64,
    height: f64,
}

impl Frame {
    /// Creates a frame with these ranges. `label` says what the chart shows, for readers that cannot
    /// see it.
    fn new(size: (f64, f64), label: &str, x: (f64, f64), y: (f64, f64)) -> Self {
        let (width, height) = size;
        let mut svg = String::new();
        put(
            &mut svg,
            format_args!(
                "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
                escape(label)
            ),
        );
        Self {
            svg,
            x: Scale::new(x, (LEFT, width - MARGIN)),
            y: Scale::new(y, (height - BOTTOM, MARGIN)),
            width,
            height,
        }
    }

    /// Draws the lines and labels of the vertical axis.
    fn y_axis(&mut self) {
        for value in self.y.ticks(5) {
            let y = self.y.at(value);
            let (end, label) = (self.width - MARGIN, number(value));
            self.put(format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"label\" x=\"{x}\" y=\"{base:.1}\" text-anchor=\"end\">{label}</text>",
                x = LEFT - 6.0,
                base = y + 4.0,
            ));
        }
    }

    /// Draws the labels of the horizontal axis, with numbers.
    fn x_axis(&mut self) {
        let ticks: Vec<_> = self
            .x
            .ticks(5)
            .into_iter()
            .map(|it| (it, number(it)))
            .collect();
        self.labels(&ticks);
    }

    /// Draws labels below the chart.
    fn labels(&mut self, ticks: &[(f64, String)]) {
        for (value, label) in ticks {
            let x = self.x.at(*value);
            // A label at the end would be cut.
            let anchor = match (x - LEFT, self.width - x) {
                (left, _) if left < 24.0 => "start",
                (_, right) if right < 32.0 => "end",
                _ => "middle",
            };
            let y = self.height - 6.0;
            let label = escape(label);
            self.put(format_args!(
                "<text class=\"label\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{label}</text>"
            ));
        }
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        put(&mut self.svg, element);
    }

    fn end(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = svg.write_fmt(element);
}

/// Returns the least and the greatest of numbers, NaN left out.
fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let ends = values
        .into_iter()
        .filter(|it| it.is_finite())
        .fold(None, |ends, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((f64::min(low, value), f64::max(high, value)))
        });
    ends.unwrap_or((0.0, 1.0))
}

#[cfg(test)]
mod tests {
    //! Risk: a chart with wrong numbers, or one that breaks its page.

    use super::{Line, Size, columns, escape, groups, heat_map, lines, number, range, steps};

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1234.56, "1235"),
            (-0.012345, "-0.01235"),
            (12.0, "12"),
            (100.06, "100.1"),
            (1e9, "1.000e9"),
            (-2.5e-7, "-2.500e-7"),
            (123_456.0, "123456"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        let chart = columns("<script>", &[("<i>".to_owned(), 1.0)]);
        assert!(!chart.contains("<script>") && !chart.contains("<i>"));
    }

    #[test]
    fn charts_of_equal_few_or_missing_values_have_no_nan() {
        let line = |values| Line {
            values,
            class: "s1",
            name: "x",
        };
        for values in [
            vec![],
            vec![1.0],
            vec![f64::NAN; 3],
            vec![5.0; 100],
            vec![0.0, f64::NAN, 1.0],
        ] {
            let svg = lines(
                "x",
                Size::Small,
                &[line(values.clone())],
                &steps(values.len()),
            );
            assert!(!svg.contains("NaN") && svg.ends_with("</svg>"), "{svg}");
        }
        let svg = heat_map(&["a".to_owned()], &[vec![None]]);
        assert!(!svg.contains("NaN"), "{svg}");
        assert!(!groups("x", ("a", "b"), &[]).contains("NaN"));
        assert_eq!(range([f64::NAN]), (0.0, 1.0));
    }

    #[test]
    fn a_long_series_has_few_points_and_keeps_its_peaks() {
        let mut values = vec![0.0; 1_000_000];
        values[123_456] = 100.0;
        let line = Line {
            values,
            class: "s1",
            name: "x",
        };
        let svg = lines("x", Size::Wide, &[line], &[]);
        assert!(svg.len() < 60_000, "{}", svg.len());
        let top = "8.0";
        assert!(svg.contains(top), "the peak is at the upper end");
    }
}
