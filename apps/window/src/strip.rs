//! The strip at the bottom of the window, which shows the times of the frames and the load of the
//! program.

use std::time::Duration;

use crate::canvas::{Area, Canvas};
use crate::load::Load;
use crate::meter::{Meter, SHOWN};

/// The height of the strip in pixels.
pub(crate) const HEIGHT: usize = 58;

const BACK: u32 = 0x000b_0e18;
const EDGE: u32 = 0x0033_3c52;
const TEXT: u32 = 0x00e8_ecf4;
const DIM: u32 = 0x008c_96ac;
const WORK: u32 = 0x003f_9bd8;
const LATE: u32 = 0x00ff_b13b;

/// The figures of the strip besides the times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// Powers of two between the whole set and the current view.
    pub(crate) depth: f64,
    /// Tiles computed in the last second.
    pub(crate) tiles_per_second: f64,
    /// Tiles that are still missing.
    pub(crate) missing: usize,
    /// What the threads and the workers do.
    pub(crate) load: Load,
}

/// Draws the strip.
pub(crate) fn draw(canvas: &mut Canvas<'_>, meter: &Meter, facts: &Facts, period: Duration) {
    let whole = canvas.area();
    let strip = Area {
        top: whole.bottom.saturating_sub(HEIGHT),
        ..whole
    };
    canvas.fill(strip, BACK);
    let edge = Area {
        bottom: (strip.top + 1).min(strip.bottom),
        ..strip
    };
    canvas.fill(edge, EDGE);
    write(canvas, strip.top, meter, facts);
    graph(canvas, strip, meter, period);
}

fn write(canvas: &mut Canvas<'_>, top: usize, meter: &Meter, facts: &Facts) {
    let late = meter.late();
    let last = meter.last();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let number = format!("{:>5.2}", late.p999);
    let after = canvas.write(&number, (12, top + 21), 2, TEXT);
    canvas.write("ms late", (after + 8, top + 19), 1, DIM);
    canvas.write("p99.9", (after + 8, top + 30), 1, DIM);
    let left = after + 92;
    let upper = format!(
        "frame {:>5.2} ms  late {:>5.2} ms  p50 {:.2}  p99 {:.2}  max {:.2}",
        ms(last.work),
        ms(last.late),
        late.p50,
        late.p99,
        late.max,
    );
    let lower = format!(
        "zoom {}  tiles {:>4.0}/s  missing {}",
        magnification(facts.depth),
        facts.tiles_per_second,
        facts.missing,
    );
    canvas.write(&upper, (left, top + 11), 1, TEXT);
    canvas.write(&lower, (left, top + 25), 1, DIM);
    canvas.write(&facts.load.to_string(), (left, top + 39), 1, DIM);
}

/// Returns 2^depth as a person would write it.
fn magnification(depth: f64) -> String {
    let decimal = depth * std::f64::consts::LOG10_2;
    if decimal < 4.0 {
        return format!("{:.0}x", 10f64.powf(decimal));
    }
    let exponent = decimal.floor();
    format!("{:.1}e{exponent:.0}x", 10f64.powf(decimal - exponent))
}

/// Draws a column for each of the last frames: drawing time at the bottom, lateness above it. The
/// line marks one period.
fn graph(canvas: &mut Canvas<'_>, strip: Area, meter: &Meter, period: Duration) {
    let (top, bottom) = (strip.top + 6, strip.bottom.saturating_sub(5));
    let right = strip.right.saturating_sub(12);
    let left = right.saturating_sub(SHOWN);
    // In a narrow window the columns would cover the text.
    if left < strip.right / 2 || bottom <= top {
        return;
    }
    let height = bottom - top;
    // The height corresponds to one and a half periods.
    let most = period.as_secs_f64() * 1.5;
    let rows = |time: Duration| (time.as_secs_f64() / most * height as f64).round() as usize;
    let first = right - meter.recent().len();
    for (index, times) in meter.recent().enumerate() {
        // At least one row, so that a short frame shows as well.
        let work = rows(times.work).clamp(1, height);
        let both = rows(times.late + times.work).clamp(work, height);
        let column = |from: usize, to: usize| Area {
            left: first + index,
            right: first + index + 1,
            top: bottom - to,
            bottom: bottom - from,
        };
        canvas.fill(column(0, work), WORK);
        canvas.fill(column(work, both), LATE);
    }
    let line = bottom - rows(period).min(height);
    let line = Area {
        left,
        right,
        top: line,
        bottom: line + 1,
    };
    canvas.tint(line, TEXT, 110);
}
