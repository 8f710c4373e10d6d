//! Risk: the dispatch loses a call, starts one twice, out of order or beside a free worker.

mod bytes;
mod choice;
mod fair;
mod fence;
mod lives;
mod priority;
mod rate;

use insula_rpc::Reject;

use super::admission::Crowded;
use super::*;
use crate::error::WorkerFault;

/// A call of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    number: u32,
    deadline: Option<Instant>,
    pin: Option<u64>,
    bytes: u64,
    priority: Priority,
    work: WorkType,
    identity: Option<u64>,
    share: Option<Share>,
}

impl Job for Call {
    type Handle = u32;
    fn handle(&self) -> u32 {
        self.number
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn pin(&self) -> Option<Target> {
        self.pin.map(Target::Key)
    }
    fn identity(&self) -> Option<u64> {
        self.identity
    }
    fn share(&self) -> Option<Share> {
        self.share
    }
    fn work(&self) -> WorkType {
        self.work
    }
    fn priority(&self) -> Priority {
        self.priority
    }
    fn came_at(&self) -> Option<Instant> {
        None
    }
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn call(number: u32) -> Call {
    Call {
        number,
        deadline: None,
        pin: None,
        bytes: 0,
        priority: Priority::Normal,
        work: WorkType::Balanced,
        identity: None,
        share: None,
    }
}

/// Workers that are ready, and whose lanes have not asked.
fn dispatch(workers: usize, places: usize, queue: Queue, balance: Balance) -> Dispatch<Call> {
    let mut state = Dispatch::new(workers, places, queue, balance);
    for worker in 0..workers {
        let lanes = state
            .ready(worker, state.incarnation(worker), now())
            .0
            .unwrap();
        assert_eq!(lanes, (0..places).collect::<Vec<_>>());
    }
    state
}

fn at(worker: usize, lane: usize) -> Place {
    Place { worker, lane }
}

/// A lane of an isolate that does nothing else asks.
fn next(state: &mut Dispatch<Call>, worker: usize, lane: usize) -> Option<u32> {
    let signs = state.signs();
    signs.enter(worker);
    let next = state.next(at(worker, lane));
    signs.leave(worker);
    match next {
        Next::Run(call, _) => {
            if call.pin.is_some() {
                signs.begin(worker);
            }
            Some(call.number)
        }
        Next::Park(_) => None,
        Next::Close(..) => panic!("lane {worker}/{lane} was closed"),
    }
}

fn is_closed(state: &mut Dispatch<Call>, worker: usize, lane: usize) -> bool {
    let signs = state.signs();
    signs.enter(worker);
    let is_closed = matches!(state.next(at(worker, lane)), Next::Close(..));
    signs.leave(worker);
    is_closed
}

fn now() -> Instant {
    Instant::now()
}

/// Submits a call that is queued; tells its key and the lane that was woken for it.
fn queued(state: &mut Dispatch<Call>, call: Call) -> (Key, Option<Place>) {
    match state.submit(call, true, now) {
        Submitted::Queued { key, unpark, .. } => (key, unpark.map(|it| it.at)),
        Submitted::Refused { .. } => panic!("{call:?} was not queued"),
    }
}

/// Submits a call for which a lane is woken.
fn woken(state: &mut Dispatch<Call>, number: u32) -> Place {
    let unpark = queued(state, call(number)).1;
    unpark.unwrap_or_else(|| panic!("no lane was woken for {number}"))
}

/// The calls that were shed for a call.
fn shed(submitted: &Submitted<Call>) -> &[Call] {
    crowded(submitted).map_or(&[], |it| &it.shed)
}

/// The calls that had expired in the way of a call.
fn expired(submitted: &Submitted<Call>) -> &[Call] {
    crowded(submitted).map_or(&[], |it| &it.expired)
}

fn crowded(submitted: &Submitted<Call>) -> Option<&Crowded<Call>> {
    let (Submitted::Queued { aside, .. } | Submitted::Refused { aside, .. }) = submitted;
    aside.as_deref()
}

fn waits(state: &mut Dispatch<Call>, number: u32) -> Key {
    let (key, unpark) = queued(state, call(number));
    assert_eq!(unpark, None, "a lane was woken for {number}");
    key
}

fn refused(state: &mut Dispatch<Call>, number: u32, may_wait: bool) -> Reject {
    match state.submit(call(number), may_wait, now) {
        Submitted::Refused { job, why, .. } if job.number == number => why,
        _ => panic!("{number} was not refused"),
    }
}

fn numbers(refused: &[(Call, Reject)]) -> Vec<(u32, Reject)> {
    refused
        .iter()
        .map(|(call, why)| (call.number, *why))
        .collect()
}

fn places(unpark: &[Unpark]) -> Vec<Place> {
    unpark.iter().map(|it| it.at).collect()
}

fn finish(state: &mut Dispatch<Call>, worker: usize, lane: usize) -> Option<u32> {
    state.finish(at(worker, lane), How::Answered).handle
}

fn fault() -> Arc<WorkerFault> {
    Arc::new(WorkerFault::Ended)
}

fn quiet(state: &mut Dispatch<Call>, worker: usize) -> bool {
    state
        .is_quiet(worker, state.incarnation(worker), Waker::noop().clone())
        .0
}

#[test]
fn the_queue_is_first_in_first_out() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    for number in 1..=3 {
        waits(&mut state, number);
    }
    for number in 1..=3 {
        assert_eq!(next(&mut state, 0, 0), Some(number));
        assert_eq!(finish(&mut state, 0, 0), Some(number));
    }
    assert_eq!(next(&mut state, 0, 0), None);
    assert_eq!(woken(&mut state, 4), at(0, 0));
    assert_eq!(next(&mut state, 0, 0), Some(4));
}

/// A call is taken by the lane that asks first, so it does not wait for the worker that was woken.
#[test]
fn a_woken_lane_takes_the_front_of_the_queue_whoever_it_was_woken_for() {
    let mut state = dispatch(2, 1, Queue::default(), Balance::RoundRobin);
    assert_eq!(next(&mut state, 0, 0), None);
    assert_eq!(next(&mut state, 1, 0), None);
    assert_eq!(woken(&mut state, 1), at(0, 0));
    assert_eq!(woken(&mut state, 2), at(1, 0));
    assert_eq!(next(&mut state, 1, 0), Some(1));
    assert_eq!(finish(&mut state, 1, 0), Some(1));
    assert_eq!(next(&mut state, 1, 0), Some(2));
    assert_eq!(next(&mut state, 0, 0), None, "there is nothing left");
}

#[test]
fn round_robin_takes_turns_and_skips_the_busy() {
    let mut state = dispatch(3, 2, Queue::default(), Balance::RoundRobin);
    for (worker, lane) in (0..3).flat_map(|worker| [(worker, 0), (worker, 1)]) {
        assert_eq!(next(&mut state, worker, lane), None);
    }
    let turns: Vec<_> = (0..6).map(|n| woken(&mut state, n).worker).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    waits(&mut state, 6);
}

#[test]
fn least_loaded_prefers_the_worker_with_fewer_calls() {
    let mut state = dispatch(2, 2, Queue::default(), Balance::LeastLoaded);
    waits(&mut state, 0);
    assert_eq!(next(&mut state, 0, 0), Some(0));
    for (worker, lane) in [(0, 1), (1, 0), (1, 1)] {
        assert_eq!(next(&mut state, worker, lane), None);
    }
    assert_eq!(woken(&mut state, 1).worker, 1);
}

#[test]
fn a_worker_inside_of_a_slice_has_no_room_until_it_is_over() {
    for balance in [Balance::RoundRobin, Balance::LeastLoaded] {
        let mut state = dispatch(2, 2, Queue::bounded(1), balance);
        for (worker, lane) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            assert_eq!(next(&mut state, worker, lane), None);
        }
        let signs = state.signs();
        signs.enter(0);
        assert_eq!(woken(&mut state, 1).worker, 1);
        assert_eq!(woken(&mut state, 2).worker, 1);
        waits(&mut state, 3);
        assert_eq!(refused(&mut state, 4, false), Reject::QueueFull);
        assert!(signs.leave(0), "calls wait");
        assert_eq!(state.offer(0).unwrap().at.worker, 0);
    }
}

