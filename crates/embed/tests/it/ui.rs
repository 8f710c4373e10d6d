//! Risk: the root isolate's messages, microtasks and frames get out of order, are lost, or reach
//! another isolate.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use insula_core::{
    ExitReason, Instant, Isolate, ReceivePort, RootIsolate, RootPhase, Runtime, SendPort, Timer,
    schedule_microtask, sleep, spawn_local,
};
use insula_embed::{BindError, Flush, Frame, FrameHandler, MessageLoop, UiBinding};

use crate::support::Stage;

fn bind(stage: &Stage, ui: &MessageLoop) -> UiBinding {
    UiBinding::new(ui, RootIsolate::builder("root").runtime(&stage.runtime))
        .expect("the loop stands alone")
}

/// A port of the isolate that writes what it gets, and a microtask after it.
fn open_port(stage: &Stage, binding: &UiBinding) -> SendPort<u32> {
    let writes: Arc<Vec<_>> = Arc::new((0..10).map(|n| stage.write(&format!("m{n}"))).collect());
    let after: Arc<dyn Fn() + Send + Sync> = Arc::new(stage.write("micro"));
    let opened = binding.enter(|_| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        port.listen(move |n: u32| {
            writes[n as usize]();
            let after = after.clone();
            schedule_microtask(move || after());
        });
        sender
    });
    opened.expect("the isolate has not ended")
}

/// Rule 38.
#[test]
fn a_message_is_a_task_with_its_microtasks_before_the_observers() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let port = open_port(&stage, &binding);
    ui.flush_tasks(Flush::All);
    ui.add_observer(stage.write("o"));
    port.send(1).unwrap();
    port.send(2).unwrap();
    ui.task_runner().post(stage.write("task"));
    assert_eq!(ui.flush_tasks(Flush::Single).tasks, 1);
    assert_eq!(stage.read(), "m1 micro o");
    // The other message waits behind the task that was posted before the first one ended.
    assert_eq!(ui.flush_tasks(Flush::Single).tasks, 1);
    assert_eq!(stage.read(), "task o");
    ui.flush_tasks(Flush::Single);
    assert_eq!(stage.read(), "m2 micro o");
    while ui.flush_tasks(Flush::All).tasks > 0 {}
    assert_eq!(ui.next_due(), None);
}

struct Painter {
    begin: Box<dyn Fn() + Send + Sync>,
    micro: Arc<dyn Fn() + Send + Sync>,
    draw: Box<dyn Fn()>,
    frames: Rc<std::cell::RefCell<Vec<Frame>>>,
}

impl FrameHandler for Painter {
    fn begin_frame(&mut self, frame: &Frame) {
        assert!(Isolate::current().is_some());
        (self.begin)();
        let micro = self.micro.clone();
        spawn_local(async move { micro() });
        self.frames.borrow_mut().push(*frame);
    }

    fn draw_frame(&mut self, frame: &Frame) {
        (self.draw)();
        assert_eq!(self.frames.borrow().last(), Some(frame));
    }

    fn idle(&mut self, _deadline: Instant) {
        (self.micro)();
    }
}

#[test]
fn microtasks_run_between_the_halves_of_a_frame() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    assert_eq!(binding.begin_frame(stage.runtime.now()), None);
    let frames = Rc::new(std::cell::RefCell::new(Vec::new()));
    binding.set_frame_handler(Painter {
        begin: Box::new(stage.write("begin")),
        micro: Arc::new(stage.write("micro")),
        draw: Box::new(stage.write("draw")),
        frames: frames.clone(),
    });
    let early = stage.runtime.now();
    let late = early + Duration::from_millis(16);
    assert_eq!(binding.begin_frame(late).map(|frame| frame.number), Some(1));
    assert_eq!(stage.read(), "begin micro draw");
    let second = binding.begin_frame(early).unwrap();
    assert_eq!((second.number, second.time), (2, late));
    assert_eq!(frames.borrow().len(), 2);
    stage.read();
    binding.notify_idle(late);
    assert_eq!(stage.read(), "micro");
}

