//! Risk: a call from outside is lost, run twice, run where it may not, never answered, or waits for
//! ever, when a callback closes, its isolate ends, or the call comes from the isolate itself.

mod blocking;
mod close;
mod in_place;
mod listener;
mod native_port;

use insula_core::{Isolate, Runtime, SendPort, one_shot};

/// Makes something inside of a new isolate and hands it out.
fn make_in_isolate<C: Send + 'static>(
    runtime: &Runtime,
    make: impl FnOnce() -> C + Send + 'static,
) -> (Isolate, C) {
    let (send, made) = one_shot();
    let isolate = Isolate::builder()
        .runtime(runtime)
        .spawn(move |()| send.send(make()), ());
    (isolate, made.wait().expect("the isolate makes it"))
}

/// Runs `f` in an isolate of its own, and returns what it returned.
fn in_other_isolate<R: Send + 'static>(
    runtime: &Runtime,
    f: impl FnOnce() -> R + Send + 'static,
) -> R {
    let _entered = runtime.enter();
    Isolate::run(f).wait().expect("it does not fail")
}

/// A port whose only use is that its senders can be dropped with what holds them.
fn end_of(port: SendPort<()>) -> impl Drop {
    struct Tell(SendPort<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    Tell(port)
}
