//! Compares the page with kept layouts.
//!
//! The page shows a program that is always the same (`fixed.js`), without a clock, in a font of boxes.
//! Compared are the places, sizes and texts of the elements, in a wide and in a narrow window, and
//! their colors in both looks. Pixels would differ with the fonts and the version of the browser, and
//! could not say what has moved; colors and places are those of the style sheet on any machine.

use std::fs;
use std::path::Path;

use super::page::Page;
use super::{Browser, Program, SIZE, SMALL, Verdict, failed, is_renewed};

/// Runs before the page's scripts.
const FIXED: &str = include_str!("fixed.js");

/// Browsers differ in a few pixels of their fields.
const TOLERANCE: i64 = 4;

/// The differences that are told.
const MOST_TOLD: usize = 8;

/// A state of the page: its name, the clicks that lead to it from the one before, and what it has then.
struct Scene(
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const SCENES: &[Scene] = &[
    Scene(
        "overview",
        &[("#tab-overview", "")],
        "tools.count('#overview tbody tr') === 8 && tools.text('#overview .value') === '43'",
    ),
    Scene(
        "pools",
        &[("#tab-pools", "")],
        "tools.count('#pools tbody tr') === 1",
    ),
    Scene(
        "pool",
        &[("#pools tbody button", "mill")],
        "tools.count('.pool .why li') === 2 && tools.text('.pool .value') === '5' && \
         tools.count('.ended tbody tr') === 4 && tools.text('.heat figcaption').includes('p99') && \
         tools.find('.heat canvas').ariaLabel.includes('median up to 1.02 ms, p99 up to 4.1 ms')",
    ),
    Scene(
        "threads",
        &[("#tab-threads", "")],
        "tools.count('#threads tbody tr') === 6",
    ),
    Scene(
        "waits",
        &[("#tab-waits", "")],
        "tools.count('.box') === 9 && tools.count('#waits tbody tr') === 6",
    ),
    Scene(
        "profile",
        &[("#tab-profile", ""), ("#profile button", "Start")],
        "tools.count('.flame') === 8 && tools.count('#profile tbody tr') === 4",
    ),
    Scene(
        "events",
        &[("#tab-events", "")],
        "tools.count('#events tbody tr') === 40",
    ),
    Scene(
        "isolates",
        &[("#tab-isolates", "")],
        "tools.count('#isolates tbody tr:not(.loading)') === 10",
    ),
    Scene(
        "isolate",
        &[("#isolates tbody th", "hen")],
        "tools.count('aside .why li') === 3",
    ),
    Scene(
        "question",
        &[("aside button", "Kill")],
        "tools.find('#ask-yes', 'Kill')",
    ),
];

/// The sections of a layout: its name, the window, the look, and what is written of it.
const SECTIONS: &[(&str, (u32, u32), &str, &str)] = &[
    ("wide", SIZE, "light", "tools.layout()"),
    ("narrow", SMALL, "light", "tools.layout()"),
    ("light", SIZE, "light", "tools.colors()"),
    ("dark", SIZE, "dark", "tools.colors()"),
];

/// Compares each scene with its kept layout, or keeps it.
pub(super) fn compare(browser: &Browser, program: &Program, root: &Path, folder: &Path) -> Verdict {
    let mut texts = vec![String::new(); SCENES.len()];
    for (name, size, look, content) in SECTIONS {
        let mut page = Page::open(browser.connect()?, *size)?;
        page.add_script(FIXED)?;
        page.fix_surroundings()?;
        page.prefer(look)?;
        page.load_program(&program.address)?;
        for (Scene(_, clicks, ready), text) in SCENES.iter().zip(&mut texts) {
            for (selector, part) in *clicks {
                page.click(selector, part)?;
            }
            page.wait("the scene", ready)?;
            page.draw()?;
            let lines = page.value(&format!("{content}.join('\\n')"))?;
            text.push_str(&format!(
                "# {name}\n{}\n",
                lines.as_str().unwrap_or_default()
            ));
        }
        let complaints = page.take_complaints()?;
        if !complaints.is_empty() {
            return Err(failed(format!("the browser complains: {complaints:?}")));
        }
    }
    let kept = root.join("xtask/src/test/inspector/layouts");
    let now = if is_renewed() {
        kept.clone()
    } else {
        folder.join("layouts")
    };
    fs::create_dir_all(&now).map_err(failed)?;
    for (Scene(name, ..), text) in SCENES.iter().zip(&texts) {
        fs::write(now.join(format!("{name}.txt")), text).map_err(failed)?;
    }
    SCENES
        .iter()
        .zip(&texts)
        .try_for_each(|(Scene(name, ..), text)| check(name, &kept, text))
}

fn check(scene: &str, kept: &Path, text: &str) -> Verdict {
    let path = kept.join(format!("{scene}.txt"));
    let before = fs::read_to_string(&path).unwrap_or_default();
    let differences = differences(&before, text);
    if differences.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = differences
        .iter()
        .take(MOST_TOLD)
        .map(String::as_str)
        .collect();
    Err(failed(format!(
        "the page has another layout than {}, in {} lines:\n{}\nWhat it is now is in target/inspector/layouts. \
         If the change is meant, keep it: INSULA_PICTURES=renew cargo xtask test --full \
         \"--step=the inspector in a browser\"",
        path.display(),
        differences.len(),
        told.join("\n"),
    )))
}

/// Returns what differs between two layouts, with the section and the line of each difference.
fn differences(kept: &str, now: &str) -> Vec<String> {
    let (mut kept, mut now) = (kept.lines(), now.lines());
    let mut section = "";
    let mut found = Vec::new();
    for line in 1.. {
        let pair = (kept.next(), now.next());
        if let Some(name) = pair.0.and_then(|it| it.strip_prefix("# ")) {
            section = name;
        }
        match pair {
            (None, None) => break,
            (Some(before), Some(after)) if is_alike(before, after) => {}
            (before, after) => found.push(format!(
                "{section}, line {line}: {} is now {}",
                before.map_or("nothing", str::trim),
                after.map_or("nothing", str::trim)
            )),
        }
    }
    found
}

/// Returns whether two lines differ in nothing but a few pixels.
fn is_alike(kept: &str, now: &str) -> bool {
    if kept == now {
        return true;
    }
    let (Some((kept, before)), Some((now, after))) = (place(kept), place(now)) else {
        return false;
    };
    let mut pairs = before.into_iter().zip(after);
    kept == now && pairs.all(|(before, after)| (before - after).abs() <= TOLERANCE)
}

/// Splits the line of an element into what it is, and its place and size.
fn place(line: &str) -> Option<(&str, [i64; 4])> {
    let mut rest = line.trim_start();
    let mut numbers = [0; 4];
    for number in &mut numbers {
        let (first, others) = rest.split_once(' ')?;
        *number = first.parse().ok()?;
        rest = others;
    }
    Some((rest, numbers))
}

#[cfg(test)]
mod tests;