/// Two calls came while only one worker looked free; the second one must not wait for it.
#[test]
fn a_lane_that_takes_a_call_wakes_another_worker_for_the_next() {
    let mut state = dispatch(2, 2, Queue::default(), Balance::RoundRobin);
    for (worker, lane) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert_eq!(next(&mut state, worker, lane), None);
    }
    let signs = state.signs();
    signs.enter(1);
    assert_eq!(woken(&mut state, 1).worker, 0);
    assert_eq!(woken(&mut state, 2).worker, 0);
    assert!(signs.leave(1));
    signs.enter(0);
    let Next::Run(first, Some(other)) = state.next(at(0, 0)) else {
        panic!("no other worker was woken")
    };
    assert_eq!((first.number, other.at.worker), (1, 1));
}

#[test]
fn overflow_decides_who_loses() {
    let full = |overflow| {
        let queue = Queue::bounded(2).overflow(overflow);
        let mut state = dispatch(1, 1, queue, Balance::default());
        waits(&mut state, 1);
        waits(&mut state, 2);
        state
    };
    let mut wait = full(Overflow::Wait);
    assert_eq!(refused(&mut wait, 3, false), Reject::QueueFull);
    waits(&mut wait, 3);
    assert_eq!(wait.queued(), 3);

    let mut reject = full(Overflow::Reject);
    assert_eq!(refused(&mut reject, 3, true), Reject::QueueFull);
    assert_eq!(reject.tally.rejected, 1);

    let mut newest = full(Overflow::DropNewest);
    assert_eq!(refused(&mut newest, 3, true), Reject::Shed);

    let mut oldest = full(Overflow::DropOldest);
    assert_eq!(
        refused(&mut oldest, 9, false),
        Reject::QueueFull,
        "a call that does not wait drops no other"
    );
    let submitted = oldest.submit(call(3), true, now);
    assert_eq!(shed(&submitted), [call(1)]);
    assert_eq!((oldest.tally.shed, oldest.queued()), (1, 2));
    assert_eq!(next(&mut oldest, 0, 0), Some(2));

    let queue = Queue::bounded(0).overflow(Overflow::DropOldest);
    let mut none = dispatch(1, 1, queue, Balance::default());
    assert_eq!(refused(&mut none, 1, true), Reject::Shed);
    assert_eq!(next(&mut none, 0, 0), None);
    assert_eq!(woken(&mut none, 2), at(0, 0));
    assert_eq!(refused(&mut none, 3, false), Reject::QueueFull);
}

