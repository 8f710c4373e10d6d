//! Risk: two sides of a race both win, the caller is not told, or a call is counted twice.

use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use insula_core::Instant;
use insula_sync::atomic::{AtomicU8, Ordering};

use super::Woken;
use crate::WorkerId;
use crate::callee::Pending;
use crate::cell::{Answer, CallCell, Left, Signal};
use crate::contract::{Calls, Contract, How, Method, MethodDescriptor, MethodKind, PendingCall};
use crate::error::{CallError, CancelledBy, Outcome, WorkerExit};

#[derive(Debug)]
pub(super) struct Only(Pending<Ask>);

impl Calls for Only {
    const METHOD_COUNT: usize = 1;

    fn methods() -> Vec<(&'static str, MethodDescriptor)> {
        vec![(Self::NAME, Ask::DESCRIPTOR)]
    }

    fn method(&self) -> usize {
        0
    }

    fn pending(&self) -> &dyn PendingCall {
        &self.0
    }
}

impl Contract for Only {
    const NAME: &'static str = "model";
    const VERSION: u32 = 1;
    const METHODS: &'static [MethodDescriptor] = &[Ask::DESCRIPTOR];
}

pub(super) struct Ask;

impl Method for Ask {
    type Contract = Only;
    type Request = u8;
    type Response = u8;
    type Error = u8;
    const DESCRIPTOR: MethodDescriptor = MethodDescriptor {
        name: "ask",
        id: 1,
        kind: MethodKind::Unary,
        is_idempotent: false,
        work: crate::contract::WorkType::Balanced,
    };
    fn wrap(call: Pending<Self>) -> Only {
        Only(call)
    }
    fn request_bytes(_: &u8) -> u64 {
        1
    }
    fn response_bytes(_: &u8) -> u64 {
        1
    }
}

pub(super) const WORKER: fn() -> WorkerId = || WorkerId::new(0);

/// A call whose caller has left `woken` as its waker, and the number of times that it was counted.
pub(super) struct Model {
    pub(super) cell: Arc<CallCell<Ask>>,
    pub(super) woken: Arc<Woken>,
    pub(super) counted: Arc<AtomicU8>,
}

impl Model {
    pub(super) fn new(deadline: Option<Instant>) -> Self {
        let woken = Woken::new();
        let waker = Waker::from(Arc::clone(&woken));
        Self {
            cell: Arc::new(CallCell::new(1, deadline, Some(waker), None)),
            woken,
            counted: Arc::new(AtomicU8::new(0)),
        }
    }

    fn started() -> Self {
        let model = Self::new(None);
        assert!(model.cell.start(WORKER()).is_ok());
        model
    }

    fn settle(&self) -> How {
        let count = || self.counted.fetch_add(1, Ordering::SeqCst);
        self.cell
            .settle(How::Answered, Ok(2), 1, |_| _ = count())
            .0
            .how
    }

    pub(super) fn abandon(&self) -> bool {
        let mut is_mine = false;
        let exit = WorkerExit::Abandoned;
        self.cell.abandon(WORKER(), exit, &mut || is_mine = true);
        self.counted.fetch_add(u8::from(is_mine), Ordering::SeqCst);
        is_mine
    }

    pub(super) fn counted(&self) -> u8 {
        self.counted.load(Ordering::SeqCst)
    }

    pub(super) fn answer(&self) -> Option<Result<u8, CallError<u8, u8>>> {
        self.cell.poll_answer(Waker::noop())
    }

    pub(super) fn on_another_thread<R: 'static>(
        &self,
        f: impl FnOnce(Self) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let twin = Self {
            cell: Arc::clone(&self.cell),
            woken: Arc::clone(&self.woken),
            counted: Arc::clone(&self.counted),
        };
        thread::spawn(move || f(twin))
    }
}

#[test]
fn a_start_and_a_departure_share_the_request_between_them() {
    loom::model(|| {
        let model = Model::new(None);
        let callee = model.on_another_thread(|it| it.cell.start(WORKER()).is_ok());
        let left = model.cell.leave();
        let is_started = callee.join().unwrap();
        match left {
            Left::Unstarted(request) => assert!(!is_started && request == Some(1)),
            Left::Running => assert!(is_started && model.cell.is_cancelled()),
            Left::Ended => panic!("nothing has ended it"),
        }
    });
}

