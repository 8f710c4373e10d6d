//! A page in a headless browser, used as a person uses it: with the mouse and with keys.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::remote::{Event, Remote};
use super::{Trouble, Verdict, failed};

/// The longest time in which the page must show something.
const PATIENCE: Duration = Duration::from_secs(30);

const TOOLS: &str = include_str!("tools.js");

/// Roles of what can be operated. Each element with one needs a name.
const CONTROLS: &[&str] = &[
    "button",
    "checkbox",
    "combobox",
    "grid",
    "link",
    "menuitem",
    "searchbox",
    "slider",
    "spinbutton",
    "tab",
    "textbox",
    "treeitem",
];

/// A page of the browser.
pub(super) struct Page {
    browser: Remote,
    complaints: Vec<String>,
}

impl Page {
    /// Opens an empty page of a size in pixels, with the tools of these tests.
    pub(super) fn open(browser: Remote, size: (u32, u32)) -> Result<Self, Trouble> {
        let mut page = Self::bare(browser, size)?;
        // Not `Accessibility`: its tree can be read without, and to keep that up to date takes time from
        // each frame.
        for domain in ["Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}))?;
        }
        // The time on the CPU, which other work on the machine does not change.
        let domain = json!({ "timeDomain": "threadTicks" });
        page.call("Performance.enable", domain)?;
        page.add_script(TOOLS)?;
        Ok(page)
    }

