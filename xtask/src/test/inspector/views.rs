//! A visit to each view of the page, with what must be there.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::page::Page;
use super::remote::Remote;
use super::{Program, SIZE, SMALL, Verdict, failed, find};
use crate::test::browser::{Color, Picture};

/// The views in the order of their tabs, and what each shows of the program.
const VIEWS: &[(&str, &str)] = &[
    (
        "overview",
        "tools.texts('#overview .value').some((text) => parseInt(text) > 300)",
    ),
    ("isolates", "tools.count('#isolates tbody tr') > 10"),
    ("pools", "tools.find('#pools tbody tr', 'millstones')"),
    ("threads", "tools.find('#threads tbody tr', 'slow-disk')"),
    ("waits", "tools.find('#waits tbody tr', 'chicken')"),
    ("profile", "tools.find('#profile button', 'Start')"),
    ("events", "tools.count('#events tbody tr') > 10"),
];

/// The ways to ask for each look, and the colors of the page's background, as in its style sheet.
const LOOKS: &[(&str, Color)] = &[("light", [0xf7, 0xf8, 0xf9]), ("dark", [0x14, 0x17, 0x1a])];

/// The longest time until the program has done what the page has asked it for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Visits all views.
pub(super) fn visit(page: &mut Page, program: &Program, folder: &Path) -> Verdict {
    let mut visit = Visit {
        page,
        remote: program.connect()?,
        folder,
    };
    visit.page.load_program(&program.address)?;
    visit.first_view()?;
    visit.all_views_by_mouse()?;
    visit.all_views_by_keys()?;
    visit.table_of_isolates()?;
    visit.orders_to_isolates()?;
    visit.hostile_name()?;
    visit.cycle()?;
    visit.pool()?;
    visit.profile()?;
    visit.looks()?;
    visit.small_window()
}

struct Visit<'a> {
    page: &'a mut Page,
    /// A connection of its own to the program.
    remote: Remote,
    folder: &'a Path,
}

