//! The calls that faults strike, and what their callers are told.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use insula_core::{Isolate, sleep};
use insula_rpc::{CallError, CancelledBy, Context, Outcome, Payload, Reject, contract};
use insula_sync::{Condvar, Mutex};

/// The items of an answer that is a stream. More than its window.
const ITEMS: u32 = 40;

/// The item before which a handler acts.
const ACTS_AT: u32 = 3;

#[contract(crate = insula_rpc)]
pub(super) trait Victims {
    async fn run(&self, cx: &Context, part: Part) -> Result<u32, Infallible>;
    async fn items(
        &self,
        cx: &Context,
        part: Part,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible>;
}

/// What a handler does in the middle of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Nothing,
    Panic,
    Exit,
    Kill,
    Block,
}

/// What all calls of a case share.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    owners: Arc<()>,
    door: Arc<(Mutex<bool>, Condvar)>,
}

impl Stage {
    pub(super) fn part(&self, act: Act) -> Part {
        Part {
            act,
            half: Duration::ZERO,
            _bomb: None,
            _owner: Arc::clone(&self.owners),
        }
    }

    /// Lets those go that block.
    pub(super) fn release(&self) {
        *self.door.0.lock() = true;
        self.door.1.notify_all();
    }

    fn block(&self) {
        let mut is_open = self.door.0.lock();
        while !*is_open {
            is_open = self.door.1.wait(is_open);
        }
    }

    /// Returns how many parts there are.
    pub(super) fn kept(&self) -> usize {
        Arc::strong_count(&self.owners) - 1
    }
}

/// The part of a call.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) act: Act,
    half: Duration,
    _bomb: Option<Bomb>,
    _owner: Arc<()>,
}

impl Part {
    pub(super) fn half(self, half: Duration) -> Self {
        Self { half, ..self }
    }

    pub(super) fn with_bomb(self) -> Self {
        let _bomb = Some(Bomb);
        Self { _bomb, ..self }
    }

    async fn live(&self, stage: &Stage) {
        if !self.half.is_zero() {
            sleep(self.half).await;
        }
        match self.act {
            Act::Nothing => {}
            Act::Panic => panic!("the part says so"),
            Act::Exit => Isolate::exit_silently(),
            Act::Kill => Isolate::current().expect("workers are isolates").kill(),
            Act::Block => stage.block(),
        }
        // A killed isolate ends here.
        sleep(self.half.max(Duration::from_micros(1))).await;
    }
}

impl Payload for Part {
    fn size_hint(&self) -> u64 {
        size_of::<Self>() as u64
    }
}

/// Panics as it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a destructor");
        }
    }
}

#[derive(Debug)]
pub(super) struct Service {
    stage: Stage,
}

impl Service {
    pub(super) fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl Victims for Service {
    async fn run(&self, _cx: &Context, part: Part) -> Result<u32, Infallible> {
        part.live(&self.stage).await;
        Ok(0)
    }

    async fn items(
        &self,
        _cx: &Context,
        part: Part,
    ) -> Result<impl Stream<Item = Result<u32, Infallible>>, Infallible> {
        let state = (self.stage.clone(), part, 0);
        Ok(stream::unfold(state, |(stage, part, number)| async move {
            if number == ITEMS {
                return None;
            }
            if number == ACTS_AT {
                part.live(&stage).await;
            }
            Some((Ok(number), (stage, part, number + 1)))
        }))
    }
}

/// How a call has ended for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Answered,
    Panicked,
    Died,
    /// With the request.
    ExpiredInQueue,
    ExpiredInRun,
    /// By the end of the pool, before it ran: with the request.
    Rejected,
    /// By the end of the pool, while it ran.
    Stopped,
    /// The caller has left.
    Left,
    /// In no way that is possible here.
    Wrong,
}

impl Told {
    fn of<Q>(error: &CallError<Infallible, Q>) -> Self {
        match error {
            CallError::Panicked { .. } => Self::Panicked,
            CallError::WorkerDied {
                outcome: Outcome::MaybeExecuted,
                request: None,
                ..
            } => Self::Died,
            CallError::Deadline {
                outcome: Outcome::NotStarted,
                request: Some(_),
                ..
            } => Self::ExpiredInQueue,
            CallError::Deadline {
                outcome: Outcome::MaybeExecuted,
                request: None,
                ..
            } => Self::ExpiredInRun,
            CallError::Rejected {
                why: Reject::Shutdown,
                request: Some(_),
            } => Self::Rejected,
            CallError::Cancelled {
                by: CancelledBy::Shutdown,
                outcome: Outcome::MaybeExecuted,
                ..
            } => Self::Stopped,
            _ => Self::Wrong,
        }
    }
}

pub(super) async fn run(caller: &VictimsCaller, part: Part, deadline: Option<Duration>) -> Told {
    let call = caller.run(part);
    let call = match deadline {
        Some(deadline) => call.deadline(deadline),
        None => call,
    };
    match call.await {
        Ok(_) => Told::Answered,
        Err(error) => Told::of(&error),
    }
}

pub(super) async fn read(caller: &VictimsCaller, part: Part, deadline: Option<Duration>) -> Told {
    read_with_pauses(caller, part, deadline, Duration::ZERO).await
}

/// Reads an answer more slowly than it is produced.
pub(super) async fn read_slowly(caller: &VictimsCaller, part: Part) -> Told {
    read_with_pauses(caller, part, None, Duration::from_micros(100)).await
}

async fn read_with_pauses(
    caller: &VictimsCaller,
    part: Part,
    deadline: Option<Duration>,
    pause: Duration,
) -> Told {
    let call = caller.items(part);
    let call = match deadline {
        Some(deadline) => call.deadline(deadline),
        None => call,
    };
    let mut items = match call.await {
        Ok(items) => items,
        Err(error) => return Told::of(&error),
    };
    let mut next = 0;
    while let Some(item) = items.next().await {
        match item {
            Ok(number) if number == next => next += 1,
            Ok(_) => return Told::Wrong,
            Err(error) => return Told::of(&error),
        }
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    if next == ITEMS {
        Told::Answered
    } else {
        Told::Wrong
    }
}
