//! The meaning of the keys.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Action, Mode, Model, Opened, Screen, Source, Subject};
use crate::order::{Order, Verb};

/// The longest filter, which also bounds what a paste can do.
const MAX_FILTER: usize = 100;

impl Model {
    /// Takes a key, and returns what is to be done.
    pub(crate) fn on_key(&mut self, key: KeyEvent) -> Action {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control && key.code == KeyCode::Char('c') {
            return Action::Quit;
        }
        if is_control && key.code == KeyCode::Char('z') {
            return Action::Suspend;
        }
        if is_control && key.code == KeyCode::Char('l') {
            return Action::Redraw;
        }
        self.notice = None;
        match self.mode.clone() {
            Mode::Help => {
                self.mode = Mode::Browse;
                match key.code {
                    KeyCode::Char('q') => Action::Quit,
                    _ => Action::None,
                }
            }
            Mode::Filter { before } => self.on_filter_key(key.code, before),
            Mode::Question { order, .. } => self.on_answer(key.code, order),
            Mode::Browse if is_control => Action::None,
            Mode::Browse => self.on_browse_key(key.code),
        }
    }

    fn on_browse_key(&mut self, key: KeyCode) -> Action {
        match key {
            KeyCode::Char('q') => Action::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => {
                self.mode = Mode::Help;
                Action::None
            }
            KeyCode::Esc | KeyCode::Backspace => self.back(),
            KeyCode::Enter => self.open(),
            KeyCode::Char(digit @ '1'..='7') => {
                let index = usize::from(digit as u8 - b'1');
                self.go(Screen::ALL[index])
            }
            KeyCode::Tab => self.go_by(1),
            KeyCode::BackTab => self.go_by(Screen::ALL.len() - 1),
            KeyCode::Char(' ') => self.freeze(),
            KeyCode::Left | KeyCode::Right => self.step(key == KeyCode::Right),
            KeyCode::Char('/' | 's' | '>' | '<' | 'r') => self.on_list_key(key),
            KeyCode::Char(letter @ ('k' | 'p' | 'u' | 'd' | 'R' | '+' | '-')) => {
                self.on_order_key(letter)
            }
            _ => self.on_move_key(key),
        }
    }

    fn on_move_key(&mut self, key: KeyCode) -> Action {
        let page = self.page;
        let from = match &self.opened {
            Some(opened) => opened.scroll,
            None => self.cursor().index,
        };
        let to = match key {
            KeyCode::Up => from.saturating_sub(1),
            KeyCode::Down => from.saturating_add(1),
            KeyCode::PageUp => from.saturating_sub(page),
            KeyCode::PageDown => from.saturating_add(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => usize::MAX,
            _ => return Action::None,
        };
        match &mut self.opened {
            // The view knows the number of lines, and `on_scroll` brings this back to the last.
            Some(opened) => opened.scroll = to,
            None => self.select(to),
        }
        Action::None
    }

    /// Takes the most lines that can be above the edge of the screen.
    pub(crate) fn on_scroll(&mut self, most: usize) {
        if let Some(opened) = &mut self.opened {
            opened.scroll = opened.scroll.min(most);
        }
    }

    fn on_list_key(&mut self, key: KeyCode) -> Action {
        if self.screen != Screen::Isolates || self.opened.is_some() {
            self.notice = Some("isolates are sorted and filtered on their screen, 2".to_owned());
            return Action::None;
        }
        match key {
            KeyCode::Char('/') => {
                self.mode = Mode::Filter {
                    before: self.filter.clone(),
                };
                return Action::None;
            }
            KeyCode::Char('r') => self.sort.reverse(),
            key => self.sort.step(key != KeyCode::Char('<')),
        }
        // The cursor does not go with its isolate, to show the start of the new order.
        self.select(0);
        Action::Refresh
    }

    fn on_filter_key(&mut self, key: KeyCode, before: String) -> Action {
        match key {
            KeyCode::Enter => self.mode = Mode::Browse,
            KeyCode::Esc => {
                self.filter = before;
                self.mode = Mode::Browse;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) if !letter.is_control() => {
                if self.filter.chars().count() < MAX_FILTER {
                    self.filter.push(letter);
                }
            }
            _ => return Action::None,
        }
        self.select(0);
        Action::Refresh
    }

    fn on_answer(&mut self, key: KeyCode, order: Order) -> Action {
        match key {
            KeyCode::Char('y' | 'Y') => {
                self.mode = Mode::Browse;
                Action::Carry(order)
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc | KeyCode::Enter => {
                self.mode = Mode::Browse;
                self.notice = Some("nothing was done".to_owned());
                Action::None
            }
            // Another key is most often a slip, and no answer.
            _ => Action::None,
        }
    }

    fn on_order_key(&mut self, letter: char) -> Action {
        let order = match self.why_no_orders() {
            Some(why) => Err(why),
            None => self.order_of(letter),
        };
        let order = match order {
            Ok(order) => order,
            Err(why) => {
                self.notice = Some(why.to_owned());
                return Action::None;
            }
        };
        // It cannot do harm.
        if order.verb == Verb::Resume {
            return Action::Carry(order);
        }
        let subject = if order.verb.is_of_pools() {
            Subject::Pool(order.id.clone())
        } else {
            Subject::Isolate(order.id.clone())
        };
        let text = order.question(self.name_of(&subject).as_deref());
        self.mode = Mode::Question { order, text };
        Action::None
    }

    /// Returns why there can be no orders at all.
    fn why_no_orders(&self) -> Option<&'static str> {
        match (&self.source, &self.lost) {
            (Source::Record { .. }, _) => Some("a record can only be looked at"),
            (Source::Live, Some(_)) => Some("the connection has ended"),
            (Source::Live, None) if !self.vm.can_control => {
                Some("this connection may only read; start the program with control")
            }
            (Source::Live, None) => None,
        }
    }

    /// Returns the order of a key on what is open or selected, or why there is none.
    fn order_of(&self, letter: char) -> Result<Order, &'static str> {
        let subject = match &self.opened {
            Some(opened) => Some(opened.subject.clone()),
            None => self.selected(),
        };
        let (verb, id) = match (letter, subject) {
            ('k', Some(Subject::Isolate(id))) => (Verb::Kill, id),
            ('p', Some(Subject::Isolate(id))) => (Verb::Pause, id),
            ('u', Some(Subject::Isolate(id))) => (Verb::Resume, id),
            ('k' | 'p' | 'u', _) => return Err("select an isolate first, on screen 2"),
            ('d', Some(Subject::Pool(id))) => (Verb::Drain, id),
            ('R', Some(Subject::Pool(id))) => (Verb::Recycle, id),
            ('+' | '-', Some(Subject::Pool(id))) => {
                let workers = self.next_size(&id, letter == '+');
                let workers = workers.ok_or("a pool keeps at least one worker")?;
                (Verb::Resize { workers }, id)
            }
            _ => return Err("select a pool first, on screen 3"),
        };
        Ok(Order { verb, id })
    }