    /// Opens an empty page as a person does.
    pub(super) fn bare(mut browser: Remote, size: (u32, u32)) -> Result<Self, Trouble> {
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach)?;
        let session = session["sessionId"].clone();
        browser.envelope.insert("sessionId".to_owned(), session);
        browser.call("Page.enable", json!({}))?;
        let mut page = Self {
            browser,
            complaints: Vec::new(),
        };
        page.resize(size)?;
        Ok(page)
    }

    /// Adds a script that runs before those of each page that is loaded from now on.
    pub(super) fn add_script(&mut self, source: &str) -> Verdict {
        let script = json!({ "source": source });
        self.call("Page.addScriptToEvaluateOnNewDocument", script)?;
        Ok(())
    }

    /// Takes away what differs between machines: bars for scrolling and the time zone.
    pub(super) fn fix_surroundings(&mut self) -> Verdict {
        let hidden = json!({ "hidden": true });
        self.call("Emulation.setScrollbarsHidden", hidden)?;
        let zone = json!({ "timezoneId": "UTC" });
        self.call("Emulation.setTimezoneOverride", zone)?;
        Ok(())
    }

    pub(super) fn resize(&mut self, (width, height): (u32, u32)) -> Verdict {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        )?;
        Ok(())
    }

    /// Loads an address as if for the first time.
    pub(super) fn load(&mut self, address: &str) -> Verdict {
        // An address that differs only behind its # would not be loaded.
        self.call("Page.navigate", json!({ "url": "about:blank" }))?;
        self.call("Network.setCacheDisabled", json!({ "cacheDisabled": true }))?;
        let begun = self.call("Page.navigate", json!({ "url": address }))?;
        match begun.get("errorText") {
            Some(error) => Err(failed(format!("the page cannot be loaded: {error}"))),
            None => self.wait(
                "a page that is loaded",
                "document.readyState === 'complete'",
            ),
        }
    }

    /// Loads the page of a program, and waits until its scripts, which come after its first frame, have
    /// begun.
    pub(super) fn load_program(&mut self, address: &str) -> Verdict {
        self.load(address)?;
        self.wait("a connection", "tools.text('#connection') === 'Live'")
    }

    /// Asks for the light or the dark look.
    pub(super) fn prefer(&mut self, scheme: &str) -> Verdict {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )?;
        Ok(())
    }

    /// Returns the value of an expression, or of the promise that it is.
    pub(super) fn value(&mut self, expression: &str) -> Result<Value, Trouble> {
        let params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let answer = self.call("Runtime.evaluate", params)?;
        match answer.get("exceptionDetails") {
            Some(error) => Err(failed(format!("{expression}: {error}"))),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true.
    pub(super) fn wait(&mut self, what: &str, expression: &str) -> Verdict {
        let start = Instant::now();
        while self.value(&format!("Boolean({expression})"))? != json!(true) {
            if start.elapsed() > PATIENCE {
                let text = self.value("document.body.innerText.slice(0, 1000)")?;
                return Err(failed(format!(
                    "the page does not show {what} ({expression}); it shows {text}"
                )));
            }
            thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// Clicks on the first element that fits a selector and has a text, once there is one.
    pub(super) fn click(&mut self, selector: &str, text: &str) -> Verdict {
        let (quoted, text) = (json!(selector), json!(text));
        self.wait(
            &format!("an element {selector} with the text {text}"),
            &format!("tools.find({quoted}, {text})"),
        )?;
        let place = self.value(&format!("tools.place({quoted}, {text})"))?;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({
                "type": kind,
                "x": place["x"],
                "y": place["y"],
                "button": if kind == "mouseMoved" { "none" } else { "left" },
                "buttons": buttons,
                "clickCount": i32::from(kind != "mouseMoved"),
            });
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Presses and releases a key, by the name that scripts have for it.
    pub(super) fn press(&mut self, key: &str) -> Verdict {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => return Err(failed(format!("the key {key} has no code here"))),
        };
        let mut event = json!({
            "type": "keyDown",
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": code,
        });
        // A button acts on the character of the key.
        if key == "Enter" {
            event["text"] = json!("\r");
        }
        self.call("Input.dispatchKeyEvent", event.clone())?;
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event)?;
        Ok(())
    }

    /// Enters a text in place of that of the field that fits a selector.
    pub(super) fn enter(&mut self, selector: &str, text: &str) -> Verdict {
        self.click(selector, "")?;
        self.value("document.activeElement.select()")?;
        match text {
            "" => {
                let erase =
                    json!({ "type": "keyDown", "key": "Delete", "windowsVirtualKeyCode": 46 });
                self.call("Input.dispatchKeyEvent", erase)?;
            }
            text => {
                self.call("Input.insertText", json!({ "text": text }))?;
            }
        }
        Ok(())
    }

    /// Moves the mouse to where nothing is, and takes the focus away.
    pub(super) fn point_nowhere(&mut self) -> Verdict {
        let event = json!({ "type": "mouseMoved", "x": 0, "y": 0 });
        self.call("Input.dispatchMouseEvent", event)?;
        self.value("document.activeElement.blur()")?;
        Ok(())
    }

    /// Waits until what was changed last is drawn.
    pub(super) fn draw(&mut self) -> Verdict {
        self.value(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        )?;
        Ok(())
    }

    /// Saves what the page looks like.
    pub(super) fn photograph(&mut self, file: &Path) -> Verdict {
        fs::write(file, self.picture()?).map_err(failed)
    }

    /// Returns what the page looks like, as a PNG file.
    pub(super) fn picture(&mut self) -> Result<Vec<u8>, Trouble> {
        self.draw()?;
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        let text = picture["data"].as_str().unwrap_or_default();
        data_encoding::BASE64
            .decode(text.as_bytes())
            .map_err(failed)
    }

    /// Returns the milliseconds that the page's own thread has spent on the CPU so far.
    pub(super) fn work_ms(&mut self) -> Result<f64, Trouble> {
        let answer = self.call("Performance.getMetrics", json!({}))?;
        let metrics = answer["metrics"].as_array().map_or(&[][..], Vec::as_slice);
        let work = metrics.iter().find(|it| it["name"] == json!("ThreadTime"));
        let seconds = work.and_then(|it| it["value"].as_f64());
        seconds
            .map(|it| 1000.0 * it)
            .ok_or_else(|| failed("the browser tells no time"))
    }

    /// Returns the controls without a name, as a person meets them who cannot see the page.
    pub(super) fn nameless_controls(&mut self) -> Result<Vec<String>, Trouble> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}))?;
        let nodes = tree["nodes"].as_array().map_or(&[][..], Vec::as_slice);
        let role = |node: &Value| {
            node["role"]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let controls: Vec<_> = nodes
            .iter()
            .filter(|node| node["ignored"] != json!(true))
            .filter(|node| CONTROLS.contains(&role(node).as_str()))
            .collect();
        // A question has two, and nothing behind it can be used; fewer mean that the tree was not read.
        if controls.len() < 2 {
            return Err(failed(format!(
                "only {} controls have a role",
                controls.len()
            )));
        }
        let is_nameless = |node: &&&Value| {
            let name = node["name"]["value"].as_str().unwrap_or_default();
            name.trim().is_empty()
        };
        let described = |node: &&Value| format!("{} {}", role(node), node["backendDOMNodeId"]);
        Ok(controls.iter().filter(is_nameless).map(described).collect())
    }

    /// Takes what the browser and the page have complained about: errors and warnings of the
    /// console, exceptions, violations of the policy, and dialogs of scripts.
    pub(super) fn take_complaints(&mut self) -> Result<Vec<String>, Trouble> {
        let violations = self.value("tools.violations.splice(0)")?;
        let violations = violations.as_array().cloned().unwrap_or_default();
        self.complaints
            .extend(violations.iter().map(Value::to_string));
        Ok(std::mem::take(&mut self.complaints))
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, Trouble> {
        let result = self.browser.call(method, params);
        let events = self.browser.take_events();
        self.complaints.extend(events.iter().filter_map(complaint));
        result
    }
}

/// Returns what an event of the browser complains about.
fn complaint(Event { method, params }: &Event) -> Option<String> {
    let level = match method.as_str() {
        "Runtime.consoleAPICalled" => &params["type"],
        "Log.entryAdded" => &params["entry"]["level"],
        "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => &Value::Null,
        _ => return None,
    };
    let is_harmless = matches!(level.as_str(), Some("log" | "info" | "debug" | "verbose"));
    (!is_harmless).then(|| format!("{method}: {params}"))
}
