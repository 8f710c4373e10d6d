//! The pictures of the guide: the page, and the screens of `insula top`.
//!
//! They show the programs of the guide's chapter on the inspector. Numbers and times in them differ from
//! run to run, so they are made only when asked for, and not compared.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::page::Page;
use super::screens::Terminal;
use super::{Browser, Program, Verdict, cargo, failed, folder_of, palette, pass};

/// The programs, by the name of their problem, with the time until the next one starts. Charts have room
/// for one minute.
const PROGRAMS: &[(&str, Duration)] = &[
    ("slow", Duration::from_secs(1)),
    ("cycle", Duration::from_secs(62)),
    (YOUNG, Duration::from_secs(1)),
];

/// The one that is looked at first: its ports become so many that a look takes long.
const YOUNG: &str = "leak";

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
        "isolate",
        "leak",
        (1280, 640),
        &[("#tab-isolates", ""), ("#isolates tbody th", "room")],
        "tools.find('aside .why li', 'open ports')",
    ),
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
        (1000, 492),
        &[("#tab-isolates", "")],
        "tools.count('#isolates tbody tr:not(.loading)') > 5",
    ),
    Shot(
        "pool",
        "slow",
        (1280, 848),
        &[("#tab-pools", ""), ("#pools button", "prices")],
        // A line of some length, and both sentences.
        "tools.find('.pool .line')?.getAttribute('d').split('L').length > 15 && tools.count('.pool .why li') > 1",
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
        (1000, 320),
        &[("#tab-threads", "")],
        "tools.find('#threads .state', 'Stuck') && !tools.texts('#threads td:nth-child(5)').includes('–')",
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
        (1000, 452),
        &[("#tab-waits", "")],
        "tools.count('.box.cycle') === 2 && !tools.texts('#waits td.number').includes('0 ms')",
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
    let start = |name: &&str| Program::run(Command::new(&stuck).arg(name));
    let mut programs = Vec::new();
    for (name, age) in PROGRAMS {
        programs.push(start(name)?);
        thread::sleep(*age);
    }
    let of = |name: &str| {
        let place = PROGRAMS.iter().position(|it| it.0 == name);
        place
            .and_then(|place| programs.get(place))
            .ok_or_else(|| failed("no such program"))
    };
    let guide = root.join("docs/guide/src");
    let insula = folder_of(root, "debug").join("insula");
    for is_young in [true, false] {
        let is_wanted = |program: &str| (program == YOUNG) == is_young;
        for shot in SHOTS.iter().filter(|it| is_wanted(it.1)) {
            let file = guide.join(format!("pictures/inspector-{}.png", shot.0));
            shot.take(browser, &of(shot.1)?.address, &file)?;
        }
        for Screen(name, program, keys, part) in SCREENS.iter().filter(|it| is_wanted(it.1)) {
            let terminal = Terminal::top(&insula, &of(program)?.address)?;
            let text = terminal.show(keys, part)?;
            let file = guide.join(format!("screens/top-{name}.txt"));
            std::fs::write(file, text).map_err(failed)?;
        }
    }
    Ok(())
}

impl Shot {
    fn take(&self, browser: &Browser, address: &str, file: &Path) -> Verdict {
        let Self(name, _, size, clicks, ready) = self;
        let mut page = Page::open(browser.connect()?, *size)?;
        page.fix_surroundings()?;
        page.load_program(address)?;
        page.wait("its data", "tools.text('#overview .value') !== ''")?;
        for (selector, text) in *clicks {
            page.click(selector, text)?;
        }
        page.wait(name, ready)?;
        page.point_nowhere()?;
        palette::shrink(&page.picture()?, file)
    }
}
