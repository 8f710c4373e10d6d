//! The screen, as functions from the model to lines of text with tones.
//!
//! Each line is cut to the width of the screen, and a screen that is too small for a part goes
//! without it: first the titles of the screens, then the head, and at one line all but the foot.

mod details;
mod help;
mod overview;
#[cfg(test)]
mod tests;

use std::iter;

use insula_inspect::model::Sample;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::model::{Mode, Model, Screen, Source};
use crate::table::{Table, Tone};
use crate::tables;
use crate::text::{bytes, clean, count, fit, millis, pad, several, width};

/// A line of text, whose parts have one tone.
pub(crate) type Toned = (Tone, String);

/// The colors of the screen, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    pub(crate) has_color: bool,
}

impl Palette {
    fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let colored = match tone {
            Tone::Plain | Tone::Dim | Tone::Title => plain,
            Tone::Good => plain.fg(Color::Green),
            Tone::Warning => plain.fg(Color::Yellow),
            Tone::Bad => plain.fg(Color::Red),
        };
        let style = if self.has_color { colored } else { plain };
        // Without colors too, what matters more or less is seen.
        match tone {
            Tone::Title | Tone::Bad => style.add_modifier(Modifier::BOLD),
            Tone::Dim => style.add_modifier(Modifier::DIM),
            Tone::Plain | Tone::Good | Tone::Warning => style,
        }
    }
}

/// The parts of the screen.
#[derive(Clone, Copy, Debug)]
struct Areas {
    head: Rect,
    titles: Rect,
    body: Rect,
    foot: Rect,
}

impl Areas {
    fn of(screen: Rect) -> Self {
        let rows = screen.height;
        let head = u16::from(rows >= 3);
        let titles = u16::from(rows >= 6);
        let foot = u16::from(rows >= 1);
        let strip = |top: u16, height: u16| Rect {
            y: screen.y + top,
            height,
            ..screen
        };
        Self {
            head: strip(0, head),
            titles: strip(head, titles),
            body: strip(head + titles, rows - head - titles - foot),
            foot: strip(rows - foot, foot),
        }
    }
}

/// Tells the model how much of it fits on a screen, which the keys that turn pages need.
pub(crate) fn measure(model: &mut Model, screen: Rect) {
    let body = Areas::of(screen).body;
    let rows = usize::from(body.height);
    if model.opened.is_some() {
        let lines = details::lines(model, usize::from(body.width)).len();
        model.on_page(rows);
        model.on_scroll(lines.saturating_sub(rows));
    } else {
        let preface = preface(model, usize::from(body.width)).len();
        model.on_page(rows.saturating_sub(preface + 1));
    }
}

/// Draws the model.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model, palette: Palette) {
    let areas = Areas::of(frame.area());
    let columns = usize::from(frame.area().width);
    let rows = usize::from(areas.body.height);
    show(frame, areas.head, palette, vec![head(model, columns)], None);
    show(
        frame,
        areas.titles,
        palette,
        vec![titles(model, columns)],
        None,
    );
    let (lines, selected) = body(model, columns, rows);
    show(frame, areas.body, palette, lines, selected);
    show(frame, areas.foot, palette, vec![foot(model, columns)], None);
}

