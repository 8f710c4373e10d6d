//! The terminal while the whole of it is in use.

use std::io::{self, IsTerminal};
use std::time::Duration;

use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::Size;
use ratatui::{DefaultTerminal, Frame};

use super::gone;
use crate::failure::Failure;
use platform::Told;

#[cfg(not(unix))]
#[path = "terminal/portable.rs"]
mod platform;
#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod platform;

/// The time in which the program ends by itself after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// What a signal asks for, besides the end of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    /// To stop, so that a shell has the terminal.
    Stop,
    /// To go on after a stop that this program has not seen.
    #[cfg_attr(not(unix), expect(dead_code, reason = "no job is stopped there"))]
    GoOn,
}

/// The terminal in its raw mode, on its second screen. It becomes as it was when this is closed or
/// dropped, on a panic, and on a signal that asks the program to end or to stop.
#[derive(Debug)]
pub(super) struct RawTerminal {
    terminal: DefaultTerminal,
    told: Told,
}

impl RawTerminal {
    /// # Errors
    /// Returns an error if there is no terminal.
    pub(super) fn open() -> Result<Self, Failure> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "this command needs a terminal",
                "For a file or a pipe, use `insula ps`, `insula pools`, `insula dump` or \
                 `insula replay --json`",
            ));
        }
        // Without handlers, signals would end the program with the terminal as it is.
        let told = Told::listen().map_err(|error| {
            Failure::operation(format!("signals cannot be handled: {error}"), "")
        })?;
        // This sets a panic hook too, which restores the terminal before the message.
        let terminal = ratatui::try_init().map_err(gone)?;
        Ok(Self { terminal, told })
    }

    /// Restores the terminal. If a signal has asked the program to end, it ends by that signal.
    pub(super) fn close(mut self) {
        self.leave();
        self.told.end();
    }

    /// Returns whether a signal has asked the program to end.
    pub(super) fn is_told_to_stop(&self) -> bool {
        self.told.is_ending()
    }

    /// Does what signals have asked for. Returns whether all must be drawn anew.
    ///
    /// # Errors
    /// Returns an error if the terminal has gone.
    pub(super) fn obey(&mut self) -> Result<bool, Failure> {
        let Some(wish) = self.told.wish() else {
            return Ok(false);
        };
        self.leave();
        if wish == Wish::Stop {
            self.told.stop().map_err(gone)?;
        }
        enable_raw_mode().map_err(gone)?;
        execute!(io::stdout(), EnterAlternateScreen).map_err(gone)?;
        self.clear()?;
        Ok(true)
    }

    /// Asks this job to stop, as a key of the terminal does elsewhere. Returns `false` if no shell is
    /// there that would continue it.
    #[expect(
        clippy::unused_self,
        reason = "only who has the terminal may give it away"
    )]
    pub(super) fn stop_job(&self) -> bool {
        platform::stop_job()
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

    /// Makes the terminal as it was.
    fn leave(&mut self) {
        // A terminal that has gone need not be restored.
        let _ = self.terminal.show_cursor();
        let _ = disable_raw_mode();
        let _ = execute!(io::stdout(), LeaveAlternateScreen);
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.leave();
    }
}