/// Calls whose callers do not look must not keep the queue full for ever.
#[test]
fn expired_calls_make_room() {
    let queue = Queue::bounded(2).overflow(Overflow::Reject);
    let mut state = dispatch(1, 1, queue, Balance::default());
    let start = Instant::now();
    let second = std::time::Duration::from_secs(1);
    for number in 1..=2 {
        let deadline = Some(start + second * number);
        queued(
            &mut state,
            Call {
                deadline,
                ..call(number)
            },
        );
    }
    assert_eq!(refused(&mut state, 3, true), Reject::QueueFull);
    let submitted = state.submit(call(4), true, || start + second);
    let Submitted::Queued { .. } = submitted else {
        panic!("there is no room")
    };
    let expired = expired(&submitted).iter().map(|it| it.number);
    assert_eq!(expired.collect::<Vec<_>>(), [1]);
    assert_eq!((state.tally.expired, state.queued()), (1, 2));
    for number in [2, 4] {
        assert_eq!(next(&mut state, 0, 0), Some(number));
        finish(&mut state, 0, 0);
    }
    assert!(state.deadlines.is_empty());
}

#[test]
fn a_withdrawn_call_leaves_room_for_one_and_no_more() {
    let queue = Queue::bounded(2).overflow(Overflow::Reject);
    let mut state = dispatch(1, 1, queue, Balance::default());
    waits(&mut state, 1);
    let key = waits(&mut state, 2);
    assert_eq!(
        state.withdraw(key, false, now).map(|it| it.job),
        Some(call(2))
    );
    assert_eq!(state.withdraw(key, false, now).map(|it| it.job), None);
    assert_eq!((state.queued(), state.tally.withdrawn), (1, 1));
    let key = waits(&mut state, 3);
    assert_eq!(refused(&mut state, 4, true), Reject::QueueFull);
    assert_eq!(
        state.withdraw(key, true, now).map(|it| it.job),
        Some(call(3))
    );
    assert_eq!((state.tally.withdrawn, state.tally.expired), (1, 1));
    waits(&mut state, 5);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    finish(&mut state, 0, 0);
    assert_eq!(next(&mut state, 0, 0), Some(5));
}

