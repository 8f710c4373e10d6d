//! Risk: a sequence of ends, builds, panics and shutdowns that no other test tries leaves a worker,
//! a call or an isolate behind. All sequences up to a length are tried.
//!
//! The world around the dispatch is a model: isolates that build a state or serve, lanes that ask,
//! calls that run. Whatever has happened, the pool is closed at the end and everything goes on as far
//! as it can: then every call must have ended once, and nothing may be left.

use std::time::Duration;

use super::*;
use crate::lifecycle::Recycle;

const HOUR: Duration = Duration::from_secs(3600);

/// An event. Where there are several whom it could happen to, it is the one that is there
/// longest, or for `AskLast` and `EndLast` the one that came last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Submit,
    Ask,
    AskLast,
    Finish,
    GiveBack,
    Return,
    Panic,
    Built,
    FailToBuild,
    End,
    EndLast,
    Quiet,
    Supervise,
    Resize(usize),
    Drain,
    Close,
    /// An isolate that serves is given up. It goes on until it asks.
    Stuck,
    /// The services of the newest isolate say that they cannot serve, or that they can.
    NotServing,
    Serving,
    /// They hold too much memory.
    Exhaust,
    Reload,
}

const EVENTS: [Event; 17] = [
    Event::Submit,
    Event::Ask,
    Event::AskLast,
    Event::Finish,
    Event::GiveBack,
    Event::Return,
    Event::Panic,
    Event::Built,
    Event::FailToBuild,
    Event::End,
    Event::EndLast,
    Event::Quiet,
    Event::Supervise,
    Event::Resize(1),
    Event::Resize(2),
    Event::Drain,
    Event::Close,
];