fn show(
    frame: &mut Frame<'_>,
    area: Rect,
    palette: Palette,
    lines: Vec<Toned>,
    selected: Option<usize>,
) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let columns = usize::from(area.width);
    let lines = lines.into_iter().enumerate().map(|(index, (tone, text))| {
        let mut style = palette.style(tone);
        let mut text = fit(&text, columns);
        if selected == Some(index) {
            style = style.add_modifier(Modifier::REVERSED);
            text = pad(&text, columns, false);
        }
        Line::styled(text, style)
    });
    let lines: Vec<_> = lines.take(usize::from(area.height)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn head(model: &Model, columns: usize) -> Toned {
    let vm = &model.vm;
    let state = match (&model.lost, &model.source) {
        (Some(_), _) => "ENDED".to_owned(),
        (None, Source::Record { at, looks, .. }) => format!("RECORD {}/{looks}", at + 1),
        (None, Source::Live) if model.is_frozen => "FROZEN".to_owned(),
        (None, Source::Live) if !model.has_data => "CONNECTING".to_owned(),
        (None, Source::Live) if vm.can_control => "CONTROL".to_owned(),
        (None, Source::Live) => "READS".to_owned(),
    };
    let now: &Sample = &vm.now;
    let mut parts = vec![
        clean(&vm.name),
        format!("pid {}", vm.pid),
        format!("up {}", millis(now.at_ms.max(vm.uptime_ms))),
        several(now.isolates, "isolate"),
        format!("{} running", count(now.running)),
        format!("{} calls", count(now.calls_running)),
    ];
    if let Some(memory) = now.memory_bytes {
        parts.push(bytes(memory));
    }
    let tone = match (&model.lost, model.is_frozen) {
        (Some(_), _) => Tone::Bad,
        (None, true) => Tone::Warning,
        (None, false) => Tone::Title,
    };
    let room = columns.saturating_sub(width(&state) + 1);
    let left = pad(&fit(&parts.join("  "), room), room, false);
    (tone, format!("{left} {state}"))
}

fn titles(model: &Model, columns: usize) -> Toned {
    let titles = Screen::ALL.iter().enumerate().map(|(index, screen)| {
        let title = screen.title();
        match *screen == model.screen {
            true => format!("[{} {title}]", index + 1),
            false => format!(" {} {title} ", index + 1),
        }
    });
    let all: String = titles.collect();
    if width(&all) <= columns {
        return (Tone::Dim, all);
    }
    let (number, title) = (model.screen.index() + 1, model.screen.title());
    (Tone::Dim, format!("[{number} {title}] of 7, Tab: next"))
}

fn foot(model: &Model, columns: usize) -> Toned {
    match &model.mode {
        Mode::Question { text, .. } => {
            // The end of the question must be seen, whatever the length of a name.
            let room = columns.saturating_sub(4);
            return (Tone::Warning, format!("{} y/n", fit(text, room)));
        }
        Mode::Filter { .. } => {
            let room = columns.saturating_sub(24);
            let filter = fit(&clean(&model.filter), room);
            return (Tone::Title, format!("/{filter}_  Enter: keep, Esc: undo"));
        }
        Mode::Help => return (Tone::Dim, "any key: back".to_owned()),
        Mode::Browse => {}
    }
    if let Some(notice) = &model.notice {
        return (Tone::Warning, clean(notice));
    }
    if let Some(why) = &model.lost {
        let room = columns.saturating_sub(10);
        return (Tone::Bad, format!("{}  q: quit", fit(&clean(why), room)));
    }
    let keys = match (&model.source, &model.opened, model.screen) {
        (Source::Record { .. }, _, _) => "left/right: step  space: play  ?: help  q: quit",
        (_, Some(_), _) => "Esc: back  up/down: scroll  k p u d R + -: act  ?: help  q: quit",
        (_, None, Screen::Isolates) => {
            "?: help  q: quit  Enter: details  s/<: sort  r: reverse  /: filter  space: freeze"
        }
        (_, None, _) => "?: help  q: quit  Enter: details  space: freeze  1-7/Tab: screens",
    };
    (Tone::Dim, keys.to_owned())
}

/// Returns the lines of the body, and which of them is selected.
fn body(model: &Model, columns: usize, rows: usize) -> (Vec<Toned>, Option<usize>) {
    if model.mode == Mode::Help {
        return (help::lines(columns), None);
    }
    if !model.has_data {
        let text = if model.lost.is_some() {
            "There was no answer."
        } else {
            "Waiting for the first answer."
        };
        return (vec![(Tone::Dim, text.to_owned())], None);
    }
    if let Some(opened) = &model.opened {
        let lines = details::lines(model, columns);
        let most = lines.len().saturating_sub(rows);
        let skipped = lines.into_iter().skip(opened.scroll.min(most));
        return (skipped.take(rows).collect(), None);
    }
    let preface = preface(model, columns);
    list(preface, &model.table(), model.cursor().index, columns, rows)
}

/// Returns the lines above the table of a screen.
fn preface(model: &Model, columns: usize) -> Vec<Toned> {
    match model.screen {
        Screen::Overview => overview::lines(model, columns),
        Screen::Isolates => vec![(Tone::Dim, isolates_summary(model))],
        Screen::Pools | Screen::Calls => Vec::new(),
        Screen::Waits => waits_summary(model, columns),
        Screen::Threads => {
            let queued = count(model.threads.queued);
            let queued = format!("{queued} isolates in the queue of all threads");
            let mut lines = vec![(Tone::Dim, queued)];
            lines.extend(native_ports(model, columns));
            lines
        }
        Screen::Log => match model.dropped {
            0 => Vec::new(),
            dropped => vec![(
                Tone::Warning,
                format!("{} missed", several(dropped, "event")),
            )],
        },
    }
}

/// Returns the table of the native ports, and a line between it and the next table; nothing if there
/// are no ports.
fn native_ports(model: &Model, columns: usize) -> Vec<Toned> {
    let table = tables::native_ports(&model.threads.native_ports);
    if table.rows.is_empty() {
        return Vec::new();
    }
    let layout = table.layout(columns, &table.rows);
    let rows = table.rows.iter();
    iter::once((Tone::Title, table.titles(&layout)))
        .chain(rows.map(|row| (row.tone, table.row(&layout, row))))
        .chain(iter::once((Tone::Plain, String::new())))
        .collect()
}

fn isolates_summary(model: &Model) -> String {
    let isolates = &model.isolates;
    let mut text = several(isolates.total, "isolate");
    if !model.filter.is_empty() {
        let filter = clean(&model.filter);
        text = format!("{text}, {} with \"{filter}\"", isolates.matched);
    }
    let shown = isolates.isolates.len();
    if u64::try_from(shown).is_ok_and(|shown| shown < isolates.matched) {
        text = format!("{text}, the first {shown}");
    }
    format!("{text}, by {}", model.sort.parameter())
}

fn waits_summary(model: &Model, columns: usize) -> Vec<Toned> {
    let waits = &model.waits;
    let mut lines = Vec::new();
    for cycle in &waits.cycles {
        // The first one again, which shows that it is a cycle.
        let parties = cycle.iter().chain(cycle.first());
        let names: Vec<_> = parties.map(tables::party).collect();
        let text = format!("cycle: {}", names.join(" -> "));
        lines.push((Tone::Bad, fit(&text, columns)));
    }
    if waits.unanswered > 0 {
        let text = format!(
            "{} did not say in time what they wait for: they compute or block",
            several(waits.unanswered, "isolate")
        );
        lines.push((Tone::Warning, text));
    }
    lines
}

/// Returns a table below its preface, with the rows around the selected one.
fn list(
    preface: Vec<Toned>,
    table: &Table,
    selected: usize,
    columns: usize,
    rows: usize,
) -> (Vec<Toned>, Option<usize>) {
    let mut lines = preface;
    // A long preface leaves the half of the screen to the table, if that has rows.
    if !table.rows.is_empty() {
        lines.truncate(rows.saturating_sub(4).max(rows / 2));
    }
    let room = rows.saturating_sub(lines.len() + 1);
    let most = table.rows.len().saturating_sub(room);
    let first = selected.saturating_sub(room / 2).min(most);
    let end = first.saturating_add(room).min(table.rows.len());
    let in_sight = &table.rows[first..end];
    let layout = table.layout(columns, in_sight);
    lines.push((Tone::Title, table.titles(&layout)));
    let above = lines.len();
    if table.rows.is_empty() {
        lines.push((Tone::Dim, "none".to_owned()));
        return (lines, None);
    }
    lines.extend(
        in_sight
            .iter()
            .map(|row| (row.tone, table.row(&layout, row))),
    );
    let selected = selected.checked_sub(first).map(|row| row + above);
    (lines, selected)
}