#[test]
fn calls_of_a_key_go_to_one_worker_in_their_order() {
    let mut state = dispatch(4, 1, Queue::default(), Balance::default());
    let pinned = |number, pin| Call {
        pin: Some(pin),
        ..call(number)
    };
    for number in 0..8 {
        queued(&mut state, pinned(number, 7));
    }
    waits(&mut state, 8);
    let home = state.home(Target::Key(7)).unwrap();
    let others: Vec<_> = (0..4).filter(|&worker| worker != home).collect();
    assert_eq!(
        next(&mut state, others[0], 0),
        Some(8),
        "that is for everybody"
    );
    assert_eq!(next(&mut state, others[1], 0), None);
    for number in 0..4 {
        assert_eq!(next(&mut state, home, 0), Some(number));
        finish(&mut state, home, 0);
    }
    // What was not started goes to the key's next home, and only there.
    let actions = state.lose(home, 0, &fault(), Fate::Lost);
    let home = state.home(Target::Key(7)).unwrap();
    assert!(actions.unpark.iter().all(|it| it.at.worker == home));
    finish(&mut state, others[0], 0);
    for number in 4..8 {
        assert_eq!(next(&mut state, home, 0), Some(number));
        finish(&mut state, home, 0);
    }
    assert_eq!(state.queued(), 0);
}

/// The older one goes first, whichever queue it is in.
#[test]
fn pinned_and_common_calls_start_in_the_order_of_their_submission() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    for number in 0..6 {
        let pin = (number % 2 == 0).then_some(1);
        queued(
            &mut state,
            Call {
                pin,
                ..call(number)
            },
        );
    }
    for number in 0..6 {
        assert_eq!(next(&mut state, 0, 0), Some(number));
        finish(&mut state, 0, 0);
    }
}

#[test]
fn a_stream_that_waits_for_its_reader_leaves_its_place_to_the_next_call() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    waits(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(
        state.give_back(at(0, 0)).0,
        Some(1),
        "one more lane is needed"
    );
    assert_eq!(next(&mut state, 0, 1), None);
    assert_eq!(woken(&mut state, 2), at(0, 1));
    assert_eq!(next(&mut state, 0, 1), Some(2));
    // The stream wants to go on, and comes before the next call.
    assert!(!state.poll_return(at(0, 0), Waker::noop().clone()).0);
    waits(&mut state, 3);
    let Finished {
        handle: done,
        returned,
        ..
    } = state.finish(at(0, 1), How::Answered);
    assert_eq!((done, returned.is_some()), (Some(2), true));
    assert!(state.poll_return(at(0, 0), Waker::noop().clone()).0);
    assert!(is_closed(&mut state, 0, 1), "there is one lane too many");
    assert_eq!(finish(&mut state, 0, 0), Some(1));
    assert_eq!(next(&mut state, 0, 0), Some(3));
    assert_eq!(state.workers[0].active(), 1);
}

#[test]
fn a_suspect_worker_finishes_its_calls_but_waits_for_no_stream() {
    let mut state = dispatch(1, 2, Queue::default(), Balance::default());
    waits(&mut state, 1);
    waits(&mut state, 2);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(next(&mut state, 0, 1), Some(2));
    assert_eq!(state.give_back(at(0, 1)).0, Some(2));
    assert_eq!(next(&mut state, 0, 2), None);
    assert_eq!(
        places(&state.suspect(0, state.incarnation(0)).unpark),
        [at(0, 2)]
    );
    waits(&mut state, 3);
    assert!(is_closed(&mut state, 0, 2));
    assert!(!quiet(&mut state, 0));
    assert_eq!(finish(&mut state, 0, 0), Some(1));
    assert!(is_closed(&mut state, 0, 0));
    assert!(quiet(&mut state, 0));
    assert_eq!(state.rebuild(0, state.incarnation(0)).0, Some(1));
    let lanes = state.ready(0, state.incarnation(0), now()).0.unwrap();
    assert_eq!(lanes.len(), 2);
    assert_eq!(next(&mut state, 0, lanes[0]), Some(3));
    // The stream goes on beside it, and its lane takes no call on the new state.
    assert!(state.poll_return(at(0, 1), Waker::noop().clone()).0);
    waits(&mut state, 4);
    assert_eq!(next(&mut state, 0, lanes[1]), None, "both places are taken");
    assert_eq!(finish(&mut state, 0, 1), Some(2));
    assert!(is_closed(&mut state, 0, 1));
    assert_eq!(state.offer(0).unwrap().at, at(0, lanes[1]));
    assert_eq!(next(&mut state, 0, lanes[1]), Some(4));
}

