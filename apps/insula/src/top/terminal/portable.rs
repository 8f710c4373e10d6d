//! An interrupt, on platforms without other signals.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{GRACE, Wish};

/// Whether the program was interrupted.
#[derive(Debug)]
pub(super) struct Told(Arc<AtomicBool>);

impl Told {
    pub(super) fn listen() -> io::Result<Self> {
        let is_ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_ending);
        let on_interrupt = move || {
            told.store(true, Ordering::Relaxed);
            thread::sleep(GRACE);
            exit(1);
        };
        ctrlc::set_handler(on_interrupt).map_err(io::Error::other)?;
        Ok(Self(is_ending))
    }

    pub(super) fn is_ending(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(super) fn wish(&self) -> Option<Wish> {
        None
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Unix")]
    pub(super) fn stop(&self) -> io::Result<()> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "as on Unix")]
    pub(super) fn end(&self) {}
}

pub(super) fn stop_job() -> bool {
    false
}
