//! Handlers that do what a case has written down for them.

use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use insula_core::sleep;
use insula_rpc::{CancelToken, Context, Inbound, Metadata, Payload, TraceContext};
use insula_sync::Mutex;
use serde::{Deserialize, Deserializer, Serialize};

use crate::stage::Stage;

/// One step of a handler.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Gives an item; a handler without a stream drops it.
    Give(Item),
    /// Reads one of the caller's items and gives it back.
    Echo,
    /// Reads the caller's items to their end and gives each one back.
    EchoAll,
    /// Reads so many of the caller's items.
    Read(u64),
    /// Reads the caller's items to their end.
    ReadAll,
    /// Wants no more of the caller's items.
    StopReading,
    /// Notes `at GATE` and waits until the gate is open.
    WaitFor(u64),
    Note(#[serde(deserialize_with = "line")] Line),
    /// Has the end of the handler noted, in whatever way it ends.
    Arm(#[serde(deserialize_with = "line")] Line),
    /// Waits to be cancelled, and notes by what.
    UntilCancelled,
    /// Ignores that it is cancelled.
    Hang,
    Sleep(Duration),
    Fail(Oops),
    Panic(#[serde(deserialize_with = "line")] Line),
}

/// A line that is written in a case. An alias, since serde would have a `&str` borrow from the bytes.
type Line = &'static str;

fn line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Line, D::Error> {
    // Each text is kept once, so that a search for leaks finds where it is.
    static LINES: Mutex<BTreeSet<Line>> = Mutex::new(BTreeSet::new());
    let text = String::deserialize(deserializer)?;
    let mut lines = LINES.lock();
    if let Some(line) = lines.get(text.as_str()) {
        return Ok(line);
    }
    let line: Line = text.leak();
    lines.insert(line);
    Ok(line)
}

/// What moves in a stream. It may weigh as much as a case likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) weight: u64,
}

impl Payload for Item {
    fn size_hint(&self) -> u64 {
        self.weight
    }
}

impl Item {
    pub(crate) fn light(number: u64) -> Self {
        Self { number, weight: 16 }
    }
}

/// Gives this many light items.
pub(crate) fn give(numbers: std::ops::Range<u64>) -> Vec<Step> {
    numbers.map(Item::light).map(Step::Give).collect()
}

/// The error of all methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Oops {
    pub(crate) code: u32,
    pub(crate) text: String,
}

impl Oops {
    pub(crate) fn new(code: u32, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, text }
    }
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl Error for Oops {}

/// What a handler has read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) numbers: Vec<u64>,
    pub(crate) end: Option<End>,
}

/// How a caller's items have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Finished,
    Aborted(String),
}

/// What a handler sees of what was sent along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) metadata: Metadata,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) attempt: u32,
    pub(crate) key: Option<String>,
    pub(crate) remaining: Option<Duration>,
}

impl Seen {
    pub(crate) fn of(cx: &Context) -> Self {
        Self {
            metadata: cx.metadata().clone(),
            trace: cx.trace(),
            attempt: cx.attempt(),
            key: cx.idempotency_key().map(str::to_owned),
            remaining: cx.remaining(),
        }
    }
}

/// A handler that follows its steps.
#[derive(Debug)]
pub(crate) struct Play {
    stage: Stage,
    token: CancelToken,
    steps: VecDeque<Step>,
    items: Option<Inbound<Item>>,
    summary: Summary,
    armed: Vec<Tripwire>,
}

impl Play {
    /// Begins a handler. What was sent along under the key `echo` goes back with the answer.
    pub(crate) fn new(stage: &Stage, cx: &Context, steps: Vec<Step>) -> Self {
        if let Some(text) = cx.metadata().get("echo") {
            let mut trailing = Metadata::new();
            let added = trailing.insert("echo", text);
            added.expect("what has arrived may go back");
            cx.set_trailing(trailing);
        }
        Self {
            stage: stage.clone(),
            token: cx.token(),
            steps: steps.into(),
            items: None,
            summary: Summary::default(),
            armed: Vec::new(),
        }
    }

    pub(crate) fn reading(self, items: Inbound<Item>) -> Self {
        let items = Some(items);
        Self { items, ..self }
    }

    /// Follows the steps to their end.
    pub(crate) async fn play(mut self) -> Result<Summary, Oops> {
        self.all().await?;
        Ok(self.summary)
    }

    /// Follows the steps, and gives the stream that follows others.
    pub(crate) async fn then(
        mut self,
        steps: Vec<Step>,
    ) -> Result<impl Stream<Item = Result<Item, Oops>> + Send + use<>, Oops> {
        self.all().await?;
        self.steps = steps.into();
        Ok(stream::unfold(self, |mut play| async {
            let item = play.next().await?;
            Some((item, play))
        }))
    }

    async fn all(&mut self) -> Result<(), Oops> {
        while let Some(item) = self.next().await {
            item?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Item, Oops>> {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Give(item) => {
                    self.stage.make();
                    return Some(Ok(item));
                }
                Step::Echo => {
                    if let Some(item) = self.read().await {
                        return Some(Ok(item));
                    }
                }
                Step::EchoAll => {
                    if let Some(item) = self.read().await {
                        self.steps.push_front(Step::EchoAll);
                        return Some(Ok(item));
                    }
                }
                Step::Read(times) => {
                    for _ in 0..times {
                        self.read().await;
                    }
                }
                Step::ReadAll => while self.read().await.is_some() {},
                Step::StopReading => self.items = None,
                Step::WaitFor(gate) => {
                    self.stage.note(format!("at {gate}"));
                    self.stage.opened(gate).await;
                }
                Step::Note(line) => self.stage.note(line),
                Step::Arm(line) => self.armed.push(Tripwire(self.stage.clone(), line)),
                Step::UntilCancelled => {
                    // Noted once it waits: what comes after the note finds it waiting.
                    let mut cancelled = std::pin::pin!(self.token.cancelled());
                    let mut is_noted = false;
                    let cancelled = std::future::poll_fn(|cx| {
                        let polled = cancelled.as_mut().poll(cx);
                        if !std::mem::replace(&mut is_noted, true) {
                            self.stage.note("waiting");
                        }
                        polled
                    })
                    .await;
                    self.stage.note(cancelled.to_string());
                }
                Step::Hang => {
                    self.stage.note("hanging");
                    std::future::pending::<()>().await;
                }
                Step::Sleep(time) => sleep(time).await,
                Step::Fail(oops) => return Some(Err(oops)),
                Step::Panic(text) => panic!("{text}"),
            }
        }
        None
    }

    /// Reads an item. Notes the end when it comes.
    async fn read(&mut self) -> Option<Item> {
        self.stage.ask();
        let end = match self.items.as_mut()?.next().await {
            Some(Ok(item)) => {
                self.summary.numbers.push(item.number);
                return Some(item);
            }
            Some(Err(aborted)) => End::Aborted(aborted.reason().to_owned()),
            None => End::Finished,
        };
        self.stage.note(match &end {
            End::Finished => "finished".to_owned(),
            End::Aborted(reason) => format!("aborted: {reason}"),
        });
        self.summary.end.get_or_insert(end);
        None
    }
}

/// Notes its drop.
#[derive(Debug)]
struct Tripwire(Stage, Line);

impl Drop for Tripwire {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}