/// A handler that computes on a state which was built again must not look as if it still ran.
#[test]
fn a_worker_that_is_given_up_runs_nothing_on_its_earlier_states() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    waits(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    let _actions = state.give_back(at(0, 0));
    let _actions = state.suspect(0, 0);
    assert!(is_closed(&mut state, 0, 1), "the lane beside it");
    assert_eq!(state.rebuild(0, 0).0, Some(1));
    let _built = state.ready(0, 1, now());
    assert!(state.poll_return(at(0, 0), Waker::noop().clone()).0);
    let _actions = state.lose(0, 1, &fault(), Fate::Lost);
    assert_eq!(state.workers[0].busy, 1);
    assert_eq!(state.give_up(0).discard, [1]);
    assert_eq!((state.workers[0].busy, state.workers[0].open), (0, 0));
    assert_eq!(finish(&mut state, 0, 0), None);
}

#[test]
fn a_worker_that_fails_while_draining_is_rebuilt_for_what_is_queued() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    for number in 1..=3 {
        waits(&mut state, number);
    }
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert!(state.drain(false).is_some_and(|it| it.refuse.is_empty()));
    for (incarnation, number) in [(1, 2), (2, 3)] {
        assert!(state.suspect(0, state.incarnation(0)).refuse.is_empty());
        finish(&mut state, 0, 0);
        assert!(is_closed(&mut state, 0, 0));
        let (rebuilt, actions) = state.rebuild(0, state.incarnation(0));
        assert_eq!(rebuilt, Some(incarnation));
        assert!(actions.refuse.is_empty() && !state.is_over());
        assert!(state.ready(0, state.incarnation(0), now()).0.is_some());
        assert_eq!(next(&mut state, 0, 0), Some(number));
    }
    // Nothing is left to be rebuilt for.
    assert!(state.suspect(0, state.incarnation(0)).refuse.is_empty());
    finish(&mut state, 0, 0);
    assert!(is_closed(&mut state, 0, 0));
    assert_eq!(state.rebuild(0, state.incarnation(0)).0, None);
    assert!(state.is_over());
}

#[test]
fn a_call_that_was_meant_for_a_lost_worker_goes_to_another() {
    for fate in [Fate::Lost, Fate::ByPolicy(now())] {
        let mut state = dispatch(2, 1, Queue::default(), Balance::RoundRobin);
        assert_eq!(next(&mut state, 0, 0), None);
        assert_eq!(next(&mut state, 1, 0), None);
        assert_eq!(woken(&mut state, 1), at(0, 0));
        let actions = state.lose(0, 0, &fault(), fate);
        assert_eq!(places(&actions.unpark), [at(1, 0)]);
        assert_eq!(next(&mut state, 1, 0), Some(1));
    }
}

#[test]
fn the_last_worker_takes_the_queue_with_it() {
    let mut state = dispatch(2, 1, Queue::default(), Balance::default());
    waits(&mut state, 1);
    waits(&mut state, 2);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    let actions = state.lose(0, 0, &fault(), Fate::Lost);
    assert_eq!(actions.discard, [1]);
    assert!(actions.refuse.is_empty() && !state.is_over());
    let actions = state.lose(1, 0, &fault(), Fate::Lost);
    assert_eq!(numbers(&actions.refuse), [(2, Reject::NoWorker)]);
    assert!(state.is_over());
    assert_eq!(refused(&mut state, 3, true), Reject::NoWorker);
    assert!(state.lose(1, 0, &fault(), Fate::Lost).refuse.is_empty());
    assert_eq!(state.rebuild(1, state.incarnation(1)).0, None, "it is gone");
}

#[test]
fn draining_finishes_the_queue_and_then_closes() {
    let mut state = dispatch(1, 2, Queue::default(), Balance::default());
    waits(&mut state, 1);
    waits(&mut state, 2);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert!(state.drain(false).is_some());
    assert!(state.drain(false).is_none(), "only the first one counts");
    assert_eq!(refused(&mut state, 3, true), Reject::Shutdown);
    assert_eq!(next(&mut state, 0, 1), Some(2));
    finish(&mut state, 0, 1);
    assert!(is_closed(&mut state, 0, 1));
    // The lane beside it takes the place of the one that has closed.
    assert_eq!(state.give_back(at(0, 0)).0, Some(1));
    assert!(is_closed(&mut state, 0, 1));
    assert!(!quiet(&mut state, 0), "a stream is a call that is here");
    assert!(state.poll_return(at(0, 0), Waker::noop().clone()).0);
    finish(&mut state, 0, 0);
    assert!(is_closed(&mut state, 0, 0));
    assert!(quiet(&mut state, 0) && !state.is_over());
    assert_eq!(state.rebuild(0, state.incarnation(0)).0, None);
    assert!(state.is_over() && state.phase() == Phase::Closed);
}

