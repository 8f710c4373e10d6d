//! The risk: an isolate stays paused, and no client can end that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula_core::{Isolate, ReceivePort, Runtime, block_on};

use crate::program::events::id_of;
use crate::program::{Failure, Limits, Program};

fn program(runtime: &Runtime) -> Program {
    Program::new("test".to_owned(), runtime.clone(), Limits::default())
}

#[test]
fn no_pause_outlives_the_inspector() {
    let runtime = Runtime::builder().threads(1).build();
    let builder = Isolate::builder().runtime(&runtime);
    let (isolate, port) = builder.spawn_pair(|port: ReceivePort<()>| port.listen(drop));
    let program = program(&runtime);
    let id = id_of(isolate.id());
    assert!(program.pause(&id).is_ok());
    program.resume_all();
    let late = program.pause(&id);
    assert_eq!(
        late,
        Err(Failure::Failed("the inspector is over".to_owned()))
    );
    drop(port);
    // It ends, which a paused one would not.
    block_on(isolate.exited());
    runtime.shut_down();
}

/// Whichever comes first: the pause of one client, or its end by another.
#[test]
fn a_pause_that_is_ended_at_the_same_time_leaves_the_isolate_paused_or_running() {
    let runtime = Runtime::builder().threads(1).build();
    let builder = Isolate::builder().runtime(&runtime);
    let (isolate, port) = builder.spawn_pair(|port: ReceivePort<()>| port.listen(drop));
    let program = Arc::new(program(&runtime));
    let id = id_of(isolate.id());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        let other = std::thread::spawn({
            let (program, id) = (program.clone(), id.clone());
            move || program.pause(&id).is_ok()
        });
        let _ = program.resume(&id);
        assert!(other.join().is_ok_and(|paused| paused));
        // Nothing was paused if the first end came too late, or the pause was known already.
        let _ = program.resume(&id);
        let told = block_on(isolate.inspect()).expect("it is alive");
        assert_eq!(told.pauses, 0);
    }
    drop(port);
    block_on(isolate.exited());
    runtime.shut_down();
}
