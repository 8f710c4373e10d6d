//! Text for terminals: names made harmless, cut to a width, and numbers with units.
//!
//! The names of isolates, pools and methods come from another program, and so does each sentence
//! about them. None of them may move the cursor, change colors, begin a line or reverse the order
//! of letters.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[cfg(test)]
mod tests;

/// Stands in the place of a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// The most characters without a width, such as accents, on one base. More are left out, since
/// terminals draw them over other lines.
const MAX_MARKS: usize = 2;

/// The longest text that is cleaned. What is behind it is cut, so that a huge name costs little.
const MAX_CHARACTERS: usize = 4_096;

/// Returns the text without characters that act on a terminal: each is shown as U+FFFD.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len().min(MAX_CHARACTERS));
    let mut marks = 0;
    for character in text.chars().take(MAX_CHARACTERS) {
        if is_hostile(character) {
            marks = 0;
            cleaned.push(REPLACEMENT);
        } else if is_selector(character) {
            // It only asks for another drawing of the same character, of another width.
        } else if character.width() == Some(0) {
            marks += 1;
            if marks <= MAX_MARKS {
                cleaned.push(character);
            }
        } else {
            marks = 0;
            cleaned.push(character);
        }
    }
    cleaned
}

/// Returns whether a character controls a terminal, ends a line, reverses the order of letters, or
/// is not seen at all.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether a character selects a variant of the one before it.
fn is_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}')
}

/// Returns JSON in which no character acts on a terminal. Those that JSON allows without an escape
/// are in texts only, so an escape means the same.
pub(crate) fn clean_json(json: &str) -> String {
    use std::fmt::Write;

    let mut cleaned = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !is_hostile(character) {
            cleaned.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            // Writing to a text cannot fail.
            let _ = write!(cleaned, "\\u{unit:04x}");
        }
    }
    cleaned
}

/// Returns the columns that a cleaned text occupies.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Returns as much of a cleaned text as fits, with an ellipsis if something is missing.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if width(&kept) > room {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// Returns a cleaned text that occupies exactly so many columns.
pub(crate) fn pad(text: &str, columns: usize, is_right: bool) -> String {
    let text = fit(text, columns);
    let blank = " ".repeat(columns.saturating_sub(width(&text)));
    if is_right {
        blank + &text
    } else {
        text + &blank
    }
}

/// Breaks a cleaned text into lines of at most so many columns, at blanks where it can.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let blank = usize::from(!line.is_empty());
        if width(&line) + blank + width(word) <= columns {
            if blank == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is longer than a line is cut.
        for character in word.chars() {
            if width(&line) + character.width().unwrap_or(0) > columns && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Returns a number with its unit of a thousand, in at most six columns.
pub(crate) fn count(number: u64) -> String {
    scaled(number as f64, &["", "k", "M", "G", "T", "P", "E"], 10_000.0)
}

/// Returns a number of bytes with its unit.
pub(crate) fn bytes(number: u64) -> String {
    scaled(
        number as f64,
        &[" B", " kB", " MB", " GB", " TB", " PB", " EB"],
        1_000.0,
    )
}

fn scaled(number: f64, units: &[&str], most: f64) -> String {
    let mut rest = number;
    let mut unit = 0;
    while rest >= most && unit + 1 < units.len() {
        rest /= 1_000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{rest:.0}{}", units[unit]),
        _ if rest < 100.0 => format!("{rest:.1}{}", units[unit]),
        _ => format!("{rest:.0}{}", units[unit]),
    }
}

/// Returns a rate per second.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if !rate.is_finite() || rate <= 0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate => scaled(rate, &["", "k", "M", "G", "T"], 10_000.0),
    }
}

/// Returns a span of milliseconds in the unit of its size.
pub(crate) fn millis(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..100_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        100_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{}d{:02}h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

/// Returns a span of microseconds in the unit of its size.
pub(crate) fn micros(us: f64) -> String {
    match us {
        us if !us.is_finite() || us < 0.0 => "-".to_owned(),
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 1_000.0 => format!("{us:.0} µs"),
        us if us < 100_000.0 => format!("{:.1} ms", us / 1e3),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1e3),
        // Past every time that a program could run, the conversion saturates.
        us => millis((us / 1e3) as u64),
    }
}

/// Returns an instant as seconds since the inspector was started.
pub(crate) fn instant(at_ms: u64) -> String {
    format!("{}.{:03}", at_ms / 1_000, at_ms % 1_000)
}

/// Returns a number and its noun, which is in the plural unless the number is one.
pub(crate) fn several(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