#[test]
fn draining_wakes_parked_lanes_so_that_they_close() {
    let mut state = dispatch(2, 1, Queue::default(), Balance::default());
    assert_eq!(next(&mut state, 0, 0), None);
    assert_eq!(next(&mut state, 1, 0), None);
    let actions = state.drain(true).unwrap();
    assert_eq!(places(&actions.unpark), [at(0, 0), at(1, 0)]);
    assert!(is_closed(&mut state, 0, 0) && is_closed(&mut state, 1, 0));
}

#[test]
fn closing_turns_away_what_has_not_started() {
    let mut state = dispatch(1, 2, Queue::default(), Balance::default());
    waits(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(next(&mut state, 0, 1), None);
    woken(&mut state, 2);
    waits(&mut state, 3);
    assert!(state.drain(false).is_some());
    let actions = state.close_all();
    let expected = [(2, Reject::Shutdown), (3, Reject::Shutdown)];
    assert_eq!(numbers(&actions.refuse), expected);
    assert_eq!(state.turned_away(), 2);
    assert_eq!(state.running(), [(WorkerId::new(0), 1)]);
    assert!(is_closed(&mut state, 0, 1));
}

#[test]
fn a_worker_that_was_given_up_may_come_back_without_harm() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    waits(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    let _actions = state.lose(0, 0, &fault(), Fate::Lost);
    assert_eq!(state.give_back(at(0, 0)).0, None);
    assert!(state.poll_return(at(0, 0), Waker::noop().clone()).0);
    assert_eq!(finish(&mut state, 0, 0), None);
    assert!(is_closed(&mut state, 0, 0));
    assert!(is_closed(&mut state, 0, 0));
}

/// The woken lane comes to nothing, and the call must not wait for it beside a free worker.
#[test]
fn a_call_whose_place_a_stream_has_taken_goes_to_another_worker() {
    let mut state = dispatch(2, 1, Queue::default(), Balance::RoundRobin);
    waits(&mut state, 1);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(state.give_back(at(0, 0)).0, Some(1));
    assert_eq!(next(&mut state, 0, 1), None);
    assert_eq!(next(&mut state, 1, 0), None);
    assert_eq!(woken(&mut state, 2), at(0, 1));
    assert!(state.poll_return(at(0, 0), Waker::noop().clone()).0);
    state.signs().enter(0);
    let Next::Close(actions) = state.next(at(0, 1)) else {
        panic!("there is one lane too many")
    };
    assert_eq!(places(&actions.unpark), [at(1, 0)]);
    assert_eq!(next(&mut state, 1, 0), Some(2));
}

/// The isolates of a random run, in so far as the dispatch sees them.
struct Model {
    state: Dispatch<Call>,
    /// Lanes that were told to run, in the order in which they come to it.
    ready: Vec<Place>,
    running: Vec<(Place, u32)>,
    absent: Vec<(Place, u32)>,
    returning: Vec<(Place, u32)>,
    keys: Vec<Key>,
    submitted: u32,
    over: u32,
}

impl Model {
    fn wake(&mut self, unpark: Option<Unpark>) {
        self.ready.extend(unpark.map(|it| it.at));
    }

    fn ask(&mut self, at: Place) {
        let signs = self.state.signs();
        signs.enter(at.worker);
        match self.state.next(at) {
            Next::Run(call, other) => {
                self.running.push((at, call.number));
                self.wake(other);
            }
            Next::Park(other) => self.wake(other),
            Next::Close(actions) => self.ready.extend(places(&actions.unpark)),
        }
        if signs.leave(at.worker) {
            let offered = self.state.offer(at.worker);
            self.wake(offered);
        }
    }

    fn submit(&mut self, pin: Option<u64>, priority: Priority, may_wait: bool) {
        let call = Call {
            pin,
            priority,
            bytes: u64::from(self.submitted % 5),
            ..call(self.submitted)
        };
        self.submitted += 1;
        let submitted = self.state.submit(call, may_wait, now);
        self.over += shed(&submitted).len() as u32;
        match submitted {
            Submitted::Queued { key, unpark, .. } => {
                self.keys.push(key);
                self.wake(unpark);
            }
            Submitted::Refused { .. } => self.over += 1,
        }
    }

    /// A stream gives its place back.
    fn give_back(&mut self, index: usize) {
        let (at, number) = self.running.swap_remove(index);
        self.absent.push((at, number));
        // Its handler runs in a slice of the worker, whose end may find that there is room now.
        let signs = self.state.signs();
        signs.enter(at.worker);
        let (lane, actions) = self.state.give_back(at);
        assert!(actions.unpark.is_empty());
        if let Some(lane) = lane {
            self.ready.push(Place { lane, ..at });
        }
        if signs.leave(at.worker) {
            let offered = self.state.offer(at.worker);
            self.wake(offered);
        }
    }

    fn finish(&mut self, index: usize) {
        let (at, number) = self.running.swap_remove(index);
        assert_eq!(self.state.finish(at, How::Answered).handle, Some(number));
        self.over += 1;
        self.ask(at);
    }

    /// Streams that want to go on look, as if they were always woken.
    fn look_for_places(&mut self) {
        for (at, number) in std::mem::take(&mut self.returning) {
            if self.state.poll_return(at, Waker::noop().clone()).0 {
                self.running.push((at, number));
            } else {
                self.returning.push((at, number));
            }
        }
    }

    fn check(&self) {
        let state = &self.state;
        let inside = state.queued() + self.running.len() + self.absent.len() + self.returning.len();
        assert_eq!(self.submitted as usize, self.over as usize + inside);
        let lanes = |worker: &Worker<Call>, is: fn(&Doing<Call>) -> bool| {
            worker.lanes.iter().filter(|lane| is(&lane.doing)).count()
        };
        let (mut parked, mut woken) = (0, 0);
        for (index, worker) in state.workers.iter().enumerate() {
            let running = lanes(worker, |it| matches!(it, Doing::Running(_)));
            assert_eq!(worker.busy, running);
            assert!(worker.busy <= worker.places);
            let absent = |it: &Doing<Call>| matches!(it, Doing::Absent(_) | Doing::Returning(..));
            let of_states: usize = worker.states.iter().map(|state| state.absent).sum();
            assert_eq!(of_states, lanes(worker, absent));
            let active: usize = worker.states.iter().map(|state| state.active).sum();
            assert_eq!(active + of_states, worker.open);
            assert_eq!(
                worker.open,
                lanes(worker, |it| !matches!(it, Doing::Closed))
            );
            assert_eq!(
                worker.parked.len(),
                lanes(worker, |it| matches!(it, Doing::Parked))
            );
            assert_eq!(worker.woken, lanes(worker, |it| matches!(it, Doing::Woken)));
            parked += worker.parked.len();
            woken += worker.woken;
            // No call waits beside a worker with room, unless a lane was woken that will see to it.
            let has_call = state.has_call_for(index);
            assert!(!has_call || !worker.has_room() || state.woken > 0);
        }
        assert_eq!((state.idle, state.woken), (parked, woken));
        self.check_bytes();
    }

    fn check_bytes(&self) {
        let state = &self.state;
        let queued = state.queues.values().map(|it| u128::from(it.bytes)).sum();
        let lanes = state.workers.iter().flat_map(|it| &it.lanes);
        let expected = lanes.map(|it| u128::from(it.expected)).sum();
        assert_eq!(state.bytes.sums(), (queued, expected));
    }
}

/// Pseudo-random steps: every call ends in exactly one place, none waits beside a worker with room,
/// and the counts are those of the lanes.
#[test]
fn no_call_is_lost_in_a_long_random_run() {
    const PLACES: usize = 2;
    let queue = Queue::bounded(5).bytes(7).overflow(Overflow::DropOldest);
    let mut model = Model {
        state: dispatch(3, PLACES, queue, Balance::LeastLoaded),
        ready: (0..3)
            .flat_map(|worker| (0..PLACES).map(move |lane| at(worker, lane)))
            .collect(),
        running: Vec::new(),
        absent: Vec::new(),
        returning: Vec::new(),
        keys: Vec::new(),
        submitted: 0,
        over: 0,
    };
    let mut seed = 7_u64;
    for _ in 0..100_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        match random(10) {
            0..=3 => {
                let pin = (random(4) == 0).then(|| random(5) as u64);
                let priorities = [Priority::High, Priority::Normal, Priority::Low];
                model.submit(pin, priorities[random(3)], random(2) == 0);
            }
            4 if !model.keys.is_empty() => {
                let key = model.keys.swap_remove(random(model.keys.len()));
                model.over += u32::from(model.state.withdraw(key, false, now).is_some());
            }
            5 if !model.running.is_empty() => model.give_back(random(model.running.len())),
            6 if !model.absent.is_empty() => {
                let call = model.absent.swap_remove(random(model.absent.len()));
                model.returning.push(call);
            }
            7 | 8 if !model.running.is_empty() => model.finish(random(model.running.len())),
            _ if !model.ready.is_empty() => {
                let at = model.ready.swap_remove(random(model.ready.len()));
                model.ask(at);
            }
            _ => {}
        }
        model.look_for_places();
        model.check();
    }
    assert!(model.over > 10_000);
}

