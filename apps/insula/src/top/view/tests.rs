//! Every screen, drawn without a terminal: of usual sizes and of absurd ones, full and empty, with
//! names that mean harm, and after the connection has ended.

mod program;

use insula_inspect::model::Threads;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Modifier;

use super::*;
use crate::look::Look;
use program::{HOSTILE, busy, hostile, idle};

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 10), (200, 60)];

/// Keys, and a word that must be on a screen of 80 columns after them.
const VIEWS: [(&str, &str); 12] = [
    ("1", "turns/s"),
    ("2", "NAME"),
    ("2\n", "WHY"),
    ("2k", "y/n"),
    ("2/ma", "/ma_"),
    ("3", "PHASE"),
    ("3\n", "answered"),
    ("4", "METHOD"),
    ("5", "WAITS FOR"),
    ("6", "THREAD"),
    ("7", "EVENT"),
    ("?", "Ctrl-C"),
];

const COLORS: Palette = Palette { has_color: true };
const NO_COLORS: Palette = Palette { has_color: false };

fn draw_with(model: &mut Model, (columns, rows): (u16, u16), palette: Palette) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    measure(model, Rect::new(0, 0, columns, rows));
    terminal.draw(|frame| draw(frame, model, palette)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let columns = usize::from(buffer.area.width).max(1);
    let line = |cells: &[ratatui::buffer::Cell]| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    };
    buffer.content.chunks(columns).map(line).collect()
}

/// Draws on 80 columns and 24 lines.
fn screen(model: &mut Model) -> String {
    lines(&draw_with(model, (80, 24), COLORS)).join("\n")
}

/// Presses keys, with a look after each, as a program would answer.
fn press(model: &mut Model, keys: &str, look: &Look) {
    for key in keys.chars() {
        model.on_key(match key {
            '\n' => KeyEvent::from(KeyCode::Enter),
            '↓' => KeyEvent::from(KeyCode::Down),
            key => KeyEvent::from(KeyCode::Char(key)),
        });
        model.on_look(look.clone());
    }
}

fn model(look: &Look) -> Model {
    let mut model = Model::new(Source::Live);
    model.on_look(look.clone());
    model
}

#[test]
fn every_view_of_a_busy_program_shows_what_it_is_for() {
    for (keys, word) in VIEWS {
        let mut model = model(&busy());
        press(&mut model, keys, &busy());
        for size in SIZES {
            let text = lines(&draw_with(&mut model, size, COLORS)).join("\n");
            if size.0 >= 80 {
                assert!(text.contains(word), "{keys:?} at {size:?}:\n{text}");
            }
            assert!(text.contains("images"), "{keys:?} at {size:?}:\n{text}");
        }
    }
}

