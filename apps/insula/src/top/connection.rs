//! The connection to the program, on a thread of its own.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use insula_inspect::client::{Client, ClientError};
use insula_inspect::model::Done;

use crate::look::{Look, Wanted, look};
use crate::order::Order;

/// A step of the thread, which takes one after the other.
enum Request {
    Look(Wanted),
    Carry(Order),
}

/// A message of the thread.
#[derive(Debug)]
pub(super) enum News {
    Look(Box<Look>),
    /// The outcome of an order, or the reason why a look failed.
    Notice(String),
    /// There will be no more.
    Ended(String),
}

/// A thread that asks the program.
///
/// One look is asked for at a time, so a slow program has no queue of them. Orders are as many as
/// the user gives.
#[derive(Debug)]
pub(super) struct Connection {
    requests: Sender<Request>,
    news: Receiver<(News, bool)>,
    is_looking: bool,
    has_ended: bool,
}

impl Connection {
    pub(super) fn start(client: Client) -> Self {
        let (requests, to_do) = channel();
        let (tell, news) = channel();
        // It ends with the program, or with the connection.
        thread::spawn(move || serve(client, &to_do, &tell));
        Self {
            requests,
            news,
            is_looking: false,
            has_ended: false,
        }
    }

    /// Asks for a look. Returns whether it was asked for, which it is not while another is on its
    /// way.
    pub(super) fn ask(&mut self, wanted: Wanted) -> bool {
        if self.is_looking {
            return false;
        }
        self.is_looking = self.requests.send(Request::Look(wanted)).is_ok();
        self.is_looking
    }

    /// Hands on an order. Without a connection the news has said so.
    pub(super) fn carry(&mut self, order: Order) {
        let _ = self.requests.send(Request::Carry(order));
    }

    /// Returns what has come, if there is something.
    pub(super) fn news(&mut self) -> Option<News> {
        let (news, ends_look) = match self.news.try_recv() {
            Ok(news) => news,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) if self.has_ended => return None,
            // The thread always says why it ends, unless it panics.
            Err(TryRecvError::Disconnected) => {
                let why = "the thread of the connection has ended";
                (News::Ended(why.to_owned()), true)
            }
        };
        self.is_looking &= !ends_look;
        self.has_ended |= matches!(news, News::Ended(_));
        Some(news)
    }
}

fn serve(mut client: Client, to_do: &Receiver<Request>, tell: &Sender<(News, bool)>) {
    for request in to_do {
        let (result, is_look) = match request {
            Request::Look(wanted) => {
                let result = look(&mut client, &wanted);
                (result.map(|look| News::Look(Box::new(look))), true)
            }
            Request::Carry(order) => {
                let done = client.call::<Done>(order.verb.method(), order.params());
                (done.map(|done| News::Notice(done.text)), false)
            }
        };
        let (news, has_ended) = match result {
            Ok(news) => (news, false),
            Err(error) => match error {
                // The next look may fare better.
                ClientError::TimedOut { .. }
                | ClientError::ReadOnly
                | ClientError::NotFound { .. }
                | ClientError::Failed { .. } => (News::Notice(error.to_string()), false),
                error => (News::Ended(error.to_string()), true),
            },
        };
        // The screen is gone, and with it the reason for this thread.
        if tell.send((news, is_look)).is_err() || has_ended {
            return;
        }
    }
}