/// The isolate of an earlier state ends while the next one runs: its lane's place is used again
/// before its loop is gone.
#[test]
fn a_lane_keeps_its_waker_though_the_loop_before_it_goes_later() {
    let waker = || Arc::new(Waker::noop().clone());
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    let old = waker();
    assert!(state.enroll(at(0, 0), Arc::clone(&old)).is_none());
    let _queued = queued(&mut state, call(1));
    assert_eq!(next(&mut state, 0, 0), Some(1));
    // It waits for the reader of its stream, and the state is built again.
    let _actions = state.give_back(at(0, 0));
    let _actions = state.suspect(0, state.incarnation(0));
    assert!(is_closed(&mut state, 0, 1), "the lane beside it");
    assert_eq!(state.rebuild(0, state.incarnation(0)).0, Some(1));
    assert_eq!(state.ready(0, state.incarnation(0), now()).0, Some(vec![1]));
    let actions = state.bury(0, 0);
    assert!(Arc::ptr_eq(&actions.retired[0], &old));
    assert_eq!(state.workers[0].open(), 0);
    let new = waker();
    assert!(state.enroll(at(0, 0), Arc::clone(&new)).is_none());
    assert!(state.dismiss(at(0, 0), 0).is_none(), "not the loop's own");
    assert!(Arc::ptr_eq(&state.dismiss(at(0, 0), 1).unwrap(), &new));
}

