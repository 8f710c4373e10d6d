//! Handles Ctrl-C and requests to terminate.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use insula::{Reply, one_shot};

/// A future that is ready once the program was asked to stop. Do not poll it after that.
#[derive(Debug)]
pub struct Stop(Reply<()>);

impl Stop {
    /// From this call on, a request to stop (Ctrl-C, SIGTERM, SIGHUP) makes the future ready
    /// instead of ending the program at once, so that the program does not leave a partial file.
    ///
    /// # Errors
    /// Returns an error if no handler can be installed, for example because there is one.
    pub fn listen() -> io::Result<Self> {
        let (stop, stopped) = one_shot();
        let mut stop = Some(stop);
        ctrlc::set_handler(move || {
            // A second request changes nothing.
            if let Some(stop) = stop.take() {
                stop.send(());
            }
        })
        .map_err(io::Error::other)?;
        Ok(Self(stopped))
    }
}

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // An error would mean that the handler was dropped, which never happens.
        let _ = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(())
    }
}
