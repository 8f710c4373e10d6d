//! Risk: the state machine loses a call, starts one twice, out of order or beside a free worker.

use insula_rpc::Reject;

use super::*;

impl Job for u32 {
    type Handle = u32;
    fn handle(&self) -> u32 {
        *self
    }
}

fn state(workers: usize, lanes: usize, queue: Queue, balance: Balance) -> State<u32> {
    let mut state = State::new(workers, lanes, queue, balance);
    for worker in 0..workers {
        assert!(state.ready(worker).0);
    }
    state
}

fn at(worker: usize, lane: usize) -> Place {
    Place { worker, lane }
}

fn next(state: &mut State<u32>, worker: usize, lane: usize) -> Option<u32> {
    match state.next(at(worker, lane)) {
        Next::Run(job) => Some(job),
        Next::Park => None,
        Next::Close(_) => panic!("lane {worker}/{lane} was closed"),
    }
}

fn is_closed(state: &mut State<u32>, worker: usize, lane: usize) -> bool {
    matches!(state.next(at(worker, lane)), Next::Close(_))
}

fn queued(state: &mut State<u32>, job: u32) -> Key {
    match state.submit(job, true) {
        Submitted::Queued(key) | Submitted::QueuedFor(key, _) => key,
        _ => panic!("{job} was not queued"),
    }
}

fn handed(state: &mut State<u32>, job: u32) {
    assert!(
        matches!(state.submit(job, true), Submitted::Handed(_)),
        "{job} was not handed over"
    );
}

fn refused(state: &mut State<u32>, job: u32, may_wait: bool) -> Reject {
    match state.submit(job, may_wait) {
        Submitted::Refused(back, why) if back == job => why,
        _ => panic!("{job} was not refused"),
    }
}

fn fault() -> Arc<WorkerFault> {
    Arc::new(WorkerFault::Ended)
}

#[test]
fn the_queue_is_first_in_first_out() {
    let mut state = state(1, 1, Queue::default(), Balance::default());
    for job in 1..=3 {
        queued(&mut state, job);
    }
    for job in 1..=3 {
        assert_eq!(next(&mut state, 0, 0), Some(job));
        assert_eq!(state.finish(at(0, 0)), Some(job));
    }
    assert_eq!(next(&mut state, 0, 0), None);
    handed(&mut state, 4);
    assert_eq!(next(&mut state, 0, 0), Some(4));
}

#[test]
fn round_robin_takes_turns_and_skips_the_busy() {
    let mut state = state(3, 1, Queue::default(), Balance::RoundRobin);
    for worker in 0..3 {
        assert_eq!(next(&mut state, worker, 0), None);
    }
    for job in 0..3 {
        handed(&mut state, job);
    }
    queued(&mut state, 3);
    for worker in 0..3 {
        assert_eq!(next(&mut state, worker, 0), Some(worker as u32));
    }
    assert_eq!(state.finish(at(1, 0)), Some(1));
    assert_eq!(
        next(&mut state, 1, 0),
        Some(3),
        "whoever is free first takes the next"
    );
}

