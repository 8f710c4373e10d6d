//! The picture: the main cases, each beside its best peer, drawn from rows that were measured before.
//!
//! A bar begins at 1, where both are equal. It is as long as the ratio of the medians says, on a
//! scale on which twice as good and half as good are equally far away.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, DrawingArea, IntoDrawingArea, IntoLogRange, PathElement, RGBColor, Rectangle,
    SVGBackend, ShapeStyle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, TextStyle, register_font};
use serde::Deserialize;

use crate::case::{Better, Kind};
use crate::report::{PROJECT, number};

/// A case of the picture.
struct Shown {
    suite: &'static str,
    case: &'static str,
    metric: &'static str,
    label: &'static str,
}

const fn shown(
    suite: &'static str,
    case: &'static str,
    metric: &'static str,
    label: &'static str,
) -> Shown {
    Shown {
        suite,
        case,
        metric,
        label,
    }
}

/// The main cases, in the order in which they are drawn.
const SHOWN: &[Shown] = &[
    shown(
        "ports",
        "one to one, unbounded",
        "messages",
        "messages, one to one",
    ),
    shown(
        "ports",
        "100 senders to one",
        "messages",
        "messages, 100 senders to one",
    ),
    shown("ports", "ring of 1,000", "hops", "a token around 1,000"),
    shown("ports", "ping-pong", "round trip", "there and back"),
    shown(
        "ports",
        "hand over 1 MiB",
        "round trip",
        "1 MiB there and back",
    ),
    shown(
        "ask",
        "one at a time",
        "round trip",
        "a question and its answer",
    ),
    shown(
        "ask",
        "1,000 outstanding, futures of one task",
        "answers",
        "1,000 questions at once",
    ),
    shown(
        "spawn",
        "1,000,000 alive",
        "spawned",
        "spawn, a million alive",
    ),
    shown(
        "spawn",
        "1,000,000 alive",
        "first message",
        "first message of each",
    ),
    shown("spawn", "1,000,000 alive", "ended", "end of each"),
    shown(
        "spawn",
        "1,000,000 alive",
        "memory idle",
        "memory of an idle one",
    ),
    shown(
        "pool",
        "no-op, one at a time",
        "job",
        "an empty job and its result",
    ),
    shown(
        "pool",
        "no-op, 1,000 outstanding",
        "jobs",
        "1,000 empty jobs outstanding",
    ),
    shown(
        "pool",
        "no-op, all at once",
        "job",
        "500,000 empty jobs at once",
    ),
    shown(
        "pool",
        "jobs of 10 us",
        "CPU efficiency",
        "jobs of 10 us, CPU efficiency",
    ),
    shown(
        "mailbox",
        "64 B, nothing else to do",
        "round trip",
        "mailbox, 64 B there and back",
    ),
    shown(
        "timers",
        "sleeps taken back, one by one",
        "made and dropped",
        "a sleep made and dropped",
    ),
    shown(
        "native",
        "post from a foreign thread",
        "posts",
        "posts from a foreign thread",
    ),
    shown(
        "fairness",
        "8 heavy on 2 threads",
        "answer p99",
        "an answer beside 8 that compute, p99",
    ),
    shown(
        "idle",
        "100,000 idle",
        "CPU time in 2 s",
        "100,000 idle, CPU time",
    ),
];

/// The part of a row that is drawn.
#[derive(Clone, Debug, Deserialize)]
struct Drawn {
    suite: String,
    case: String,
    system: String,
    kind: Kind,
    metric: String,
    unit: String,
    better: Better,
    /// `None` in a row without numbers.
    median: Option<f64>,
}

/// A case with both medians.
#[derive(Debug, PartialEq)]
struct Pair {
    label: &'static str,
    unit: String,
    own: f64,
    peer: f64,
    name: String,
    /// How many times better the own median is.
    ahead: f64,
}

