//! The pictures of the guide: the page, and the screens of `insula top`.
//!
//! They show the programs of the guide's chapter on the inspector. Numbers and times in them differ from
//! run to run, so they are made only when asked for, and not compared.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::page::Page;
use super::screens::Terminal;
use super::{Browser, Program, Verdict, cargo, failed, folder_of, palette, pass};

/// The age of the programs. Charts have room for one minute.
const AGE: Duration = Duration::from_secs(62);

/// The programs, by the name of their problem.
const PROGRAMS: &[&str] = &["slow", "cycle", "leak"];

/// A picture of the page: its name, the program, the size of the window, the clicks that lead to it
/// from the first view, and what it has then.
struct Shot(
    &'static str,
    &'static str,
    (u32, u32),
    &'static [(&'static str, &'static str)],
    &'static str,
);

const SHOTS: &[Shot] = &[
    Shot(
        "overview",
        "slow",
        (1280, 430),
        &[],
        "tools.text('#overview .value') === '11'",
    ),
    Shot(
        "isolates",
        "slow",
        (1000, 470),
        &[("#tab-isolates", "")],
        "tools.count('#isolates tbody tr:not(.loading)') > 5",
    ),
    Shot(
        "pool",
        "slow",
        (1280, 830),
        &[("#tab-pools", ""), ("#pools button", "prices")],
        "tools.count('.pool .why li') > 1",
    ),
    Shot(
        "profile",
        "slow",
        (1000, 440),
        &[("#tab-profile", ""), ("#profile button", "Start")],
        "tools.find('.flame', 'price')",
    ),
    Shot(
        "threads",
        "slow",
        (1000, 270),
        &[("#tab-threads", "")],
        "tools.count('#threads tbody tr') > 1",
    ),
    Shot(
        "events",
        "slow",
        (1000, 440),
        &[("#tab-events", "")],
        "tools.count('#events tbody tr') > 5",
    ),
    Shot(
        "waits",
        "cycle",
        (1000, 420),
        &[("#tab-waits", "")],
        "tools.count('.box.cycle') === 2",
    ),
    Shot(
        "isolate",
        "leak",
        (1280, 640),
        &[("#tab-isolates", ""), ("#isolates tbody th", "room")],
        "tools.find('aside .why li', 'open ports')",
    ),
];

/// A screen of `insula top`: its name, the program, the keys that lead to it from the first screen, and
/// a text that it has then.
struct Screen(
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const SCREENS: &[Screen] = &[
    Screen("overview", "slow", &[], "prices"),
    Screen("isolates", "slow", &["2"], "caller"),
    Screen("pools", "slow", &["3"], "serving"),
    Screen("pool", "slow", &["3", "Enter"], "calls wait"),
    Screen("calls", "slow", &["4"], "price"),
    Screen("waits", "cycle", &["5"], "cycle"),
    Screen("threads", "slow", &["6"], "prices"),
    Screen("log", "slow", &["7"], "inside of one turn"),
    Screen("isolate", "leak", &["2", "Enter"], "open ports"),
    Screen("help", "slow", &["?"], "this help"),
];

/// Makes all of them anew.
pub(super) fn renew(browser: &Browser, root: &Path) -> Verdict {
    let mut build = cargo(root);
    pass(build.args([
        "build",
        "--package",
        "insula-guide",
        "--package",
        "insula-cli",
    ]))?;
    let stuck = folder_of(root, "debug").join("stuck");
    let programs = PROGRAMS
        .iter()
        .map(|name| Program::run(std::process::Command::new(&stuck).arg(name)));
    let programs = programs.collect::<Result<Vec<_>, _>>()?;
    thread::sleep(AGE);
    let of = |name: &str| {
        let place = PROGRAMS.iter().position(|it| *it == name);
        place
            .and_then(|place| programs.get(place))
            .ok_or_else(|| failed("no such program"))
    };
    let guide = root.join("docs/guide/src");
    for Shot(name, program, size, clicks, ready) in SHOTS {
        let mut page = Page::open(browser.connect()?, *size)?;
        page.load(&of(program)?.address)?;
        page.wait("its data", "tools.text('#overview .value') !== ''")?;
        for (selector, text) in *clicks {
            page.click(selector, text)?;
        }
        page.wait(name, ready)?;
        page.point_nowhere()?;
        let file = guide.join(format!("pictures/inspector-{name}.png"));
        palette::shrink(&page.picture()?, &file)?;
    }
    let insula = folder_of(root, "debug").join("insula");
    for Screen(name, program, keys, part) in SCREENS {
        let terminal = Terminal::top(&insula, &of(program)?.address)?;
        let text = terminal.show(keys, part)?;
        std::fs::write(guide.join(format!("screens/top-{name}.txt")), text).map_err(failed)?;
    }
    Ok(())
}
