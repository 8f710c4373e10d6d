//! The naive model of a program of one isolate: it applies the rules one after the other, with a
//! plain queue and a plain list of timers. Rule numbers are those of `docs/conformance.md`.
//!
//! Written from the rules, not from the event loop: nothing here is clever, shared or fast. The
//! additions of a seeded runtime are noted where they are used: time moves only when code computes
//! or nothing can run, and only then is an expired deadline noticed.

use std::collections::VecDeque;
use std::sync::Arc;

use insula_core::{Compat, ErrorPolicy, Priority};

use super::{CAPABILITIES, Node, Operation, PORTS, Program};

type Code = Arc<Node>;

/// An entry of the queue.
enum Event {
    Entry(Code),
    Message(usize, Code),
    /// The turn of a zero timer.
    Zero(u32),
    /// The earliest deadline has passed.
    Timeout,
    Action(Action),
}

/// The effect of a control message.
#[derive(Clone, Copy)]
enum Action {
    Pong(u32),
    Kill,
}

enum Control {
    Act(Priority, Action),
    Pause(usize),
    Resume(usize),
}

struct Timer {
    due: u64,
    serial: u32,
    is_zero: bool,
    code: Code,
}

impl Timer {
    fn place(&self) -> (u64, u32) {
        (self.due, self.serial)
    }
}

/// The reason why code stopped in the middle.
enum Stop {
    /// A panic, with its label.
    Panic(u32),
    /// The isolate is ending.
    End,
}

struct Model {
    compat: Compat,
    error_policy: ErrorPolicy,
    log: Vec<String>,
    errors: Vec<u32>,
    now: u64,
    queue: VecDeque<Event>,
    microtasks: VecDeque<Code>,
    /// Rule 26, in the VM: microtasks left by an error wait for the next event.
    microtasks_wait: bool,
    timers: Vec<Timer>,
    serial: u32,
    /// The only deadline that the event handler has, from its registration until its event.
    registered: Option<u64>,
    timeout_is_queued: bool,
    control: VecDeque<Control>,
    /// Rule 13: these run before all events.
    in_front: VecDeque<Action>,
    paused_by: [bool; CAPABILITIES],
    is_open: [bool; PORTS],
    end: Option<&'static str>,
}

/// Returns the trace that the program must leave.
pub fn trace(program: &Program) -> String {
    let mut model = Model {
        compat: program.compat,
        error_policy: program.error_policy,
        log: Vec::new(),
        errors: Vec::new(),
        now: 0,
        queue: VecDeque::new(),
        microtasks: VecDeque::new(),
        microtasks_wait: false,
        timers: Vec::new(),
        serial: 0,
        registered: None,
        timeout_is_queued: false,
        control: VecDeque::new(),
        in_front: VecDeque::new(),
        paused_by: [false; CAPABILITIES],
        is_open: [true; PORTS],
        end: None,
    };
    let entry = Arc::new(program.entries[0].clone());
    model.queue.push_back(Event::Entry(entry));
    model.live();
    model.text()
}

impl Model {
    fn text(&self) -> String {
        let mut lines = self.log.clone();
        lines.push(format!("errors {:?}", self.errors));
        lines.push(self.end.unwrap_or("alive").to_owned());
        lines.join(" ")
    }

    /// Runs until there is nothing left to do. Whenever nothing can run, time passes and the pauses
    /// are taken back, in turn.
    fn live(&mut self) {
        let mut idle = 0;
        while self.end.is_none() {
            if self.step() {
                continue;
            }
            if self.end.is_some() {
                return;
            }
            idle += 1;
            if idle % 2 == 1 {
                self.pass(1);
            } else {
                self.control.extend((0..CAPABILITIES).map(Control::Resume));
            }
        }
    }

    /// Lets time pass, which is when a deadline is noticed.
    fn pass(&mut self, duration: u64) {
        self.now += duration;
        let expired = self.registered.is_some_and(|due| due <= self.now);
        if expired && !self.timeout_is_queued {
            self.timeout_is_queued = true;
            self.queue.push_back(Event::Timeout);
        }
    }

    /// Registers the earliest deadline. Called only when a timer is made and when timers have run.
    fn register(&mut self) {
        let timers = self.timers.iter().filter(|it| !it.is_zero);
        let first = timers.map(|it| it.due).min();
        if self
            .registered
            .is_none_or(|due| first.is_some_and(|first| first < due))
        {
            self.registered = first;
        }
    }

    /// Does one thing that precedes the next event, or runs that event with its microtasks. Returns
    /// `false` if there is nothing to do now.
    fn step(&mut self) -> bool {
        if !self.handle_control() {
            return false;
        }
        if !self.microtasks_wait && !self.microtasks.is_empty() {
            self.finish_turn();
            return true;
        }
        if self.paused_by.contains(&true) {
            return false;
        }
        if let Some(action) = self.in_front.pop_front() {
            self.act(action);
            return true;
        }
        if let Some(event) = self.queue.pop_front() {
            let result = self.run_event(event);
            self.microtasks_wait = false;
            match result {
                Ok(()) => self.finish_turn(),
                Err(stop) => self.stopped(&stop),
            }
            return true;
        }
        // Rules 23 and 24: all ports are weak, so only timers keep the isolate alive.
        if self.timers.is_empty() {
            self.end = Some("finished");
        }
        false
    }