#[test]
fn a_start_and_a_deadline_share_the_request_between_them() {
    loom::model(|| {
        let model = Model::new(None);
        let callee = model.on_another_thread(|it| it.cell.start(WORKER()).is_ok());
        assert!(model.cell.expire());
        let is_started = callee.join().unwrap();
        assert!(model.woken.is_woken());
        let Some(Err(error)) = model.answer() else {
            panic!("the caller is not told")
        };
        let outcome = if is_started {
            Outcome::MaybeExecuted
        } else {
            Outcome::NotStarted
        };
        assert_eq!(error.outcome(), outcome);
        assert_eq!(error.into_request().is_some(), !is_started);
    });
}

/// The deadline's error or the answer, whichever was first; the caller is woken for it, and the
/// call is counted as what the caller got.
#[test]
fn an_answer_and_a_deadline_give_one_outcome() {
    loom::model(|| {
        let model = Model::started();
        let callee = model.on_another_thread(|it| it.settle());
        let is_expired = model.cell.expire();
        let how = callee.join().unwrap();
        assert!(model.woken.is_woken());
        match model.answer() {
            Some(Ok(2)) => assert!(!is_expired && how == How::Answered),
            Some(Err(CallError::Deadline { .. })) => assert!(is_expired && how == How::Expired),
            _ => panic!("no answer"),
        }
        assert_eq!(model.counted(), 1);
    });
}

#[test]
fn a_callee_that_is_given_up_while_it_answers_is_counted_once() {
    loom::model(|| {
        let model = Model::started();
        let callee = model.on_another_thread(|it| it.settle());
        let is_lost = model.abandon();
        callee.join().unwrap();
        assert!(model.woken.is_woken());
        match model.answer() {
            Some(Ok(2)) => assert!(!is_lost),
            Some(Err(CallError::WorkerDied { .. })) => assert!(is_lost),
            _ => panic!("no answer"),
        }
        assert_eq!(model.counted(), 1);
    });
}

#[test]
fn a_caller_that_leaves_while_its_callee_is_given_up_is_counted_once() {
    loom::model(|| {
        let model = Model::started();
        let caller = model.on_another_thread(|it| _ = it.cell.leave());
        assert!(model.abandon());
        caller.join().unwrap();
        model.settle();
        assert_eq!(model.counted(), 1);
    });
}

/// A caller that polls with a new waker while the answer comes.
#[test]
fn an_answer_wakes_the_waker_that_it_finds() {
    loom::model(|| {
        let model = Model::started();
        let callee = model.on_another_thread(|it| it.settle());
        let newer = Woken::new();
        let waker = Waker::from(Arc::clone(&newer));
        let early: Option<Answer<Ask>> = model.cell.poll_answer(&waker);
        callee.join().unwrap();
        if early.is_none() {
            assert!(newer.is_woken());
            assert!(matches!(model.answer(), Some(Ok(2))));
        }
    });
}

#[test]
fn a_handler_that_watches_sees_every_cancellation() {
    type Cancel = fn(&CallCell<Ask>);
    let cancels: [Cancel; 3] = [
        |cell| _ = cell.leave(),
        |cell| _ = cell.expire(),
        |cell| cell.ask_to_stop(CancelledBy::Shutdown),
    ];
    for cancel in cancels {
        loom::model(move || {
            let model = Model::started();
            let other = model.on_another_thread(move |it| cancel(&it.cell));
            let watcher = Woken::new();
            let waker = Waker::from(Arc::clone(&watcher));
            let mut place = None;
            let is_seen = model.cell.watch(&mut place, &waker);
            other.join().unwrap();
            assert!(is_seen || watcher.is_woken());
            assert!(model.cell.is_cancelled() && model.cell.cancelled_by().is_some());
            if let Some(place) = place {
                model.cell.forget(place);
            }
        });
    }
}