/// The events of workers that are stuck, cannot serve or hold too much, and those that matter to them.
const HEALTH: [Event; 16] = [
    Event::Submit,
    Event::Ask,
    Event::AskLast,
    Event::Finish,
    Event::GiveBack,
    Event::Panic,
    Event::Built,
    Event::FailToBuild,
    Event::EndLast,
    Event::Quiet,
    Event::Supervise,
    Event::Stuck,
    Event::NotServing,
    Event::Serving,
    Event::Exhaust,
    Event::Reload,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Asking,
    Running(u32),
    Absent(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lane {
    at: Place,
    incarnation: u32,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Isolate {
    worker: usize,
    incarnation: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Building,
    Serving,
    /// Its last streams have readers.
    Leaving,
}

struct World {
    state: Dispatch<Call>,
    now: Instant,
    isolates: Vec<Isolate>,
    /// All that were ever spawned.
    spawned: Vec<(usize, u32)>,
    lanes: Vec<Lane>,
    submitted: u32,
    over: Vec<u32>,
}

impl World {
    /// A pool of one worker that may have two, whose services last for a call.
    fn new() -> Self {
        let mut state = Dispatch::new(2, 1, Queue::bounded(2), Balance::default());
        state.scale_by(Workers::from(1..=2));
        let _before =
            state.restart_by(Restart::at_most(2, HOUR).delay(Duration::ZERO, Duration::ZERO));
        state.recycle_by(Recycle::after_calls(1));
        let mut world = Self {
            state,
            now: Instant::now(),
            isolates: Vec::new(),
            spawned: Vec::new(),
            lanes: Vec::new(),
            submitted: 0,
            over: Vec::new(),
        };
        world.spawn(0, 0);
        assert!(world.happens(Event::Built));
        world
    }

    fn spawn(&mut self, worker: usize, incarnation: u32) {
        let name = (worker, incarnation);
        assert!(!self.spawned.contains(&name), "a second {name:?}");
        self.spawned.push(name);
        self.state.spawning(worker, incarnation);
        self.isolates.push(Isolate {
            worker,
            incarnation,
            stage: Stage::Building,
        });
    }

    fn perform(&mut self, actions: Actions<Call>) {
        let refused = actions.refuse.into_iter().map(|(call, _)| call.number);
        self.over.extend(refused);
    }

    fn add_lane(&mut self, worker: usize, lane: usize, incarnation: u32) {
        self.lanes.push(Lane {
            at: at(worker, lane),
            incarnation,
            doing: Doing::Asking,
        });
    }

    /// Returns whether the event could happen.
    fn happens(&mut self, event: Event) -> bool {
        let asking = |it: &Lane| it.doing == Doing::Asking;
        let running = |it: &Lane| matches!(it.doing, Doing::Running(_));
        let absent = |it: &Lane| matches!(it.doing, Doing::Absent(_));
        let building = |it: &Isolate| it.stage == Stage::Building;
        match event {
            Event::Submit => self.submit(),
            Event::Ask => self.with_lane(self.lanes.iter().position(asking), Self::ask),
            Event::AskLast => self.with_lane(self.lanes.iter().rposition(asking), Self::ask),
            Event::Finish => self.with_lane(self.lanes.iter().position(running), Self::finish),
            Event::GiveBack => self.with_lane(self.lanes.iter().position(running), Self::give_back),
            Event::Return => self.with_lane(self.lanes.iter().position(absent), Self::come_back),
            Event::Panic => self.with_lane(self.lanes.iter().position(running), Self::panic),
            Event::Built => {
                let first = self.isolates.iter().position(building);
                self.with_isolate(first, Self::built)
            }
            Event::FailToBuild => {
                let first = self.isolates.iter().position(building);
                self.with_isolate(first, Self::end)
            }
            Event::End => self.with_isolate((!self.isolates.is_empty()).then_some(0), Self::end),
            Event::EndLast => self.with_isolate(self.isolates.len().checked_sub(1), Self::end),
            Event::Quiet => self.go_quiet(),
            Event::Supervise => self.supervise(),
            Event::Resize(size) => {
                self.state.resize(size);
                true
            }
            Event::Drain => match self.state.drain(false) {
                Some(actions) => {
                    self.perform(actions);
                    true
                }
                None => false,
            },
            Event::Close => {
                let actions = self.state.close_all();
                self.perform(actions);
                true
            }
            Event::Stuck => {
                let serving = |it: &Isolate| it.stage == Stage::Serving;
                self.with_isolate(self.isolates.iter().position(serving), Self::stuck)
            }
            Event::NotServing => {
                self.with_isolate(self.isolates.len().checked_sub(1), |world, index| {
                    world.set_serving(index, false);
                })
            }
            Event::Serving => {
                self.with_isolate(self.isolates.len().checked_sub(1), |world, index| {
                    world.set_serving(index, true);
                })
            }
            Event::Exhaust => {
                self.with_isolate(self.isolates.len().checked_sub(1), |world, index| {
                    let it = world.isolates[index];
                    let actions = world.state.exhaust(it.worker, it.incarnation, world.now);
                    world.perform(actions);
                })
            }
            Event::Reload => {
                self.state.reload();
                true
            }
        }
    }

    fn with_lane(&mut self, index: Option<usize>, act: fn(&mut Self, usize)) -> bool {
        index.map(|index| act(self, index)).is_some()
    }

    fn with_isolate(&mut self, index: Option<usize>, act: fn(&mut Self, usize)) -> bool {
        index.map(|index| act(self, index)).is_some()
    }

    fn submit(&mut self) -> bool {
        let number = self.submitted;
        self.submitted += 1;
        if let Submitted::Refused { job, .. } = self.state.submit(call(number), false, now) {
            self.over.push(job.number);
        }
        true
    }

    fn ask(&mut self, index: usize) {
        let Lane { at, .. } = self.lanes[index];
        let signs = self.state.signs();
        signs.enter(at.worker);
        let next = self.state.next(at);
        signs.leave(at.worker);
        match next {
            Next::Run(call, _) => self.lanes[index].doing = Doing::Running(call.number),
            Next::Park(_) => {}
            Next::Close(actions) => {
                self.lanes.remove(index);
                self.perform(actions);
            }
        }
    }

    fn end_of(&mut self, index: usize) {
        if let Doing::Running(number) | Doing::Absent(number) = self.lanes[index].doing {
            self.over.push(number);
        }
        self.lanes[index].doing = Doing::Asking;
    }

    fn finish(&mut self, index: usize) {
        self.end_of(index);
        let _finished = self.state.finish(self.lanes[index].at, How::Answered);
    }

    fn panic(&mut self, index: usize) {
        let Lane {
            at, incarnation, ..
        } = self.lanes[index];
        self.finish(index);
        let actions = self.state.suspect(at.worker, incarnation);
        self.perform(actions);
    }

    fn give_back(&mut self, index: usize) {
        let Lane {
            at,
            incarnation,
            doing,
        } = self.lanes[index];
        let Doing::Running(number) = doing else {
            return;
        };
        self.lanes[index].doing = Doing::Absent(number);
        let (lane, actions) = self.state.give_back(at);
        self.perform(actions);
        if let Some(lane) = lane {
            self.add_lane(at.worker, lane, incarnation);
        }
    }

    fn come_back(&mut self, index: usize) {
        let Lane { at, doing, .. } = self.lanes[index];
        let Doing::Absent(number) = doing else {
            return;
        };
        if self.state.poll_return(at, Waker::noop().clone()).0 {
            self.lanes[index].doing = Doing::Running(number);
        }
    }

    fn built(&mut self, index: usize) {
        let Isolate {
            worker,
            incarnation,
            ..
        } = self.isolates[index];
        let (lanes, actions) = self.state.ready(worker, incarnation, self.now);
        self.perform(actions);
        match lanes {
            Some(lanes) => {
                self.isolates[index].stage = Stage::Serving;
                for lane in lanes {
                    self.add_lane(worker, lane, incarnation);
                }
            }
            None => self.end(index),
        }
    }

    /// An isolate ends, with what it runs.
    fn end(&mut self, index: usize) {
        let Isolate {
            worker,
            incarnation,
            ..
        } = self.isolates.remove(index);
        let is_its = |it: &Lane| (it.at.worker, it.incarnation) == (worker, incarnation);
        while let Some(lane) = self.lanes.iter().position(is_its) {
            self.end_of(lane);
            self.lanes.remove(lane);
        }
        let fate = Fate::ByPolicy(self.now);
        let actions = self.state.lose(worker, incarnation, &fault(), fate);
        self.perform(actions);
        let actions = self.state.bury(worker, incarnation);
        self.perform(actions);
    }

    /// An isolate is given up, with the calls that it runs. Its lanes ask once more.
    fn stuck(&mut self, index: usize) {
        let Isolate {
            worker,
            incarnation,
            ..
        } = self.isolates[index];
        self.isolates[index].stage = Stage::Leaving;
        for lane in 0..self.lanes.len() {
            let it = self.lanes[lane];
            if (it.at.worker, it.incarnation) == (worker, incarnation) {
                self.end_of(lane);
            }
        }
        let actions = self.state.leave_behind(worker, incarnation);
        self.perform(actions);
        let fate = Fate::ByPolicy(self.now);
        let actions = self.state.lose(worker, incarnation, &fault(), fate);
        self.perform(actions);
        let actions = self.state.give_up_state(worker, incarnation);
        self.perform(actions);
    }

    fn set_serving(&mut self, index: usize, is_serving: bool) {
        let it = self.isolates[index];
        let actions = self
            .state
            .set_serving(it.worker, it.incarnation, is_serving);
        self.perform(actions);
    }

    /// The first isolate whose lanes have ended goes on; one that leaves ends with its last lane.
    fn go_quiet(&mut self) -> bool {
        for index in 0..self.isolates.len() {
            let Isolate {
                worker,
                incarnation,
                stage,
            } = self.isolates[index];
            let is_its = |it: &Lane| (it.at.worker, it.incarnation) == (worker, incarnation);
            let has_lanes = self.lanes.iter().any(is_its);
            match stage {
                Stage::Serving => {
                    let waiting = Waker::noop().clone();
                    if !self.state.is_quiet(worker, incarnation, waiting).0 {
                        continue;
                    }
                    let (next, actions) = self.state.rebuild(worker, incarnation);
                    self.perform(actions);
                    if let Some(next) = next {
                        self.spawn(worker, next);
                    }
                    self.isolates[index].stage = Stage::Leaving;
                    return true;
                }
                Stage::Leaving if !has_lanes => {
                    self.end(index);
                    return true;
                }
                Stage::Leaving | Stage::Building => {}
            }
        }
        false
    }

    fn supervise(&mut self) -> bool {
        // Whatever is to come later is due.
        self.now = self.now + HOUR;
        match self.state.supervise(self.now) {
            Step::Start(start) => self.spawn(start.worker, start.incarnation),
            Step::Retired(actions) => self.perform(actions),
            Step::Wait | Step::WaitUntil(_) | Step::End => return false,
        }
        true
    }

    fn check(&self) {
        let running = self.lanes.iter().filter(|it| it.doing != Doing::Asking);
        let inside = self.state.queued() + running.count();
        assert_eq!(
            self.submitted as usize,
            self.over.len() + inside,
            "a call is missing"
        );
        for (index, worker) in self.state.workers.iter().enumerate() {
            // A closed pool lets every stream go on, so that it ends.
            let is_closed = self.state.phase() == Phase::Closed;
            assert!(worker.busy <= worker.places || is_closed);
            let counted: usize = worker.states.iter().map(|it| it.active + it.absent).sum();
            assert_eq!(counted, worker.open, "the lanes of worker {index}");
            // What is said to be built is built, or waits for the supervisor.
            let is_built = |incarnation| {
                let is_it = |it: &&Isolate| (it.worker, it.incarnation) == (index, incarnation);
                self.isolates
                    .iter()
                    .find(is_it)
                    .is_some_and(|it| it.stage == Stage::Building)
            };
            if matches!(worker.condition, Condition::Starting) {
                assert!(is_built(worker.incarnation) || self.state.starts.has(index));
            }
            assert!(
                worker.successor.is_none_or(is_built),
                "a successor that is not built"
            );
        }
    }

    /// Closes the pool, and lets everything go on for as long as anything happens.
    fn wind_down(&mut self) {
        self.happens(Event::Close);
        for _ in 0..100 {
            let mut has_happened = false;
            for event in [
                Event::Return,
                Event::Finish,
                Event::FailToBuild,
                Event::Quiet,
                Event::Supervise,
            ] {
                has_happened |= self.happens(event);
            }
            let lanes = self.lanes.len();
            for index in (0..lanes).rev() {
                if self.lanes[index].doing == Doing::Asking {
                    self.ask(index);
                }
            }
            if !has_happened && self.lanes.len() == lanes {
                break;
            }
        }
        assert!(self.lanes.is_empty(), "{:?}", self.lanes);
        assert!(self.isolates.is_empty(), "{:?}", self.isolates);
        assert!(self.state.is_over());
        assert!(matches!(self.state.supervise(self.now), Step::End));
        for worker in &self.state.workers {
            assert!(worker.not_serving.is_empty() && worker.left_behind.is_empty());
            assert!(!worker.has_orphans());
            assert_eq!(worker.closed.len(), worker.lanes.len(), "a lane is lost");
        }
        self.over.sort_unstable();
        let all: Vec<u32> = (0..self.submitted).collect();
        assert_eq!(self.over, all, "each call ends once");
    }
}

/// Prints what has happened if something is wrong with it.
struct Story<'a>(&'a [Event]);

impl Drop for Story<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {:?}", self.0);
        }
    }
}

fn explore(events: &[Event], story: &mut Vec<Event>, length: usize, tried: &mut u32) {
    for &event in events {
        let mut world = World::new();
        story.push(event);
        let told = Story(story);
        let mut can = true;
        for event in told.0 {
            can = world.happens(*event);
            world.check();
        }
        // One that changes nothing leads to nothing that the others do not.
        if can {
            world.wind_down();
            *tried += 1;
        }
        drop(told);
        if can && length > 1 {
            explore(events, story, length - 1, tried);
        }
        story.pop();
    }
}

#[test]
fn every_life_of_a_pool_comes_to_its_end() {
    let mut tried = 0;
    explore(&EVENTS, &mut Vec::new(), 6, &mut tried);
    assert!(tried > 200_000, "{tried}");
}

#[test]
fn every_life_of_a_pool_whose_workers_are_unwell_comes_to_its_end() {
    let mut tried = 0;
    explore(&HEALTH, &mut Vec::new(), 5, &mut tried);
    assert!(tried > 50_000, "{tried}");
}