    fn run_event(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Entry(code) => self.run(&code),
            // Rule 32.
            Event::Message(port, code) if self.is_open[port] => self.run(&code),
            Event::Message(..) => Ok(()),
            Event::Action(action) => {
                self.act(action);
                Ok(())
            }
            Event::Zero(serial) => self.run_zero(serial),
            Event::Timeout => self.run_expired(),
        }
    }

    /// Rule 4: timers that sort before this one run first.
    fn run_zero(&mut self, serial: u32) -> Result<(), Stop> {
        // A timer that was cancelled has left its turn in the queue.
        let Some(zero) = self.timers.iter().find(|it| it.serial == serial) else {
            return Ok(());
        };
        let place = zero.place();
        let result = self.run_before(place);
        self.register();
        if let Err(stop) = result {
            // Rule 28.
            self.queue.push_back(Event::Zero(serial));
            return Err(stop);
        }
        match self.timers.iter().position(|it| it.serial == serial) {
            Some(index) => {
                let timer = self.timers.remove(index);
                self.run(&timer.code)
            }
            None => Ok(()),
        }
    }

    fn run_expired(&mut self) -> Result<(), Stop> {
        self.timeout_is_queued = false;
        self.registered = None;
        let zeros = self.timers.iter().filter(|it| it.is_zero);
        // Behind all that are due now, whatever their numbers.
        let limit = (self.now, u32::MAX);
        let limit = zeros
            .map(Timer::place)
            .min()
            .map_or(limit, |it| it.min(limit));
        let result = self.run_before(limit);
        self.register();
        result
    }

    /// Runs the timers before `limit`. Rule 5: microtasks run between them.
    fn run_before(&mut self, limit: (u64, u32)) -> Result<(), Stop> {
        loop {
            let timers = self.timers.iter().enumerate();
            let expired = timers.filter(|(_, it)| !it.is_zero && it.place() < limit);
            let Some((index, _)) = expired.min_by_key(|(_, it)| it.place()) else {
                return Ok(());
            };
            let timer = self.timers.remove(index);
            self.run(&timer.code)?;
            self.microtasks_wait = false;
            self.run_microtasks()?;
        }
    }

    /// Runs microtasks. Control messages are handled between any two.
    fn run_microtasks(&mut self) -> Result<(), Stop> {
        loop {
            if !self.handle_control() {
                return Err(Stop::End);
            }
            match self.microtasks.pop_front() {
                Some(code) => self.run(&code)?,
                None => return Ok(()),
            }
        }
    }

    fn finish_turn(&mut self) {
        if let Err(stop) = self.run_microtasks() {
            self.stopped(&stop);
        }
    }

    /// Handles a stop, by rules 25 and 26.
    fn stopped(&mut self, stop: &Stop) {
        // Any other end was written down where it happened.
        let Stop::Panic(label) = stop else { return };
        self.errors.push(*label);
        if self.error_policy == ErrorPolicy::End {
            self.end.get_or_insert("panicked");
            // The same as after a kill.
            self.handle_control();
        }
        self.microtasks_wait = self.compat == Compat::Dart;
    }

    /// Rules 11 and 22: handles all control messages that have come, in order. Returns `false` if
    /// the isolate is ending.
    fn handle_control(&mut self) -> bool {
        while let Some(control) = self.control.pop_front() {
            match control {
                Control::Pause(capability) => self.paused_by[capability] = true,
                Control::Resume(capability) => self.paused_by[capability] = false,
                Control::Act(Priority::Immediate, action) => self.act(action),
                Control::Act(Priority::BeforeNextEvent, action) => self.in_front.push_back(action),
                // The quirk of rule 13.
                Control::Act(_, action) if self.compat == Compat::Dart && self.queue.is_empty() => {
                    self.in_front.push_back(action);
                }
                // Rule 12.
                Control::Act(_, action) => self.queue.push_back(Event::Action(action)),
            }
        }
        self.end.is_none()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Pong(label) => self.log.push(format!("pong{label}")),
            Action::Kill => {
                // The first reason stays: a second kill, or one after an exit, changes nothing.
                self.end.get_or_insert("killed");
            }
        }
    }

    fn run(&mut self, code: &Node) -> Result<(), Stop> {
        self.log.push(code.label.to_string());
        for operation in &code.operations {
            self.operate(code.label, operation)?;
        }
        Ok(())
    }

    fn operate(&mut self, label: u32, operation: &Operation) -> Result<(), Stop> {
        match operation {
            Operation::Microtask(code) | Operation::Task(code) => {
                self.microtasks.push_back(code.clone());
            }
            Operation::Timer(delay, code) => self.start_timer(*delay, code.clone()),
            Operation::Cancel(label) => self.timers.retain(|it| it.code.label != *label),
            Operation::Send(port, code) if self.is_open[*port] => {
                self.queue.push_back(Event::Message(*port, code.clone()));
            }
            Operation::Send(..) => self.log.push("refused".to_owned()),
            Operation::Close(port) => self.is_open[*port] = false,
            Operation::Pause(_, it) => self.control.push_back(Control::Pause(*it)),
            Operation::Resume(_, it) => self.control.push_back(Control::Resume(*it)),
            Operation::Ping(_, priority, label) => {
                let action = Action::Pong(*label);
                self.control.push_back(Control::Act(*priority, action));
            }
            Operation::Kill(_, priority) => {
                self.control
                    .push_back(Control::Act(*priority, Action::Kill));
            }
            Operation::Check if !self.handle_control() => return Err(Stop::End),
            Operation::Check => {}
            Operation::Compute(duration) => self.pass(*duration),
            Operation::Exit => {
                self.end.get_or_insert("exited");
                return Err(Stop::End);
            }
            Operation::Panic => return Err(Stop::Panic(label)),
        }
        Ok(())
    }

    fn start_timer(&mut self, delay: u64, code: Code) {
        self.serial += 1;
        let is_zero = delay == 0;
        self.timers.push(Timer {
            due: self.now + delay,
            serial: self.serial,
            is_zero,
            code,
        });
        if is_zero {
            self.queue.push_back(Event::Zero(self.serial));
        } else {
            self.register();
        }
    }
}
