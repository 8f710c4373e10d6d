//! The terminal while the whole of it is in use.

use std::io::{self, IsTerminal};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ratatui::layout::Size;
use ratatui::{DefaultTerminal, Frame};

use super::gone;
use crate::failure::Failure;

/// The time in which the program ends by itself after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// The exit status of a program that a signal has ended: 128 and SIGTERM, as shells report it.
const TERMINATED: i32 = 128 + 15;

/// The terminal in its raw mode, on its second screen. It becomes as it was when this is closed or
/// dropped, on a panic, and on a signal that asks the program to end.
#[derive(Debug)]
pub(super) struct RawTerminal {
    terminal: DefaultTerminal,
    stop: Arc<AtomicBool>,
}

impl RawTerminal {
    /// # Errors
    /// Returns an error if there is no terminal.
    pub(super) fn open() -> Result<Self, Failure> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "this command needs a terminal",
                "For a file or a pipe, use `insula ps`, `insula pools` or `insula dump`",
            ));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        // Ctrl-C is a key while the terminal is raw, so this is for `kill` and a closed window.
        // Without a handler the program would end with the terminal as it is.
        let on_signal = move || {
            told.store(true, Ordering::Relaxed);
            // A terminal that is gone may keep the other thread in its read for ever, with a core
            // to itself. If that thread ends the program, this one does not wake up again.
            thread::sleep(GRACE);
            exit(TERMINATED);
        };
        ctrlc::set_handler(on_signal).map_err(|error| {
            Failure::operation(format!("signals cannot be handled: {error}"), "")
        })?;
        // This sets a panic hook too, which restores the terminal before the message.
        let terminal = ratatui::try_init().map_err(gone)?;
        Ok(Self { terminal, stop })
    }

    /// Restores the terminal.
    pub(super) fn close(self) {
        drop(self);
    }

    /// Returns whether a signal has asked the program to end.
    pub(super) fn is_told_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// # Errors
    /// Returns an error if the terminal has gone.
    pub(super) fn size(&self) -> Result<Size, Failure> {
        self.terminal.size().map_err(gone)
    }

    /// Forgets what was drawn, so that all of it is drawn anew.
    ///
    /// # Errors
    /// Returns an error if the terminal has gone.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.terminal.clear().map_err(gone)
    }

    /// # Errors
    /// Returns an error if the terminal has gone.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(draw).map_err(gone)?;
        Ok(())
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that has gone need not be restored.
        let _ = ratatui::try_restore();
    }
}
