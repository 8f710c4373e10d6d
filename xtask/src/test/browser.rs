//! Opens the report of the analytics program in a browser, without a network, in light and in dark.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use super::{Trouble, Verdict, cargo, packages, pass};

/// The size of the window, into which the statistics and the first plots fit.
const SIZE: &str = "1200,1600";

/// The way to ask the browser for each look, and the colors of the page's background and of the bars
/// of its histograms, as in the style sheet.
const LOOKS: &[(&str, &[&str], Color, Color)] = &[
    ("light", &[], [0xf6, 0xf7, 0xf9], [0x1f, 0x63, 0xc2]),
    (
        "dark",
        &["--blink-settings=preferredColorScheme=0"],
        [0x11, 0x14, 0x18],
        [0x6a, 0xa5, 0xff],
    ),
];

pub(super) type Color = [u8; 3];

/// Makes the report on the weather and looks at pictures of it.
pub(super) fn look_at_report(root: &Path) -> Verdict {
    packages::require(&["chromium"], || packages::has_program("chromium"))?;
    let folder = root.join("target").join("report");
    fs::create_dir_all(&folder).map_err(failed)?;
    let page = folder.join("weather.html");
    let mut report = cargo(root);
    report.args([
        "run",
        "--profile",
        "optimized",
        "--package",
        "analytics",
        "--",
        "report",
    ]);
    report.args([
        "samples/weather/seattle.csv",
        "--target",
        "temp_max",
        "--out",
    ]);
    pass(report.arg(&page))?;
    for (look, arguments, background, bars) in LOOKS {
        let picture = folder.join(format!("{look}.png"));
        photograph(&page, arguments, &picture)?;
        Picture::read(&picture)?.check(look, *background, *bars)?;
    }
    Ok(())
}

/// Saves what the browser shows of a page. What the page cannot load or run is an error.
fn photograph(page: &Path, arguments: &[&str], picture: &Path) -> Verdict {
    let mut browser = Command::new("chromium");
    // The sandbox needs rights that a container does not give, and the page is our own.
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
    ]);
    browser.args([
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
    ]);
    browser.args(arguments).arg(format!("--window-size={SIZE}"));
    browser.arg(format!("--screenshot={}", picture.display()));
    let output = browser.arg(format!("file://{}", page.display())).output();
    let output = output.map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    // The page's own messages, such as that of something that its policy forbids.
    if let Some(line) = said.lines().find(|line| line.contains("CONSOLE")) {
        return Err(failed(line));
    }
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(format!(
            "chromium ended with {}: {said}",
            output.status
        ))),
    }
}

fn failed(error: impl ToString) -> Trouble {
    Trouble::Failed(error.to_string())
}

/// The colors of a picture, row by row.
pub(super) struct Picture(Vec<Color>);

impl Picture {
    pub(super) fn read(path: &Path) -> Result<Self, Trouble> {
        let file = BufReader::new(File::open(path).map_err(failed)?);
        let mut decoder = png::Decoder::new(file);
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().map_err(failed)?;
        let size = reader
            .output_buffer_size()
            .ok_or_else(|| failed("a picture without a size"))?;
        let mut bytes = vec![0; size];
        let info = reader.next_frame(&mut bytes).map_err(failed)?;
        let width = info.color_type.samples();
        let color = |pixel: &[u8]| [pixel[0], pixel[1], pixel[2]];
        Ok(Self(
            bytes[..info.buffer_size()]
                .chunks_exact(width)
                .map(color)
                .collect(),
        ))
    }

    /// Returns the color in the upper left corner.
    pub(super) fn first(&self) -> Option<Color> {
        self.0.first().copied()
    }

    /// Returns the share of the picture that has a color.
    pub(super) fn share(&self, color: Color) -> f64 {
        let count = self.0.iter().filter(|it| **it == color).count();
        count as f64 / self.0.len() as f64
    }

    /// Returns the number of colors.
    pub(super) fn colors(&self) -> usize {
        self.0.iter().collect::<HashSet<_>>().len()
    }

    fn check(&self, look: &str, background: Color, bars: Color) -> Verdict {
        let problem = match () {
            () if self.first() != Some(background) => "the background has another color",
            () if self.share(background) < 0.1 => "there is little background",
            () if self.share(bars) < 0.003 => "there are no bars",
            // Letters and lines have soft edges.
            () if self.colors() < 50 => "there are few colors",
            () => return Ok(()),
        };
        Err(failed(format!("the {look} page: {problem}")))
    }
}
