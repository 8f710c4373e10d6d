//! Ctrl-C and the request to terminate.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use insula::{Reply, one_shot};

/// Ready once the program was asked to stop. Not to be polled after that.
#[derive(Debug)]
pub(crate) struct Stop(Reply<()>);

/// From now on a request to stop (Ctrl-C, SIGTERM, SIGHUP) is passed on instead of ending the
/// program at once, so that it can end without leaving half a file.
///
/// # Errors
/// The reason why the system takes no handler.
pub(crate) fn listen() -> Result<Stop, ctrlc::Error> {
    let (stop, stopped) = one_shot();
    let mut stop = Some(stop);
    ctrlc::set_handler(move || {
        // A second request has nothing to add.
        if let Some(stop) = stop.take() {
            stop.send(());
        }
    })?;
    Ok(Stop(stopped))
}

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // An error would say that the handler was dropped, which it never is.
        let _ = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(())
    }
}
