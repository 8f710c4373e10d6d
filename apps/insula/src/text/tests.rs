//! Texts from programs that mean harm, and numbers at their limits.

use super::*;

#[test]
fn nothing_that_acts_on_a_terminal_is_left() {
    for (hostile, cleaned) in [
        ("plain", "plain"),
        ("größe 日本 ✓", "größe 日本 ✓"),
        ("\u{1b}[31mred", "\u{fffd}[31mred"),
        ("\u{9b}31m", "\u{fffd}31m"),
        (
            "a\nb\r\tc\u{7f}\0",
            "a\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}\u{fffd}",
        ),
        ("\u{1b}]52;c;aGk=\u{7}", "\u{fffd}]52;c;aGk=\u{fffd}"),
        ("exe\u{202e}gpj", "exe\u{fffd}gpj"),
        ("\u{2066}a\u{2069}", "\u{fffd}a\u{fffd}"),
        ("a\u{200b}b\u{feff}", "a\u{fffd}b\u{fffd}"),
        ("a\u{2028}b", "a\u{fffd}b"),
        ("\u{2764}\u{fe0f}", "\u{2764}"),
        ("\u{e0041}", "\u{fffd}"),
    ] {
        assert_eq!(clean(hostile), cleaned, "{hostile:?}");
    }
}

#[test]
fn marks_on_one_base_are_few() {
    let tower = format!("a{}b", "\u{301}".repeat(1_000));
    let cleaned = clean(&tower);
    assert_eq!(cleaned.chars().count(), 2 + MAX_MARKS);
    assert_eq!(width(&cleaned), 2);
}

#[test]
fn a_huge_text_is_cut() {
    assert_eq!(clean(&"a".repeat(1 << 20)).len(), MAX_CHARACTERS);
}

#[test]
fn json_keeps_its_meaning_and_acts_on_no_terminal() {
    let text = "\u{1b}[2J \u{9b} \u{202e} \u{7f} \u{e0041} größe\n";
    let json = serde_json::to_string_pretty(&[text]).unwrap();
    let cleaned = clean_json(&json);
    assert!(!cleaned.chars().any(|it| it != '\n' && is_hostile(it)));
    let back: Vec<String> = serde_json::from_str(&cleaned).unwrap();
    assert_eq!(back, [text]);
}

#[test]
fn texts_are_cut_to_the_columns_that_they_occupy() {
    for (text, columns, kept) in [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("日本語", 1, "…"),
        ("abc", 0, ""),
        ("", 0, ""),
    ] {
        assert_eq!(fit(text, columns), kept, "{text} in {columns}");
    }
    for columns in 0..10 {
        assert_eq!(width(&pad("日本語", columns, false)), columns);
        assert_eq!(width(&pad("日本語", columns, true)), columns);
    }
    assert_eq!(pad("7", 3, true), "  7");
}

#[test]
fn no_line_of_a_paragraph_is_too_wide() {
    let text = "It waits for an answer of 日本語日本語 and abcdefghijklmnop";
    for columns in 2..30 {
        let lines = wrap(text, columns);
        assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
        let letters = |text: &str| text.replace(' ', "");
        assert_eq!(letters(&lines.concat()), letters(text), "{columns}");
    }
    assert_eq!(wrap("a b", 10), ["a b"]);
    assert_eq!(wrap("", 10), [""]);
    assert!(!wrap("日", 0).is_empty());
}

#[test]
fn numbers_have_the_unit_of_their_size() {
    let counts = [0, 9_999, 10_000, 123_456, 1_500_000, u64::MAX].map(count);
    assert_eq!(counts, ["0", "9999", "10.0k", "123k", "1500k", "18.4E"]);
    let sizes = [999, 1_000, 2_500_000, 3_000_000_000].map(bytes);
    assert_eq!(sizes, ["999 B", "1.0 kB", "2.5 MB", "3.0 GB"]);
    let rates = [0.0, 0.25, 12.0, 45_678.0, f64::NAN, f64::INFINITY, -1.0].map(rate);
    assert_eq!(rates, ["0", "0.2", "12", "45.7k", "0", "0", "0"]);
}

#[test]
fn spans_have_the_unit_of_their_size() {
    let spans = [0, 999, 1_500, 99_999, 100_000, 3_600_000, 90_000_000].map(millis);
    assert_eq!(
        spans,
        [
            "0 ms", "999 ms", "1.5 s", "99.9 s", "1m40s", "1h00m", "1d01h"
        ]
    );
    let _ = millis(u64::MAX);
    let short = [0.5, 250.0, 1_500.0, 250_000.0, 2_000_000.0, f64::NAN, -1.0].map(micros);
    assert_eq!(
        short,
        ["0.5 µs", "250 µs", "1.5 ms", "250 ms", "2.0 s", "-", "-"]
    );
    let _ = micros(f64::MAX);
    assert_eq!(instant(61_005), "61.005");
    assert_eq!(
        [several(1, "call"), several(2, "call")],
        ["1 call", "2 calls"]
    );
}
