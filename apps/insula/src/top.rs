//! The whole screen: `insula top`, and `insula replay` for a record.
//!
//! [`model`] is the state, [`view`] draws it, [`terminal`] owns the terminal, and [`connection`]
//! asks the program on a thread of its own, so that a slow answer holds up no key. This module has
//! the loop that connects them.

mod connection;
pub(crate) mod model;
mod terminal;
pub(crate) mod view;

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::layout::Rect;

use crate::failure::{Failure, Outcome};
use crate::look::Look;
use connection::{Connection, News};
use insula_inspect::client::Client;
use model::{Action, Model, Source};
use terminal::RawTerminal;
use view::Palette;

/// The longest time without a look at what has come.
const PATIENCE: Duration = Duration::from_millis(100);

/// The most keys that are taken before the screen is drawn again, so that a paste does not hold it
/// up.
const MAX_KEYS: usize = 64;

/// The time for which a look of a record is shown while it plays.
const PLAY: Duration = Duration::from_millis(500);

/// The origin of looks.
enum Feed {
    Program {
        connection: Connection,
        every: Duration,
        /// When to ask next.
        due: Instant,
        /// The user waits for a look, even if the screen is frozen.
        is_wanted: bool,
    },
    Record {
        looks: Vec<Look>,
        due: Instant,
    },
}

/// Shows a program until the user quits.
///
/// # Errors
/// Returns an error if there is no terminal.
pub(crate) fn run(client: Client, every: Duration, palette: Palette) -> Outcome {
    let feed = Feed::Program {
        connection: Connection::start(client),
        every,
        due: Instant::now(),
        is_wanted: false,
    };
    drive(Model::new(Source::Live), feed, palette)
}

/// Shows a record until the user quits.
///
/// # Errors
/// Returns an error if there is no terminal.
pub(crate) fn replay(looks: Vec<Look>, palette: Palette) -> Outcome {
    let mut model = Model::new(Source::Record {
        at: 0,
        looks: looks.len(),
        is_playing: false,
    });
    model.show(&looks, 0);
    let feed = Feed::Record {
        looks,
        due: Instant::now(),
    };
    drive(model, feed, palette)
}

fn drive(mut model: Model, mut feed: Feed, palette: Palette) -> Outcome {
    let mut screen = RawTerminal::open()?;
    let outcome = turn(&mut model, &mut feed, &mut screen, palette);
    screen.close();
    outcome
}

/// Draws, waits for a key or news, and takes them, until the user quits or the terminal goes away.
fn turn(model: &mut Model, feed: &mut Feed, screen: &mut RawTerminal, palette: Palette) -> Outcome {
    while !screen.is_told_to_stop() {
        let size = screen.size()?;
        view::measure(model, Rect::new(0, 0, size.width, size.height));
        screen.draw(|frame| view::draw(frame, model, palette))?;
        let mut is_idle = true;
        while is_idle && !screen.is_told_to_stop() {
            is_idle = !feed.advance(model);
            is_idle &= !screen.obey()?;
            for _ in 0..MAX_KEYS {
                let wait = if is_idle { PATIENCE } else { Duration::ZERO };
                if !event::poll(wait).map_err(gone)? {
                    break;
                }
                is_idle = false;
                let Event::Key(key) = event::read().map_err(gone)? else {
                    continue;
                };
                // Some terminals tell the release of a key too.
                if key.kind == KeyEventKind::Release {
                    continue;
                }
                let action = model.on_key(key);
                match action {
                    Action::Quit => return Ok(()),
                    Action::Redraw => screen.clear()?,
                    Action::Suspend if !screen.stop_job() => {
                        model.on_notice("there is no shell that would continue this command");
                    }
                    action => feed.carry(action, model),
                }
            }
        }
    }
    Ok(())
}

/// Returns the failure of a terminal that can no longer be read.
fn gone(error: std::io::Error) -> Failure {
    Failure::operation(format!("the terminal has failed: {error}"), "")
}

impl Feed {
    /// Asks for what is due, and takes what has come. Returns whether the model has changed.
    fn advance(&mut self, model: &mut Model) -> bool {
        match self {
            Self::Program {
                connection,
                every,
                due,
                is_wanted,
            } => {
                let now = Instant::now();
                let is_due = *is_wanted || *due <= now && !model.is_frozen;
                if is_due && model.is_live() && connection.ask(model.wanted()) {
                    *due = now + *every;
                    *is_wanted = false;
                }
                let mut has_changed = false;
                while let Some(news) = connection.news() {
                    has_changed = true;
                    match news {
                        News::Look(look) => model.on_look(*look),
                        News::Notice(text) => model.on_notice(&text),
                        News::Ended(why) => model.on_lost(&why),
                    }
                }
                has_changed
            }
            Self::Record { looks, due } => {
                if *due > Instant::now() {
                    return false;
                }
                *due = Instant::now() + PLAY;
                match model.on_tick() {
                    Action::Show(at) => {
                        model.show(looks, at);
                        true
                    }
                    _ => false,
                }
            }
        }
    }

    fn carry(&mut self, action: Action, model: &mut Model) {
        match (self, action) {
            (Self::Program { is_wanted, .. }, Action::Refresh) => *is_wanted = true,
            (Self::Program { connection, .. }, Action::Carry(order)) => connection.carry(order),
            (Self::Record { looks, due }, Action::Show(at)) => {
                model.show(looks, at);
                *due = Instant::now() + PLAY;
            }
            _ => {}
        }
    }
}