impl Visit<'_> {
    fn first_view(&mut self) -> Verdict {
        self.page
            .wait("a connection", "tools.text('#connection') === 'Live'")?;
        let vm = self.remote.call("getVM", json!({}))?;
        let process = json!(format!("process {} ", vm["pid"]));
        self.expect(
            "the name of the program",
            "tools.text('#program') === 'mill'",
        )?;
        self.expect(
            "its process",
            &format!("tools.text('#facts').startsWith({process})"),
        )?;
        self.expect("its numbers", VIEWS[0].1)?;
        self.expect("a title", "document.title === 'Overview · mill'")?;
        self.expect("an address without the token", "location.hash === ''")?;
        self.is_fine("the first view")
    }

    fn all_views_by_mouse(&mut self) -> Verdict {
        for (view, content) in VIEWS {
            self.page.click(&format!("#tab-{view}"), "")?;
            self.expect_view(view, content)?;
        }
        Ok(())
    }

    fn all_views_by_keys(&mut self) -> Verdict {
        self.page.click("#tab-overview", "")?;
        self.page.value("document.activeElement.blur()")?;
        self.press_until("Tab", "document.activeElement.role === 'tab' || document.activeElement.getAttribute('role') === 'tab'")?;
        for (view, content) in VIEWS {
            self.page.press("Enter")?;
            self.expect_view(view, content)?;
            self.page.press("ArrowRight")?;
        }
        // After the last tab comes the first one.
        self.page.press("Enter")?;
        self.expect_view(VIEWS[0].0, VIEWS[0].1)
    }

    fn table_of_isolates(&mut self) -> Verdict {
        let first = |place: usize, text: &str| {
            format!(
                "tools.text('#isolates tbody tr > :nth-child({place})') === {}",
                json!(text)
            )
        };
        self.page.click("#tab-isolates", "")?;
        // The names of all isolates in order, of which the first and the last are known.
        self.filter("shelf-")?;
        self.expect(
            "300 isolates",
            "tools.text('#isolates .counts').startsWith('300 of ')",
        )?;
        self.page.click("#isolates thead button", "Name")?;
        self.expect("the first name", &first(1, "shelf-000"))?;
        self.page.click("#isolates thead button", "Name")?;
        self.expect("the last name", &first(1, "shelf-299"))?;
        self.expect(
            "a sign of the order",
            "tools.find('th[aria-sort=descending]', 'Name')",
        )?;
        self.filter("")?;
        // The page waits for the end of the typing, and then begins at the first row again.
        self.expect(
            "all isolates",
            "!tools.text('#isolates .counts').includes(' of ')",
        )?;
        self.page.click("#isolates thead button", "Turns")?;
        // The sign of the order is there from the first frame on, and the rows of the order before are gone.
        let turns = "
            tools.find('th[aria-sort=descending]', 'Turns') && tools.count('#isolates tbody tr.loading') === 0 &&
            tools.texts('#isolates tbody tr > :nth-child(5)').map((text) => Number(text.replaceAll(',', '')))
                .every((turns, row, all) => row === 0 || turns <= all[row - 1]) && tools.count('#isolates tbody tr') > 10";
        self.expect("an order of numbers", turns)?;
        // By keys alone: the last row, its detail, and back.
        self.page
            .value("tools.find('#isolates [role=grid]').focus()")?;
        self.page.press("End")?;
        self.expect(
            "a selected last row",
            "tools.find('tr[aria-selected=true]:not(.loading)')?.ariaRowIndex > 300",
        )?;
        self.page.press("Enter")?;
        self.expect("the detail", "tools.find('#isolates aside dl')")?;
        self.expect(
            "the focus on its title",
            "document.activeElement.tagName === 'H2'",
        )?;
        self.page.press("Escape")?;
        self.expect("no detail", "tools.find('#isolates aside') === undefined")?;
        self.is_fine("the table of isolates")
    }

    fn orders_to_isolates(&mut self) -> Verdict {
        let name = "shelf-007";
        self.open_isolate(name)?;
        self.photograph("isolate")?;
        self.page.click("aside button", "Ping")?;
        self.expect(
            "an answer to a ping",
            "tools.text('#done').includes('answered after')",
        )?;
        self.page.click("aside button", "Pause")?;
        self.until(
            "is paused",
            |isolate| isolate["state"] == json!("paused"),
            name,
        )?;
        self.expect("the state", "tools.text('aside .state') === 'Paused'")?;
        self.page.click("aside button", "Resume")?;
        self.until("goes on", |isolate| isolate["state"] == json!("idle"), name)?;
        self.page.click("aside button", "Kill")?;
        self.expect(
            "a question",
            "tools.text('#ask-text').includes('shelf-007')",
        )?;
        self.is_fine("the question")?;
        self.photograph("question")?;
        self.page.click("#ask button", "Cancel")?;
        self.expect("no question", "tools.find('#ask') === undefined")?;
        self.page.click("aside button", "Kill")?;
        self.page.press("Escape")?;
        self.expect("no question", "tools.find('#ask') === undefined")?;
        self.expect("the detail", "tools.find('aside', 'shelf-007')")?;
        let isolate = find(&mut self.remote, name)?;
        let id =
            isolate.ok_or_else(|| failed("a question that was denied has killed"))?["id"].clone();
        self.page.click("aside button", "Kill")?;
        self.page.click("#ask button", "Kill")?;
        self.until("has ended", Value::is_null, name)?;
        let answer = self.remote.ask("getIsolate", json!({ "isolateId": id }))?;
        if answer["error"]["code"] != json!(105) {
            return Err(failed(format!(
                "an isolate that was killed is still there: {answer}"
            )));
        }
        self.expect(
            "a note of its end",
            "tools.text('aside .note').includes('has ended')",
        )?;
        self.is_fine("the orders")
    }

    /// The name must be there, as text.
    fn hostile_name(&mut self) -> Verdict {
        self.page.click("#tab-isolates", "")?;
        self.filter("onerror")?;
        let shown = json!(r"<img src=x onerror=alert(1)>\nand a second line");
        self.expect(
            "the name in the table",
            &format!("tools.text('#isolates tbody th') === {shown}"),
        )?;
        self.page.click("#isolates tbody th", "onerror")?;
        self.expect(
            "the name as a title",
            &format!("tools.text('aside h2') === {shown}"),
        )?;
        self.photograph("hostile")?;
        self.is_fine("a hostile name")?;
        self.filter("")
    }

    fn cycle(&mut self) -> Verdict {
        self.page.click("#tab-waits", "")?;
        let sentence =
            "tools.find('.cycles li', 'chicken')?.textContent.includes('egg waits for chicken')";
        self.expect("the cycle in words", sentence)?;
        self.expect("two boxes of a cycle", "tools.count('.box.cycle') === 2")?;
        self.expect("two arrows of a cycle", "tools.count('.arrow.cycle') === 2")?;
        self.expect("two rows of a cycle", "tools.texts('#waits tr.alarm').filter((text) => text.includes('In a cycle')).length === 2")?;
        self.page.click(".box.cycle", "egg")?;
        self.expect("the isolate of a box", "tools.text('aside h2') === 'egg'")?;
        self.expect("a reason", "tools.find('aside .why li', 'part of a cycle')")?;
        self.is_fine("the cycle")
    }

    fn pool(&mut self) -> Verdict {
        self.page.click("#tab-pools", "")?;
        self.page.click("#pools button", "millstones")?;
        self.expect(
            "four workers",
            "tools.texts('#pools tbody .state').filter((text) => text === 'Ready').length === 4",
        )?;
        for method in ["Mill.grind", "Mill.polish"] {
            let row = format!("tools.find('#pools tbody th', '{method}')");
            let answered = format!("parseInt({row}?.nextElementSibling.textContent) > 0");
            self.expect("a method with answers", &answered)?;
        }
        self.expect("calls that run", "tools.count('#pools .age') > 0")?;
        self.expect("the size", "tools.find('#pools input').value === '4'")?;
        self.is_fine("the pool")?;
        self.photograph("pool")?;
        // Four workers answer some 32 calls in a second. The clicks before have asked for data at any
        // moment, from which no rate follows.
        self.expect("a rate that can be", "parseInt(tools.find('#pools .chart', 'Calls/s').querySelector('.highest').textContent.replace('highest ', '')) < 100")?;
        self.page.enter("#pools input", "3")?;
        self.page.click("#pools button", "Resize")?;
        self.expect(
            "three workers",
            "tools.texts('#pools tbody .state').filter((text) => text === 'Ready').length === 3",
        )?;
        let pools = self.remote.call("getPools", json!({}))?;
        match pools["pools"][0]["ready"] == json!(3) {
            true => self.is_fine("the resized pool"),
            false => Err(failed(format!("the pool was not resized: {pools}"))),
        }
    }

    fn profile(&mut self) -> Verdict {
        self.page.click("#tab-profile", "")?;
        self.page.enter("#profile input", "2")?;
        self.page.click("#profile button", "Start")?;
        self.expect("a flame graph", "tools.find('.flame', 'slow-disk')")?;
        self.expect("stacks", "tools.find('#profile tbody tr', 'slow-disk')")?;
        self.expect(
            "a way to save it",
            "tools.find('#profile button', 'Save').disabled === false",
        )?;
        self.page.click(".flame", "slow-disk")?;
        self.expect(
            "a frame over the whole width",
            "tools.find('.flame', 'slow-disk').style.width === '100%'",
        )?;
        self.is_fine("the profile")
    }

    /// Takes pictures of all views, in light and in dark.
    fn looks(&mut self) -> Verdict {
        for (look, background) in LOOKS {
            self.page.prefer(look)?;
            for (view, content) in VIEWS {
                self.page.click(&format!("#tab-{view}"), "")?;
                self.page.wait(view, content)?;
                let file = self.folder.join(format!("{view}-{look}.png"));
                self.page.photograph(&file)?;
                check_picture(&file, *background)?;
            }
        }
        self.page.prefer("light")
    }

    /// Nothing may be wider than a small window.
    fn small_window(&mut self) -> Verdict {
        self.page.resize(SMALL)?;
        for (view, content) in VIEWS {
            self.page.click(&format!("#tab-{view}"), "")?;
            self.expect_view(view, content)?;
            self.expect(
                "no wider page",
                "document.documentElement.scrollWidth <= innerWidth",
            )?;
            self.photograph(&format!("{view}-small"))?;
        }
        self.page.resize(SIZE)
    }

    /// Filters the isolates, and waits for the rows that are left: the page waits for the end of the
    /// typing, and then begins at the first row.
    fn filter(&mut self, text: &str) -> Verdict {
        self.page.enter("#isolates input", text)?;
        let is_filtered = !text.is_empty();
        self.expect(
            "the isolates that fit",
            &format!("tools.text('#isolates .counts').includes(' of ') === {is_filtered}"),
        )
    }

    /// Finds an isolate by its name, and opens its detail.
    fn open_isolate(&mut self, name: &str) -> Verdict {
        self.page.click("#tab-isolates", "")?;
        self.filter(name)?;
        self.expect(
            "one isolate",
            "tools.text('#isolates .counts').startsWith('1 of ')",
        )?;
        self.page.click("#isolates tbody th", name)?;
        self.expect(
            "its detail",
            &format!("tools.text('aside h2') === {}", json!(name)),
        )
    }

    fn expect(&mut self, what: &str, expression: &str) -> Verdict {
        self.page.wait(what, expression)
    }

    fn expect_view(&mut self, view: &str, content: &str) -> Verdict {
        self.expect(view, content)?;
        let shown = format!("tools.count('main > section') === 1 && tools.find('#{view}')");
        self.expect(view, &shown)?;
        self.expect(
            view,
            &format!("tools.find('#tab-{view}').ariaSelected === 'true'"),
        )?;
        self.is_fine(view)
    }

    /// Checks that nothing has gone wrong, that no element came from a name, and that each control
    /// has a name.
    fn is_fine(&mut self, place: &str) -> Verdict {
        let complaints = self.page.take_complaints()?;
        if !complaints.is_empty() {
            return Err(failed(format!(
                "{place}: the browser complains: {complaints:?}"
            )));
        }
        let toast = self.page.value("tools.text('#failure')")?;
        if toast != json!("") {
            return Err(failed(format!("{place}: the page says: {toast}")));
        }
        let pictures = self.page.value("document.querySelectorAll('img').length")?;
        if pictures != json!(0) {
            return Err(failed(format!("{place}: an element came from a name")));
        }
        match self.page.nameless_controls()?.as_slice() {
            [] => Ok(()),
            nameless => Err(failed(format!(
                "{place}: controls without a name: {nameless:?}"
            ))),
        }
    }

    /// Waits until the program itself tells of an isolate what it should; `null` if it has ended.
    fn until(&mut self, what: &str, is_so: fn(&Value) -> bool, name: &str) -> Verdict {
        let start = Instant::now();
        loop {
            let isolate = find(&mut self.remote, name)?.unwrap_or_default();
            if is_so(&isolate) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(failed(format!("not so: {name} {what}: {isolate}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn press_until(&mut self, key: &str, expression: &str) -> Verdict {
        for _ in 0..20 {
            if self.page.value(expression)? == json!(true) {
                return Ok(());
            }
            self.page.press(key)?;
        }
        Err(failed(format!("{key} does not lead to: {expression}")))
    }

    fn photograph(&mut self, name: &str) -> Verdict {
        self.page
            .photograph(&self.folder.join(format!("{name}.png")))
    }
}

fn check_picture(file: &Path, background: Color) -> Verdict {
    let picture = Picture::read(file)?;
    let problem = match () {
        () if picture.first() != Some(background) => "the background has another color",
        () if picture.share(background) < 0.1 => "there is little background",
        // Letters and lines have soft edges.
        () if picture.colors() < 30 => "there are few colors",
        () => return Ok(()),
    };
    Err(failed(format!("{}: {problem}", file.display())))
}