#[test]
fn timers_and_other_isolates_reach_the_root() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let (timer, child, slept) = (
        stage.write("timer"),
        stage.write("child"),
        stage.write("slept"),
    );
    let runtime = stage.runtime.clone();
    binding.enter(move |pinned| {
        Timer::after(Duration::from_millis(2), timer);
        let mut port = ReceivePort::new();
        let answer = port.send_port();
        Isolate::builder()
            .runtime(&runtime)
            .spawn(move |()| answer.send(7u8).unwrap(), ());
        pinned.spawn_local(async move {
            // Not `Send`, as whatever lives on the window's thread.
            let seven = Rc::new(port.recv().await);
            child();
            sleep(Duration::from_millis(1)).await;
            assert_eq!(*seven, Some(7));
            slept();
        });
    });
    let settle = || {
        for _ in 0..10 {
            stage.runtime.run_until_idle();
            ui.flush_tasks(Flush::All);
        }
        stage.read()
    };
    assert_eq!(settle(), "child");
    stage.advance(1);
    assert_eq!(settle(), "slept");
    stage.advance(1);
    assert_eq!(settle(), "timer");
}

/// Sets its successor in the middle of its only frame.
struct Predecessor {
    binding: Rc<UiBinding>,
    successor: Option<Painter>,
    draw: Box<dyn Fn()>,
}

impl FrameHandler for Predecessor {
    fn begin_frame(&mut self, _: &Frame) {
        let successor = self.successor.take().expect("it has one frame");
        self.binding.set_frame_handler(successor);
    }

    fn draw_frame(&mut self, _: &Frame) {
        (self.draw)();
    }
}

#[test]
fn a_handler_that_is_replaced_in_its_frame_ends_that_frame_and_no_other() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = Rc::new(bind(&stage, &ui));
    let successor = Painter {
        begin: Box::new(stage.write("begin")),
        micro: Arc::new(stage.write("micro")),
        draw: Box::new(stage.write("draw")),
        frames: Rc::default(),
    };
    binding.set_frame_handler(Predecessor {
        binding: binding.clone(),
        successor: Some(successor),
        draw: Box::new(stage.write("last")),
    });
    let now = stage.runtime.now();
    assert_eq!(binding.begin_frame(now).map(|frame| frame.number), Some(1));
    assert_eq!(stage.read(), "last");
    assert_eq!(Rc::strong_count(&binding), 1, "the first one is gone");
    assert_eq!(binding.begin_frame(now).map(|frame| frame.number), Some(2));
    assert_eq!(stage.read(), "begin micro draw");
}

#[test]
fn a_loop_with_an_isolate_stays_on_its_thread() {
    let stage = Stage::new();
    let (ui, other) = (stage.make_loop("ui"), stage.make_loop("other"));
    let (to_ui, to_other) = (ui.task_runner(), other.task_runner());
    let binding = bind(&stage, &ui);
    assert!(!to_other.merge(&to_ui));
    assert!(to_ui.merge(&to_other), "it may own others");
    let refused = UiBinding::new(
        &other,
        RootIsolate::builder("second").runtime(&stage.runtime),
    );
    assert!(matches!(refused, Err(BindError::LoopUnavailable)));
    assert!(to_ui.unmerge(&to_other));
    drop(binding);
    assert!(to_other.merge(&to_ui));
}

#[test]
fn dropping_the_binding_ends_the_isolate() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let port = open_port(&stage, &binding);
    let isolate = binding.isolate();
    port.send(1).unwrap();
    drop(binding);
    assert!(port.send(2).is_err());
    ui.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "");
    assert_eq!(stage.runtime.block_on(isolate.exited()), ExitReason::Killed);
}

#[test]
fn other_threads_run_code_as_the_isolate() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let remote = binding.remote();
    let wrote = stage.write("remote");
    let micro = stage.write("micro");
    std::thread::spawn(move || {
        remote.post(move |_| {
            assert_eq!(&*Isolate::current().unwrap().name(), "root");
            schedule_microtask(micro);
            wrote();
        })
    })
    .join()
    .unwrap();
    while ui.flush_tasks(Flush::All).tasks > 0 {}
    assert_eq!(stage.read(), "remote micro");
}

/// The isolate's own code runs a loop, as a dialog does. The isolate cannot be entered twice.
#[test]
fn code_of_other_threads_waits_for_the_end_of_a_loop_inside_of_the_isolate() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let remote = binding.remote();
    let inside = binding.enter(|_| {
        for word in ["first", "second"] {
            let write = stage.write(word);
            remote.post(move |_| {
                assert!(Isolate::current().is_some());
                write();
            });
        }
        ui.task_runner().post(stage.write("task"));
        ui.flush_tasks(Flush::All);
        stage.read()
    });
    assert_eq!(inside.as_deref(), Some("task"));
    ui.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "first second");
}