/// Draws the main cases of `rows`, a file that `--json` has written, as SVG.
///
/// # Errors
/// The rows cannot be read or have none of the cases, or the picture cannot be written.
pub(crate) fn draw(rows: &Path, picture: &Path) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", rows.display()));
    let text = fs::read_to_string(rows).map_err(named)?;
    let rows = parse(&text).map_err(named)?;
    let pairs = pairs(&rows);
    if pairs.is_empty() {
        return Err(named(io::Error::other(
            "no row of a main case beside a peer; the suites ports, ask, spawn and pool have them",
        )));
    }
    let svg = svg(&pairs).map_err(|error| io::Error::other(error.to_string()))?;
    fs::write(picture, svg)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", picture.display())))
}

fn parse(text: &str) -> io::Result<Vec<Drawn>> {
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| {
            serde_json::from_str(line)
                .map_err(|error| io::Error::other(format!("line {}: {error}", index + 1)))
        })
        .collect()
}

/// The main cases that the rows have, each with the peer whose median is best.
fn pairs(rows: &[Drawn]) -> Vec<Pair> {
    SHOWN.iter().filter_map(|it| pair(it, rows)).collect()
}

fn pair(shown: &Shown, rows: &[Drawn]) -> Option<Pair> {
    let of_case = || {
        rows.iter().filter_map(|row| {
            let is_of_case = row.suite == shown.suite
                && row.case == shown.case
                && row.metric == shown.metric
                && row.kind != Kind::Limit;
            // A median of 0 has no ratio.
            let median = row.median.filter(|&it| it > 0.0);
            median.filter(|_| is_of_case).map(|median| (row, median))
        })
    };
    let (row, own) = of_case().find(|(row, _)| row.system == PROJECT)?;
    let ahead_of = |peer: f64| match row.better {
        Better::Higher => own / peer,
        Better::Lower => peer / own,
    };
    let (peer, median) = of_case()
        .filter(|(row, _)| !is_own(&row.system))
        .min_by(|one, other| ahead_of(one.1).total_cmp(&ahead_of(other.1)))?;
    Some(Pair {
        label: shown.label,
        unit: row.unit.clone(),
        own,
        peer: median,
        name: peer.system.clone(),
        ahead: ahead_of(median),
    })
}

/// A row of this project, or of a variant of it.
fn is_own(system: &str) -> bool {
    system
        .strip_prefix(PROJECT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '-', '(']))
}

// Pixels.
const WIDTH: u32 = 1000;
const ROW: u32 = 26;
const HEAD: u32 = 84;
const FOOT: u32 = 30;
const BARS: (u32, u32) = (290, 660);

/// Colors of a light page, and in the same order those of a dark one. Blue and orange are told
/// apart also by those who do not see red and green.
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const FAINT: RGBColor = RGBColor(0x6E, 0x77, 0x81);
const LINE: RGBColor = RGBColor(0xD0, 0xD7, 0xDE);
const AHEAD: RGBColor = RGBColor(0x00, 0x72, 0xB2);
const BEHIND: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
const ON_DARK: [(RGBColor, &str); 5] = [
    (INK, "#E6EDF3"),
    (FAINT, "#8B949E"),
    (LINE, "#30363D"),
    (AHEAD, "#56B4E9"),
    (BEHIND, "#E69F00"),
];

const FONT: &str = "sans-serif";

fn svg(pairs: &[Pair]) -> Result<String, Box<dyn Error>> {
    register();
    let height = HEAD + ROW * u32::try_from(pairs.len())? + FOOT;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        // The error of the library borrows the text that is drawn to.
        draw_on(&area, pairs).map_err(|error| error.to_string())?;
    }
    Ok(styled(&svg))
}

