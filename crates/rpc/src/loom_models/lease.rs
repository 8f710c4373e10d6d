//! Risk: the caller of a leased call gets its request back although the handler has begun, or loses
//! it although the handler never will.

use super::cell::{Model, WORKER};
use crate::cell::{Left, Signal};
use crate::contract::Refusal;
use crate::error::{Outcome, WorkerExit};

fn leased() -> Model {
    let model = Model::new(None);
    assert!(model.cell.lease(WORKER()).is_ok());
    model
}

fn refusal() -> Refusal {
    Refusal::WorkerDied {
        exit: WorkerExit::Ended,
        worker: None,
    }
}

/// Whether the handler has begun is not known to a caller that leaves.
#[test]
fn a_caller_that_leaves_a_leased_call_gets_no_request() {
    loom::model(|| {
        let model = leased();
        let link = model.on_another_thread(|it| it.cell.begin().is_some());
        assert!(matches!(model.cell.leave(), Left::Running));
        link.join().unwrap();
        assert!(model.cell.is_cancelled());
    });
}

#[test]
fn a_deadline_of_a_leased_call_says_maybe_executed() {
    loom::model(|| {
        let model = leased();
        let link = model.on_another_thread(|it| it.cell.begin().is_some());
        assert!(model.cell.expire());
        link.join().unwrap();
        let Some(Err(error)) = model.answer() else {
            panic!("the caller is not told")
        };
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        assert!(error.into_request().is_none());
    });
}

/// The link has found out that the handler never began, while the deadline passes.
#[test]
fn a_call_that_comes_back_has_one_end() {
    loom::model(|| {
        let model = leased();
        let link = model.on_another_thread(|it| it.cell.unlease() && it.cell.refuse(refusal()));
        let is_expired = model.cell.expire();
        let is_refused = link.join().unwrap();
        assert!(is_expired != is_refused && model.woken.is_woken());
        let Some(Err(error)) = model.answer() else {
            panic!("the caller is not told")
        };
        let is_unstarted = error.outcome() == Outcome::NotStarted;
        assert!(is_unstarted || !is_refused);
        assert_eq!(error.into_request().is_some(), is_unstarted);
    });
}

/// The pool gives the worker up while its link finds out that the handler never began.
#[test]
fn a_leased_call_that_is_given_up_is_counted_once() {
    loom::model(|| {
        let model = leased();
        let link = model.on_another_thread(|it| {
            let counted = &it.counted;
            let count = || counted.fetch_add(1, insula_sync::atomic::Ordering::SeqCst);
            if it.cell.unlease() {
                let died = crate::contract::How::Died;
                it.cell.count_unstarted(died, |_| _ = count());
                it.cell.refuse(refusal());
            }
        });
        model.abandon();
        link.join().unwrap();
        assert!(model.answer().is_some());
        assert_eq!(model.counted(), 1);
    });
}