/// A pool of one worker that may have two. The one it has is lost, and a call waits for the other.
fn waits_for_a_reserve() -> Dispatch<Call> {
    let mut state = Dispatch::new(2, 1, Queue::default(), Balance::default());
    state.scale_by(Workers::from(1..=2));
    let _actions = state.ready(0, 0, now());
    let _actions = state.lose(0, 0, &fault(), Fate::Lost);
    waits(&mut state, 1);
    state
}

#[test]
fn no_call_waits_for_a_reserve_that_nothing_starts() {
    let mut state = waits_for_a_reserve();
    let actions = state.orphan();
    assert_eq!(numbers(&actions.refuse), [(1, Reject::NoWorker)]);

    let mut state = waits_for_a_reserve();
    let actions = state.drain(false).unwrap();
    assert_eq!(numbers(&actions.refuse), [(1, Reject::Shutdown)]);
    assert!(state.is_over());

    // Otherwise it starts.
    let mut state = waits_for_a_reserve();
    assert!(matches!(state.supervise(now()), Step::Start(start) if start.worker == 1));
}

#[test]
fn calls_of_a_key_that_had_no_home_stay_in_order() {
    let mut state = waits_for_a_reserve();
    let pinned = |number| Call {
        pin: Some(7),
        ..call(number)
    };
    for number in 2..4 {
        assert_eq!(queued(&mut state, pinned(number)).1, None);
    }
    let Step::Start(start) = state.supervise(now()) else {
        panic!("no worker is started")
    };
    // It has the key from here on, before it is ready.
    assert_eq!(queued(&mut state, pinned(4)).1, None);
    let lanes = state.ready(start.worker, start.incarnation, now()).0;
    assert_eq!(lanes, Some(vec![0]));
    for number in 1..=4 {
        assert_eq!(next(&mut state, 1, 0), Some(number));
        assert_eq!(finish(&mut state, 1, 0), Some(number));
    }
}

/// Its next services are being built, and another worker has room.
#[test]
fn a_call_whose_worker_ends_while_it_is_recycled_goes_to_another_one() {
    let mut state = dispatch(2, 1, Queue::default(), Balance::RoundRobin);
    for worker in 0..2 {
        assert_eq!(next(&mut state, worker, 0), None);
    }
    let _start = state.recycle(0);
    assert_eq!(woken(&mut state, 1), at(0, 0));
    let actions = state.lose(0, 0, &fault(), Fate::Lost);
    assert_eq!(places(&actions.unpark), [at(1, 0)]);
    assert_eq!(next(&mut state, 1, 0), Some(1));
}