#[test]
fn round_robin_goes_round_though_all_have_room() {
    let mut state = state(3, 2, Queue::default(), Balance::RoundRobin);
    for (worker, lane) in (0..3).flat_map(|worker| [(worker, 0), (worker, 1)]) {
        assert_eq!(next(&mut state, worker, lane), None);
    }
    let turns = (0..6).map(|job| match state.submit(job, true) {
        Submitted::Handed(place) => place.worker,
        _ => panic!("{job} was not handed over"),
    });
    assert_eq!(turns.collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
}

#[test]
fn least_loaded_prefers_the_worker_with_fewer_calls() {
    let mut state = state(2, 2, Queue::default(), Balance::LeastLoaded);
    queued(&mut state, 0);
    assert_eq!(next(&mut state, 0, 0), Some(0));
    for (worker, lane) in [(0, 1), (1, 0), (1, 1)] {
        assert_eq!(next(&mut state, worker, lane), None);
    }
    handed(&mut state, 1);
    assert_eq!(next(&mut state, 1, 1), Some(1));
}

#[test]
fn overflow_decides_who_loses() {
    let full = |overflow| {
        let mut state = state(
            1,
            1,
            Queue::bounded(2).overflow(overflow),
            Balance::default(),
        );
        queued(&mut state, 1);
        queued(&mut state, 2);
        state
    };
    let mut wait = full(Overflow::Wait);
    assert_eq!(refused(&mut wait, 3, false), Reject::QueueFull);
    queued(&mut wait, 3);
    assert_eq!(wait.queued(), 3);

    let mut reject = full(Overflow::Reject);
    assert_eq!(refused(&mut reject, 3, true), Reject::QueueFull);
    assert_eq!(reject.tally.rejected, 1);

    let mut newest = full(Overflow::DropNewest);
    assert_eq!(refused(&mut newest, 3, true), Reject::Shed);

    let mut oldest = full(Overflow::DropOldest);
    assert!(matches!(oldest.submit(3, true), Submitted::QueuedFor(_, 1)));
    assert_eq!((oldest.tally.shed, oldest.queued()), (1, 2));
    assert_eq!(next(&mut oldest, 0, 0), Some(2));

    let mut none = state(
        1,
        1,
        Queue::bounded(0).overflow(Overflow::DropOldest),
        Balance::default(),
    );
    assert_eq!(refused(&mut none, 1, true), Reject::Shed);
}

#[test]
fn a_withdrawn_call_leaves_room_and_is_never_started() {
    let mut state = state(
        1,
        1,
        Queue::bounded(2).overflow(Overflow::Reject),
        Balance::default(),
    );
    queued(&mut state, 1);
    let key = queued(&mut state, 2);
    assert_eq!(state.withdraw(key), Some(2));
    assert_eq!(state.withdraw(key), None);
    queued(&mut state, 3);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    state.finish(at(0, 0));
    assert_eq!(next(&mut state, 0, 0), Some(3));
}

#[test]
fn a_withdrawn_call_leaves_room_for_one_and_no_more() {
    let mut state = state(
        1,
        1,
        Queue::bounded(2).overflow(Overflow::Reject),
        Balance::default(),
    );
    queued(&mut state, 1);
    let key = queued(&mut state, 2);
    assert_eq!(state.withdraw(key), Some(2));
    assert_eq!(state.withdraw(key), None);
    assert_eq!((state.queued(), state.tally.withdrawn), (1, 1));
    queued(&mut state, 3);
    assert_eq!(refused(&mut state, 4, true), Reject::QueueFull);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    state.finish(at(0, 0));
    queued(&mut state, 5);
    assert_eq!(refused(&mut state, 6, true), Reject::QueueFull);
}

#[test]
fn a_worker_that_fails_while_draining_is_rebuilt_for_what_is_queued() {
    let mut state = state(1, 1, Queue::default(), Balance::default());
    for job in 1..=3 {
        queued(&mut state, job);
    }
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert!(state.drain(false).is_some_and(|it| it.refuse.is_empty()));
    for (incarnation, job) in [(1, 2), (2, 3)] {
        assert!(state.suspect(0).refuse.is_empty());
        state.finish(at(0, 0));
        assert!(is_closed(&mut state, 0, 0));
        let (rebuilt, actions) = state.rebuild(0);
        assert_eq!(rebuilt, Some(incarnation));
        assert!(actions.refuse.is_empty() && !state.is_over());
        assert!(state.ready(0).0);
        assert_eq!(next(&mut state, 0, 0), Some(job));
    }
    // Nothing is left to be rebuilt for.
    assert!(state.suspect(0).refuse.is_empty());
    state.finish(at(0, 0));
    assert!(is_closed(&mut state, 0, 0));
    assert_eq!(state.rebuild(0).0, None);
    assert!(state.is_over());
}

#[test]
fn a_suspect_worker_finishes_its_calls_and_is_rebuilt() {
    let mut state = state(1, 3, Queue::default(), Balance::default());
    queued(&mut state, 1);
    queued(&mut state, 2);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(next(&mut state, 0, 1), Some(2));
    assert_eq!(next(&mut state, 0, 2), None);
    handed(&mut state, 3);

    let actions = state.suspect(0);
    assert!(actions.refuse.is_empty());
    assert!(
        is_closed(&mut state, 0, 2),
        "the call that was handed over is taken back"
    );
    queued(&mut state, 4);
    assert_eq!(state.finish(at(0, 0)), Some(1));
    assert!(is_closed(&mut state, 0, 0));
    assert!(!state.is_quiet(0, Waker::noop()));
    assert_eq!(state.finish(at(0, 1)), Some(2));
    assert!(matches!(state.next(at(0, 1)), Next::Close(Some(_))));
    assert!(state.is_quiet(0, Waker::noop()));

    assert_eq!(state.rebuild(0).0, Some(1));
    assert!(state.ready(0).0);
    assert_eq!(
        next(&mut state, 0, 0),
        Some(3),
        "it comes first, as it was about to start"
    );
    assert_eq!(next(&mut state, 0, 1), Some(4));
}

#[test]
fn a_call_taken_back_goes_to_another_free_worker() {
    let mut state = state(2, 1, Queue::default(), Balance::RoundRobin);
    assert_eq!(next(&mut state, 0, 0), None);
    assert_eq!(next(&mut state, 1, 0), None);
    handed(&mut state, 1);
    let actions = state.lose(0, fault());
    assert_eq!(actions.unpark, [at(1, 0)]);
    assert_eq!(next(&mut state, 1, 0), Some(1));
}

#[test]
fn the_last_worker_takes_the_queue_with_it() {
    let mut state = state(2, 1, Queue::default(), Balance::default());
    queued(&mut state, 1);
    queued(&mut state, 2);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    let actions = state.lose(0, fault());
    assert_eq!(actions.discard, [1]);
    assert!(actions.refuse.is_empty() && !state.is_over());
    let actions = state.lose(1, fault());
    assert_eq!(actions.refuse, [(2, Reject::NoWorker)]);
    assert!(state.is_over());
    assert_eq!(refused(&mut state, 3, true), Reject::NoWorker);
    assert!(state.lose(1, fault()).refuse.is_empty());
}

#[test]
fn draining_finishes_the_queue_and_then_closes() {
    let mut state = state(1, 2, Queue::default(), Balance::default());
    queued(&mut state, 1);
    queued(&mut state, 2);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert!(state.drain(false).is_some());
    assert!(state.drain(false).is_none(), "only the first one counts");
    assert_eq!(refused(&mut state, 3, true), Reject::Shutdown);
    assert_eq!(next(&mut state, 0, 1), Some(2));
    state.finish(at(0, 1));
    assert!(is_closed(&mut state, 0, 1));
    state.finish(at(0, 0));
    assert!(is_closed(&mut state, 0, 0));
    assert!(state.is_quiet(0, Waker::noop()) && !state.is_over());
    assert_eq!(state.rebuild(0).0, None);
    assert!(state.is_over());
}

#[test]
fn draining_wakes_parked_lanes_so_that_they_close() {
    let mut state = state(2, 1, Queue::default(), Balance::default());
    assert_eq!(next(&mut state, 0, 0), None);
    assert_eq!(next(&mut state, 1, 0), None);
    let actions = state.drain(true).unwrap();
    assert_eq!(actions.unpark, [at(0, 0), at(1, 0)]);
    assert!(is_closed(&mut state, 0, 0) && is_closed(&mut state, 1, 0));
}

#[test]
fn closing_turns_away_what_has_not_started() {
    let mut state = state(1, 2, Queue::default(), Balance::default());
    queued(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(next(&mut state, 0, 1), None);
    handed(&mut state, 2);
    queued(&mut state, 3);
    assert!(state.drain(false).is_some());
    let actions = state.close_all();
    assert_eq!(
        actions.refuse,
        [(2, Reject::Shutdown), (3, Reject::Shutdown)]
    );
    assert_eq!(state.running(), [(WorkerId::new(0), 1)]);
    assert!(is_closed(&mut state, 0, 1));
}

#[test]
fn a_worker_that_was_given_up_may_come_back_without_harm() {
    let mut state = state(1, 1, Queue::default(), Balance::default());
    queued(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    let _actions = state.lose(0, fault());
    assert_eq!(state.finish(at(0, 0)), None);
    assert!(is_closed(&mut state, 0, 0));
    assert!(is_closed(&mut state, 0, 0));
}

/// Pseudo-random steps: every call ends in exactly one place, and none waits beside a parked
/// lane.
#[test]
fn no_call_is_lost_in_a_long_random_run() {
    const LANES: usize = 2;
    let mut state = state(3, LANES, Queue::bounded(5), Balance::LeastLoaded);
    let mut running: Vec<(Place, u32)> = Vec::new();
    let (mut seed, mut submitted, mut over) = (7_u64, 0_u32, 0_u32);
    for _ in 0..50_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let place = at((seed >> 40) as usize % 3, (seed >> 50) as usize % LANES);
        let is_running = running.iter().position(|(other, _)| *other == place);
        match (seed >> 61, is_running) {
            (0..=3, _) => {
                let may_wait = seed & 1 << 33 == 0;
                over += u32::from(matches!(
                    state.submit(submitted, may_wait),
                    Submitted::Refused(..)
                ));
                submitted += 1;
            }
            (_, Some(index)) => {
                let (_, job) = running.swap_remove(index);
                assert_eq!(state.finish(place), Some(job));
                over += 1;
            }
            (_, None) => {
                if let Next::Run(job) = state.next(place) {
                    running.push((place, job));
                }
            }
        }
        let parked: usize = state.workers.iter().map(|worker| worker.parked.len()).sum();
        assert_eq!(parked, state.idle);
        assert!(parked == 0 || state.queue.is_empty());
        let held = state.workers.iter().flat_map(|worker| &worker.lanes);
        let handed = held.filter(|lane| matches!(lane, Lane::Handed(_))).count();
        let inside = state.queued() + handed + running.len();
        assert_eq!(submitted as usize, over as usize + inside);
    }
}