#[test]
fn the_overview_has_the_numbers_and_their_course() {
    let mut model = model(&busy());
    for second in 1..=30_u64 {
        let mut look = busy();
        look.vm.now.at_ms += second * 1_000;
        look.vm.now.turns_total += second * second * 100;
        model.on_look(look);
    }
    let text = screen(&mut model);
    for part in [
        "pid 4711",
        "CONTROL",
        "[1 overview]",
        "turns/s",
        "5900",
        "▁",
        "█",
        "memory",
        "cpu",
        "stuck",
        "worker 2 of thumbs was lost",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn the_details_have_sentences_ports_and_waits() {
    let mut model = model(&busy());
    press(&mut model, "2\n", &busy());
    let text = screen(&mut model);
    for part in [
        "decoder (isolates/7)",
        "blocks its thread",
        "It waits for writer",
        "PORTS",
        "src/decode.rs",
        "of 1234 ports",
        "WAITS",
        "writer (isolates/8)",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    press(&mut model, "3\n", &busy());
    let text = screen(&mut model);
    for part in [
        "thumbs (pools/1)",
        "degraded",
        "3 of 4 workers ready",
        "panicked 2",
        "p99 12.5 ms",
        "One worker is lost",
        "Images.thumbnail",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn native_ports_are_above_the_threads_of_the_pool() {
    let mut model = model(&busy());
    press(&mut model, "6", &busy());
    let text = screen(&mut model);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}:\n{text}"));
    assert!(place("NATIVE PORT") < place("4567"), "{text}");
    assert!(place("4567") < place("ISOLATE"), "{text}");
    let lacking = Look {
        threads: Some(Threads::default()),
        ..busy()
    };
    model.on_look(lacking);
    assert!(!screen(&mut model).contains("NATIVE PORT"));
}

#[test]
fn calls_begin_with_the_oldest_and_cycles_are_told() {
    let mut model = model(&busy());
    press(&mut model, "4", &busy());
    let text = screen(&mut model);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}:\n{text}"));
    assert!(place("1m40s") < place("20 ms"), "{text}");
    press(&mut model, "5", &busy());
    let text = screen(&mut model);
    assert!(
        text.contains("decoder (isolates/7) -> writer (isolates/8) -> decoder"),
        "{text}"
    );
}

#[test]
fn no_size_of_the_screen_is_a_panic() {
    for look in [busy(), idle(), hostile()] {
        for (keys, _) in VIEWS {
            let mut model = model(&look);
            press(&mut model, keys, &look);
            for columns in [1, 2, 3, 7, 20, 41] {
                for rows in [1, 2, 3, 4, 5, 6, 7, 9, 13] {
                    draw_with(&mut model, (columns, rows), COLORS);
                }
            }
        }
    }
}

#[test]
fn names_that_mean_harm_act_on_no_view() {
    for (keys, _) in VIEWS {
        let mut model = model(&hostile());
        press(&mut model, keys, &hostile());
        for size in SIZES {
            let buffer = draw_with(&mut model, size, COLORS);
            for cell in &buffer.content {
                let symbol = cell.symbol();
                assert_eq!(symbol, clean(symbol), "{keys:?} at {size:?}: {symbol:?}");
            }
        }
        // On a filter the user's own letters are shown, and on the help none of the program.
        if !keys.contains(['/', '?']) {
            let text = screen(&mut model);
            assert!(text.contains('\u{fffd}'), "{keys:?}:\n{text}");
        }
    }
    let mut model = model(&idle());
    for text in HOSTILE {
        model.on_notice(text);
        assert!(!screen(&mut model).contains('\u{1b}'));
        model.on_lost(text);
    }
}

#[test]
fn a_program_with_nothing_to_show_is_told_so() {
    for (keys, word) in [
        ("1", "none"),
        ("2", "none"),
        ("3", "none"),
        ("4", "none"),
        ("5", "none"),
        ("6", "none"),
        ("7", "none"),
    ] {
        let mut model = model(&idle());
        press(&mut model, keys, &idle());
        let text = screen(&mut model);
        assert!(text.contains(word), "{keys:?}:\n{text}");
    }
    let mut model = Model::new(Source::Live);
    let text = screen(&mut model);
    assert!(text.contains("Waiting for the first answer"), "{text}");
    assert!(text.contains("CONNECTING"), "{text}");
}

#[test]
fn a_lost_connection_keeps_the_last_screen_and_says_how_to_leave() {
    for (keys, word) in VIEWS {
        let mut model = model(&busy());
        press(&mut model, keys, &busy());
        model.on_lost("the connection has ended; look whether the program has ended");
        let text = screen(&mut model);
        assert!(text.contains("ENDED"), "{text}");
        assert!(
            text.contains("the connection has ended") && text.contains("q: quit"),
            "{keys:?}:\n{text}"
        );
        let is_input = ["2k", "2/ma", "?"].contains(&keys);
        assert!(is_input || text.contains(word), "{keys:?}:\n{text}");
    }
}

#[test]
fn frozen_screens_and_records_are_marked() {
    let mut model = model(&busy());
    press(&mut model, " ", &busy());
    assert!(screen(&mut model).contains("FROZEN"));
    let mut model = Model::new(Source::Record {
        at: 0,
        looks: 40,
        is_playing: false,
    });
    model.show(&[busy(), busy()], 1);
    let text = screen(&mut model);
    assert!(text.contains("RECORD 2/40"), "{text}");
    assert!(text.contains("left/right: step"), "{text}");
}

#[test]
fn without_colors_there_are_none_and_the_selection_is_seen() {
    for (keys, _) in VIEWS {
        let mut model = model(&busy());
        press(&mut model, keys, &busy());
        let buffer = draw_with(&mut model, (80, 24), NO_COLORS);
        for cell in &buffer.content {
            assert_eq!(cell.fg, Color::Reset, "{keys:?}");
            assert_eq!(cell.bg, Color::Reset, "{keys:?}");
        }
        let is_seen = |buffer: &Buffer| {
            let mut cells = buffer.content.iter();
            cells.any(|cell| cell.modifier.contains(Modifier::REVERSED))
        };
        let is_list = ["2", "3", "4", "5", "6", "7"].contains(&keys);
        assert!(!is_list || is_seen(&buffer), "{keys:?}");
    }
}

#[test]
fn the_selected_row_is_in_sight_wherever_it_is() {
    let mut look = busy();
    let isolates = look.isolates.as_mut().unwrap();
    let row = isolates.isolates[0].clone();
    isolates.isolates = (1..=500)
        .map(|number| {
            let mut row = row.clone();
            row.id = format!("isolates/{number}");
            row.name = format!("row-{number}-of-500");
            row
        })
        .collect();
    let mut model = model(&look);
    press(&mut model, "2", &look);
    for key in [
        KeyCode::Home,
        KeyCode::Down,
        KeyCode::PageDown,
        KeyCode::PageDown,
        KeyCode::End,
        KeyCode::PageUp,
        KeyCode::Up,
    ] {
        model.on_key(KeyEvent::from(key));
        let number = model.cursor().index + 1;
        for size in SIZES {
            let text = lines(&draw_with(&mut model, size, COLORS)).join("\n");
            let name = format!("row-{number}-");
            assert!(text.contains(&name), "{name} at {size:?}:\n{text}");
        }
    }
}

#[test]
fn details_scroll_to_their_last_line_and_not_beyond() {
    let mut model = model(&busy());
    press(&mut model, "3\n", &busy());
    for _ in 0..200 {
        model.on_key(KeyEvent::from(KeyCode::PageDown));
        draw_with(&mut model, (40, 10), COLORS);
    }
    let text = lines(&draw_with(&mut model, (40, 10), COLORS)).join("\n");
    // The last table has the calls.
    assert!(text.contains("thumbnail"), "{text}");
    model.on_key(KeyEvent::from(KeyCode::Home));
    let text = lines(&draw_with(&mut model, (40, 10), COLORS)).join("\n");
    assert!(text.contains("thumbs (pools/1)"), "{text}");
}
