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
    visit.waits_for_calls()?;
    visit.pool()?;
    visit.calls_of_pool()?;
    visit.recycled_pool()?;
    visit.profile()?;
    visit.kinds_of_events()?;
    visit.looks()?;
    visit.small_window()?;
    // Last: no call comes to the pool after this.
    visit.drained_pool()
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
        self.page.click("#isolates thead button", "CPU")?;
        // The workers of the pool compute, and what has never run has no time.
        self.expect(
            "an order of times",
            "tools.find('th[aria-sort=descending]', 'CPU') && tools.count('#isolates tbody tr.loading') === 0 && \
             /\\d m?s$/.test(tools.text('#isolates tbody tr > :nth-child(6)'))",
        )?;
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
        for (fact, value) in [("Ports", "/^[1-9]/"), ("CPU time", "/ms$|^–$/")] {
            let text = format!("tools.find('aside dt', '{fact}')?.nextElementSibling.textContent");
            self.expect(fact, &format!("{value}.test({text})"))?;
        }
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

    /// The customers of the pool wait for its workers and for its queue.
    fn waits_for_calls(&mut self) -> Verdict {
        self.page.click("#tab-waits", "")?;
        let called = "tools.find('#waits td .place', 'of pool millstones')";
        self.expect("the call of a wait", called)?;
        self.expect("an arrow of a call", "tools.count('.arrow.call') > 0")?;
        let title = "[...document.querySelectorAll('.graph g > title')].some(({ textContent, nextSibling }) => \
                     textContent.includes('of pool millstones') && nextSibling.matches('.arrow.call'))";
        self.expect("its title", title)?;
        // The names of its workers, which are isolates, begin alike.
        let pool = ".box:has(rect + rect)";
        let name = format!("tools.text('{pool} text') === 'millstones'");
        self.expect("the box of the pool alone", &name)?;
        self.is_fine("waits for calls")?;
        self.page.click(pool, "millstones")?;
        self.expect("that pool", "tools.text('#pools h2') === 'millstones'")
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

    /// The calls that have ended, and the times of each look.
    fn calls_of_pool(&mut self) -> Verdict {
        self.expect("ended calls", "tools.count('.ended tbody tr') > 5")?;
        for method in ["Mill.grind", "Mill.polish"] {
            let row = format!("tools.find('.ended tbody tr', '{method}')");
            let answered = format!("{row}?.textContent.includes('Answered')");
            self.expect("an ended call", &answered)?;
        }
        // A call of 250 ms among such ones is seen.
        let bar = "[...document.querySelectorAll('.ended .span')].some((bars) => bars.lastElementChild.clientWidth > 5)";
        self.expect("a bar", bar)?;
        let is_within = "[...document.querySelectorAll('.ended .span')].every((bars) => bars.scrollWidth <= bars.clientWidth + 4)";
        self.expect("bars on one axis", is_within)?;
        for name in ["Queue wait", "Run time"] {
            let title = format!("tools.find('.heat figcaption', '{name}: median up to ')");
            self.expect("the times of the newest look", &title)?;
        }
        self.expect("labels of times", "['1 µs', '1 ms', '1 s'].every((time) => tools.texts('.heat .times span').includes(time))")?;
        let cells = "tools.find('.heat canvas').getContext('2d').getImageData(0, 0, 120, 27).data.some((byte) => byte > 0)";
        self.expect("cells", cells)?;
        self.expect(
            "them in words",
            "/ look.* median .* p99 /.test(tools.find('.heat canvas').ariaLabel)",
        )?;
        self.is_fine("the calls of the pool")?;
        // Held still, they are counted all the same.
        self.page.click(".ended label", "Follow")?;
        let counts = "parseInt(tools.text('.ended .counts'))";
        let held = "tools.texts('.ended tbody tr').join()";
        self.page.draw()?;
        let before = self.page.value(&format!("[{counts}, {held}]"))?;
        let (count, calls) = (&before[0], &before[1]);
        self.expect("a higher count", &format!("{counts} > {count}"))?;
        self.expect("the same calls", &format!("{held} === {calls}"))?;
        // A pool that is opened again begins anew.
        self.page.click("#pools button", "All pools")?;
        self.page.click("#tab-overview", "")?;
        self.page.click("#tab-pools", "")?;
        self.page.click("#pools button", "millstones")?;
        self.page.click(".ended label", "Follow")?;
        self.expect(
            "calls that are followed",
            "tools.find('.ended input').checked",
        )?;
        self.expect("ended calls", "tools.count('.ended tbody tr') > 0")
    }

    fn recycled_pool(&mut self) -> Verdict {
        self.page.click("#pools button", "Recycle workers")?;
        self.expect(
            "that it was done",
            "tools.text('#done').includes('builds its services anew')",
        )?;
        self.until_pool("has services that were built again", |pool| {
            let workers = pool["workers"].as_array().map_or(&[][..], Vec::as_slice);
            let ready = workers
                .iter()
                .filter(|it| it["condition"] == json!("ready"));
            ready.clone().count() == 3 && ready.into_iter().all(|it| it["incarnation"] != json!(0))
        })?;
        self.is_fine("the recycled pool")
    }

    fn drained_pool(&mut self) -> Verdict {
        self.page.click("#tab-pools", "")?;
        self.page.click("#pools button", "millstones")?;
        self.page.click("#pools button", "Drain")?;
        self.expect(
            "a question",
            "tools.text('#ask-text').includes('millstones')",
        )?;
        self.is_fine("the question about the pool")?;
        self.page.click("#ask button", "Cancel")?;
        self.expect("no question", "tools.find('#ask') === undefined")?;
        self.until_pool("still takes calls", |pool| {
            pool["pool"]["phase"] == json!("serving")
        })?;
        self.page.click("#pools button", "Drain")?;
        self.page.click("#ask button", "Drain")?;
        let has_ended = |pool: &Value| {
            let phase = &pool["pool"]["phase"];
            *phase == json!("draining") || *phase == json!("closed")
        };
        self.until_pool("takes no more calls", has_ended)?;
        self.expect(
            "the phase",
            "['Draining', 'Closed'].includes(tools.text('.pool .state'))",
        )?;
        self.is_fine("the drained pool")
    }

    fn kinds_of_events(&mut self) -> Verdict {
        self.page.click("#tab-events", "")?;
        let list = "tools.find('#events label', 'Kind').querySelector('select')";
        for (kind, rows) in [
            (
                "control",
                "tools.count('#events tbody tr') > 2 && tools.texts('#events td:nth-child(3)').every((text) => text === 'Control')",
            ),
            (
                "deadlock",
                "tools.text('#events .counts').startsWith('0 of ')",
            ),
            ("panic", "tools.text('#events .counts').startsWith('0 of ')"),
            ("", "tools.count('#events tbody tr') > 10"),
        ] {
            self.page.value(&format!(
                "{list}.value = '{kind}'; {list}.dispatchEvent(new Event('change'))"
            ))?;
            self.expect("the kind", &format!("{list}.value === '{kind}'"))?;
            self.expect("the events of a kind", rows)?;
        }
        self.is_fine("the kinds of events")
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

    /// Waits until the program itself tells of the pool, in detail, what it should.
    fn until_pool(&mut self, what: &str, is_so: fn(&Value) -> bool) -> Verdict {
        let start = Instant::now();
        loop {
            let pools = self.remote.call("getPools", json!({}))?;
            let id = &pools["pools"][0]["id"];
            let pool = self.remote.call("getPool", json!({ "poolId": id }))?;
            if is_so(&pool) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(failed(format!("not so: the pool {what}: {pool}")));
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
