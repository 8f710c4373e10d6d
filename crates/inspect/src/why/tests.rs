//! The risk: the answer to "why" misses the reason that the data shows.

use super::{of_isolate, of_pool};
use crate::model::{
    Call, Isolate, IsolateDetail, IsolateKind, IsolateState, Party, Pool, PoolDetail, Port, Wait,
    Worker,
};

/// Returns the sentences about an isolate as one text.
fn text(detail: &IsolateDetail) -> String {
    of_isolate(detail).join("\n")
}

fn answered() -> IsolateDetail {
    IsolateDetail {
        has_answered: true,
        ..IsolateDetail::default()
    }
}

#[test]
fn a_long_turn_is_named_with_its_age_and_what_to_do() {
    let detail = IsolateDetail {
        isolate: Isolate {
            id: "isolates/7".to_owned(),
            state: IsolateState::Running,
            turn_ms: Some(2_500),
            queued: 3,
            ..Isolate::default()
        },
        ..IsolateDetail::default()
    };
    let text = text(&detail);
    assert!(text.contains("inside of one turn for 2500 ms"), "{text}");
    assert!(text.contains("3 events are behind it"), "{text}");
    assert!(text.contains("yield_now"), "{text}");
    assert!(text.contains("`insula stack isolates/7`"), "{text}");
    assert!(text.contains("has not answered"), "{text}");
}

#[test]
fn a_port_that_keeps_the_isolate_alive_is_named_with_its_place() {
    let mut detail = answered();
    detail.ports.push(Port {
        id: "ports/7".to_owned(),
        opened_at: "src/mill.rs:12:9".to_owned(),
        senders: 1,
        keeps_alive: true,
        ..Port::default()
    });
    let text = text(&detail);
    assert!(
        text.contains("ports/7 (opened at src/mill.rs:12:9) has 1 sender."),
        "{text}"
    );
}

#[test]
fn a_root_isolate_is_alive_because_of_its_host() {
    let mut detail = answered();
    assert!(text(&detail).contains("Nothing keeps it alive"));
    detail.isolate.kind = IsolateKind::Root;
    let text = text(&detail);
    assert!(
        text.contains("because its host has not dropped it."),
        "{text}"
    );
}

fn party(name: &str) -> Party {
    Party {
        id: name.to_owned(),
        name: name.to_owned(),
    }
}

/// Returns the wait for the answer to a question.
fn asked(waiter: &str, holder: &str, is_in_cycle: bool) -> Wait {
    Wait {
        waiter: party(waiter),
        holders: vec![party(holder)],
        kind: "asked".to_owned(),
        is_in_cycle,
        ..Wait::default()
    }
}

#[test]
fn a_cycle_is_explained_to_those_in_it() {
    let mut detail = answered();
    detail.isolate.id = "a".to_owned();
    detail.waits.push(asked("a", "b", true));
    let text = text(&detail);
    assert!(text.contains("It awaits an answer of b."), "{text}");
    assert!(text.contains("part of a cycle"), "{text}");
}

#[test]
fn what_waits_for_a_cycle_is_told_its_own_wait_first_and_then_the_cycle() {
    let mut detail = answered();
    detail.isolate.id = "x".to_owned();
    detail.waits = vec![asked("w", "x", false), asked("x", "a", false)];
    detail.cycle = vec![party("a"), party("b")];
    let told = of_isolate(&detail);
    let place = |part: &str| told.iter().position(|it| it.contains(part));
    let own = place("It awaits an answer of a.");
    let cycle = place("It waits for a cycle, a -> b -> a:");
    let other = place("w awaits an answer of x.");
    assert!(own.is_some() && own < cycle && cycle < other, "{told:#?}");
}

#[test]
fn a_leak_of_ports_is_named_with_the_place_that_opens_them() {
    let mut detail = answered();
    let port = Port {
        opened_at: "src/leak.rs:5:1".to_owned(),
        ..Port::default()
    };
    detail.ports = vec![port; 2_000];
    let text = text(&detail);
    assert!(
        text.contains("2000 open ports, the newest opened at src/leak.rs:5:1"),
        "{text}"
    );
}

fn busy_pool(running: u64) -> PoolDetail {
    PoolDetail {
        pool: Pool {
            phase: "serving".to_owned(),
            ready: 1,
            queued: 4,
            ..Pool::default()
        },
        workers: vec![Worker {
            condition: "ready".to_owned(),
            running,
            ..Worker::default()
        }],
        ..PoolDetail::default()
    }
}

#[test]
fn a_queue_is_explained_by_busy_workers_or_by_keys() {
    let busy = of_pool(&busy_pool(1)).join("\n");
    assert!(
        busy.contains("4 calls wait in the queue, and all workers are busy"),
        "{busy}"
    );
    let keyed = of_pool(&busy_pool(0)).join("\n");
    assert!(
        keyed.contains("although 1 worker is idle: the calls have keys"),
        "{keyed}"
    );
}

#[test]
fn a_handler_that_keeps_its_worker_busy_is_told_apart_from_many_short_calls() {
    let short = of_pool(&busy_pool(1)).join("\n");
    assert!(!short.contains("one turn"), "{short}");
    let mut detail = busy_pool(1);
    detail.workers[0].turn_ms = Some(900);
    let long = of_pool(&detail).join("\n");
    assert!(
        long.contains("1 worker is inside of one turn for 900 ms"),
        "{long}"
    );
    assert!(long.contains("concurrency_per_worker"), "{long}");
}

#[test]
fn the_times_of_a_few_calls_are_not_told() {
    for (samples, is_told) in [(9, false), (10, true)] {
        let mut detail = busy_pool(1);
        detail.pool.queue_wait.samples = samples;
        detail.pool.run_time.samples = samples;
        let text = of_pool(&detail).join("\n");
        assert_eq!(text.contains("by the median"), is_told, "{text}");
    }
}

#[test]
fn one_lost_call_is_told_in_the_singular() {
    let mut detail = busy_pool(0);
    detail.pool.outcomes.panicked_total = 1;
    detail.pool.outcomes.expired_total = 2;
    let text = of_pool(&detail).join("\n");
    assert!(
        text.contains("1 call ended with a panic of the handler."),
        "{text}"
    );
    assert!(text.contains("2 calls ended at a deadline."), "{text}");
}

#[test]
fn a_call_that_runs_for_long_is_named() {
    let mut detail = busy_pool(1);
    detail.calls.push(Call {
        worker: 0,
        method: "Mill.grind".to_owned(),
        seen_ms: 9_000,
        is_waiting: false,
    });
    let text = of_pool(&detail).join("\n");
    assert!(
        text.contains("A call of Mill.grind runs for 9.0 s on worker 0"),
        "{text}"
    );
}

#[test]
fn a_pool_at_rest_says_so() {
    let mut detail = busy_pool(0);
    detail.pool.queued = 0;
    assert_eq!(of_pool(&detail), ["It serves, and no call waits."]);
}

#[test]
fn a_paused_worker_is_named_before_the_queue_that_follows_from_it() {
    let mut detail = busy_pool(1);
    detail.workers[0].is_paused = true;
    let text = of_pool(&detail).join("\n");
    assert!(text.contains("1 worker is paused"), "{text}");
    assert!(!text.contains("More workers"), "{text}");
}