/// A loop without a binding may be merged into one on another thread, where its tasks then run.
#[test]
fn code_for_an_isolate_that_is_gone_never_runs_as_another() {
    let stage = Stage::new();
    let runtime = Runtime::builder().threads(1).build();
    let make_loop = |label| MessageLoop::in_foreign_loop(label, &runtime, || {});
    let root = || RootIsolate::builder("root").runtime(&runtime);
    let (to_here, from_there) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let ui = make_loop("there");
            let binding = UiBinding::new(&ui, root()).unwrap();
            let remote = binding.remote();
            drop(binding);
            to_here.send((ui.task_runner(), remote)).unwrap();
            let _ = is_done.recv();
        });
        let write = stage.write("as another isolate");
        // A thread of its own, on which this binding is the first one too.
        scope.spawn(move || {
            let ui = make_loop("here");
            let binding = UiBinding::new(&ui, root()).unwrap();
            let (runner, remote) = from_there.recv().unwrap();
            assert!(ui.task_runner().merge(&runner));
            remote.post(move |_| write());
            ui.flush_tasks(Flush::All);
            drop((binding, done));
        });
    });
    assert_eq!(stage.read(), "");
    runtime.shut_down();
}

#[test]
fn a_frame_that_is_refused_leaves_its_handler_in_place() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let now = stage.runtime.now();
    binding.set_frame_handler(Painter {
        begin: Box::new(stage.write("begin")),
        micro: Arc::new(stage.write("micro")),
        draw: Box::new(stage.write("draw")),
        frames: Rc::default(),
    });
    // The isolate's own code may not begin a frame.
    let refused = binding.enter(|_| {
        let idle = catch_unwind(AssertUnwindSafe(|| binding.notify_idle(now)));
        let frame = catch_unwind(AssertUnwindSafe(|| binding.begin_frame(now)));
        idle.is_err() && frame.is_err()
    });
    assert_eq!(refused, Some(true));
    binding.notify_idle(now);
    assert!(binding.begin_frame(now).is_some());
    assert_eq!(stage.read(), "micro begin micro draw");
}

#[test]
fn a_pause_on_start_holds_the_entry_back() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let root = RootIsolate::builder("root")
        .runtime(&stage.runtime)
        .pause_on_start();
    let entry = stage.write("entry");
    let binding = UiBinding::spawn(&ui, root, move |()| entry(), ()).unwrap();
    assert_eq!(binding.phase(), RootPhase::Ready);
    for _ in 0..3 {
        ui.flush_tasks(Flush::All);
    }
    assert_eq!(stage.read(), "");
    binding.resume();
    for _ in 0..3 {
        ui.flush_tasks(Flush::All);
    }
    assert_eq!(stage.read(), "entry");
    assert_eq!(binding.phase(), RootPhase::Running);
}

#[test]
fn a_kill_is_seen_as_the_reason() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    while ui.flush_tasks(Flush::All).tasks > 0 {}
    assert_eq!(binding.exit_reason(), None);
    binding.isolate().kill();
    while ui.flush_tasks(Flush::All).tasks > 0 {}
    assert_eq!(binding.exit_reason(), Some(ExitReason::Killed));
    assert_eq!(binding.phase(), RootPhase::ShutDown);
    assert_eq!(binding.enter(|_| ()), None);
}

#[test]
fn a_panic_ends_the_isolate_and_nothing_else() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    let binding = bind(&stage, &ui);
    let panics = || -> u32 { std::panic::panic_any("a test's own") };
    assert_eq!(binding.enter(|_| panics()), None);
    assert!(matches!(
        binding.exit_reason(),
        Some(ExitReason::Panicked(_))
    ));
    ui.task_runner().post(stage.write("task"));
    ui.flush_tasks(Flush::All);
    assert_eq!(stage.read(), "task");
}

/// No code of the window system's runs as an isolate that is ending.
#[test]
fn nothing_runs_as_an_isolate_whose_runtime_is_shut_down() {
    let stage = Stage::new();
    let ui = stage.make_loop("ui");
    stage.runtime.shut_down();
    let binding = bind(&stage, &ui);
    assert_eq!(binding.exit_reason(), Some(ExitReason::Killed));
    binding.remote().post(|_| panic!("it has ended"));
    while ui.flush_tasks(Flush::All).tasks > 0 {}
    assert_eq!(binding.enter(|_| panic!("it has ended")), None::<()>);
    assert_eq!(stage.read(), "");
}