    /// Returns the number of workers that is one more or one less than now, if there can be that.
    fn next_size(&self, id: &str, is_more: bool) -> Option<u64> {
        let workers = self.pool(id)?.workers;
        let next = if is_more {
            workers.checked_add(1)
        } else {
            workers.checked_sub(1)
        };
        next.filter(|workers| *workers > 0)
    }

    fn go(&mut self, screen: Screen) -> Action {
        self.opened = None;
        self.screen = screen;
        self.follow_rows();
        Action::Refresh
    }

    fn go_by(&mut self, step: usize) -> Action {
        let index = (self.screen.index() + step) % Screen::ALL.len();
        self.go(Screen::ALL[index])
    }

    fn open(&mut self) -> Action {
        if self.opened.is_some() {
            return Action::None;
        }
        let Some(subject) = self.selected() else {
            self.notice = Some("this row has no details".to_owned());
            return Action::None;
        };
        self.opened = Some(Opened::new(subject));
        match self.source {
            Source::Live => Action::Refresh,
            // A record has them at hand.
            Source::Record { at, .. } => Action::Show(at),
        }
    }

    fn back(&mut self) -> Action {
        if self.opened.take().is_some() {
            return Action::Refresh;
        }
        if self.screen == Screen::Isolates && !self.filter.is_empty() {
            self.filter.clear();
            self.follow_rows();
            return Action::Refresh;
        }
        Action::None
    }

    fn freeze(&mut self) -> Action {
        match &mut self.source {
            Source::Live => {
                self.is_frozen = !self.is_frozen;
                // What is frozen is what is on the screen.
                match self.is_frozen {
                    true => Action::None,
                    false => Action::Refresh,
                }
            }
            Source::Record {
                is_playing,
                at,
                looks,
            } => {
                *is_playing = !*is_playing;
                // At its end it plays from the start.
                let is_over = *at + 1 >= *looks;
                if *is_playing && is_over {
                    return Action::Show(0);
                }
                Action::None
            }
        }
    }

    fn step(&mut self, is_forward: bool) -> Action {
        let Source::Record {
            is_playing,
            at,
            looks,
        } = &mut self.source
        else {
            return Action::None;
        };
        *is_playing = false;
        let last = looks.saturating_sub(1);
        Action::Show(if is_forward {
            at.saturating_add(1).min(last)
        } else {
            at.saturating_sub(1)
        })
    }

    /// Takes a tick of the clock that plays a record.
    pub(crate) fn on_tick(&mut self) -> Action {
        let Source::Record {
            is_playing: is_playing @ true,
            at,
            looks,
        } = &mut self.source
        else {
            return Action::None;
        };
        if *at + 1 < *looks {
            return Action::Show(*at + 1);
        }
        *is_playing = false;
        Action::None
    }
}