fn draw_on<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    pairs: &[Pair],
) -> Result<(), Box<dyn Error + 'a>> {
    write(
        area,
        (20, 26),
        20,
        &INK,
        HPos::Left,
        "Insula beside the best peer of each case",
    )?;
    let about = "Ratio of the medians of one run: to the right of 1, Insula is better.";
    write(area, (20, 50), 14, &FAINT, HPos::Left, about)?;
    let (low, high) = range(pairs);
    let bottom = f64::from(u32::try_from(pairs.len())?);
    let right = WIDTH - BARS.1;
    let mut chart = ChartBuilder::on(area)
        .margin_left(BARS.0)
        .margin_right(right)
        .margin_top(HEAD)
        .margin_bottom(FOOT)
        .build_cartesian_2d((low..high).log_scale(), bottom..0.0)?;
    for tick in ticks(low, high) {
        let style = if tick == 1.0 { INK } else { LINE };
        chart.draw_series([PathElement::new([(tick, 0.0), (tick, bottom)], style)])?;
        let (x, y) = chart.backend_coord(&(tick, bottom));
        write(
            area,
            (x, y + 14),
            12,
            &FAINT,
            HPos::Center,
            &tick_name(tick),
        )?;
    }
    for (index, pair) in (0_u32..).zip(pairs) {
        let top = f64::from(index);
        let color = if pair.ahead >= 1.0 { AHEAD } else { BEHIND };
        let style: ShapeStyle = color.filled();
        let bar = [(1.0, top + 0.2), (pair.ahead, top + 0.8)];
        chart.draw_series([Rectangle::new(bar, style)])?;
        let (x, y) = chart.backend_coord(&(pair.ahead, top + 0.5));
        let (beside, position) = if pair.ahead >= 1.0 {
            (x + 6, HPos::Left)
        } else {
            (x - 6, HPos::Right)
        };
        write(area, (beside, y), 13, &INK, position, &ratio(pair.ahead))?;
        let label = i32::try_from(BARS.0)? - 14;
        write(area, (label, y), 14, &INK, HPos::Right, pair.label)?;
        let figures = format!(
            "{} {}; {} {}",
            number(pair.own),
            pair.unit,
            pair.name,
            number(pair.peer)
        );
        let at = i32::try_from(BARS.1)? + 50;
        write(area, (at, y), 13, &FAINT, HPos::Left, &figures)?;
    }
    area.present()?;
    Ok(())
}

/// Writes a line whose middle is at the height of `at`.
fn write<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    at: (i32, i32),
    size: u32,
    color: &RGBColor,
    position: HPos,
    text: &str,
) -> Result<(), Box<dyn Error + 'a>> {
    let style = TextStyle::from((FONT, size).into_font())
        .color(color)
        .pos(Pos::new(position, VPos::Center));
    area.draw(&Text::new(text, at, style))?;
    Ok(())
}

/// The ends of the scale: powers of two that hold every bar with its ratio beside it, and 1 with some
/// room on both sides.
fn range(pairs: &[Pair]) -> (f64, f64) {
    let (mut low, mut high) = (0.5, 2.0);
    for pair in pairs {
        while pair.ahead < 2.0 * low {
            low /= 2.0;
        }
        while 2.0 * pair.ahead > high {
            high *= 2.0;
        }
    }
    (low, high)
}

fn ticks(low: f64, high: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(low), |it| Some(it * 2.0)).take_while(move |&it| it <= high)
}

/// The name of a power of two.
fn tick_name(tick: f64) -> String {
    if tick < 1.0 {
        format!("1/{}", tick.recip())
    } else {
        format!("{tick}x")
    }
}

/// Three digits that count, and two of a small number.
fn ratio(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}x"),
        _ if value >= 10.0 => format!("{value:.1}x"),
        _ if value >= 0.1 => format!("{value:.2}x"),
        _ if value >= 0.01 => format!("{value:.3}x"),
        _ => format!("{value:.4}x"),
    }
}

/// Adds what the library does not write: a name for those who do not see the picture, and the
/// colors of a dark page.
fn styled(svg: &str) -> String {
    let dark: String = ON_DARK
        .iter()
        .map(|(RGBColor(r, g, b), dark)| {
            let light = format!("#{r:02X}{g:02X}{b:02X}");
            format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
        })
        .collect();
    let head = format!(
        "<title>Insula beside the best peer of each case</title>\n\
         <style>@media (prefers-color-scheme: dark){{{dark}}}</style>\n"
    );
    match svg.find('>') {
        Some(end) => {
            let (tag, rest) = svg.split_at(end + 1);
            format!("{tag}\n{head}{}", rest.trim_start())
        }
        None => svg.to_owned(),
    }
}

/// Makes the font known by which the library measures text. The picture names its family, so that a
/// reader's own font is taken.
fn register() {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // Fails only for a font that is broken, and drawing text fails then.
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
}

#[cfg(test)]
mod tests;
