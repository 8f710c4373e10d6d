//! Risk: the wait for the workers of a service keeps a waker for each poll.

use std::future::Future;
use std::pin::pin;
use std::task;

use super::*;

#[test]
fn a_wait_that_is_polled_again_keeps_one_waker() {
    let gone = Arc::new(Gone::default());
    let signal = Signal(gone.clone());
    let mut wait = pin!(gone.wait());
    let mut cx = task::Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(wait.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(gone.0.lock().1.len(), 1);
    drop(signal);
    assert!(wait.as_mut().poll(&mut cx).is_ready());
}
