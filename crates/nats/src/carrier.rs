//! Moves the messages of one end of a link, as a task on the thread of the connection.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message as Delivered, Subscriber};
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep_until, timeout};

use crate::course::{Course, Incoming};
use crate::message::{Kind, Message, reason};
use crate::session::{Losses, Session};
use crate::signals::{Closing, Signals};

/// What a medium moves frames for.
pub(crate) trait End: Send {
    /// Returns the next frame for the other end.
    fn next(&mut self) -> Option<Vec<u8>>;
    /// Returns the number of frames that wait to be returned, unless something else bounds them.
    fn waiting(&self) -> usize;
    /// Takes a frame of the other end. Returns whether it is done with it; otherwise it says so by
    /// [`Signals::take_one`].
    ///
    /// # Errors
    /// The link is lost for this reason.
    fn give(&mut self, frame: Vec<u8>) -> Result<bool, String>;
    /// The other end lets go of the worker soon.
    fn going(&mut self);
}

/// How a link has ended.
#[derive(Debug)]
pub(crate) enum Over {
    /// The other end has ended it, and has said all that it had to say.
    Ended(String),
    /// Something may be missing.
    Lost(String),
    /// This end has ended it.
    Closed,
}

/// The messages of a link, and all that they need.
pub(crate) struct Carrier {
    pub(crate) session: Arc<Session>,
    pub(crate) losses: Losses,
    /// The inbox of this end.
    pub(crate) inbox: Subscriber,
    /// That of the other one.
    pub(crate) peer: String,
    pub(crate) course: Course,
    pub(crate) signals: Arc<Signals>,
    pub(crate) pace: Pace,
}

/// When this end beats, and when it takes the other one for gone.
#[derive(Debug)]
pub(crate) struct Pace {
    silence: Duration,
    beat: Duration,
    heard: Instant,
    said: Instant,
    closing: Option<Instant>,
}

impl Pace {
    /// Makes the pace of a link that begins now.
    pub(crate) fn new(ours: Duration, theirs: Duration) -> Self {
        let now = Instant::now();
        Self {
            silence: ours,
            beat: crate::plan::beat(ours, theirs),
            heard: now,
            said: now,
            closing: None,
        }
    }

    fn next(&self) -> Instant {
        (self.said + self.beat).min(self.heard + self.silence)
    }
}

impl Carrier {
    /// Moves messages until the link has ended.
    pub(crate) async fn run(mut self, end: &mut impl End) -> Over {
        // At once, so that the other end knows that it was heard.
        let begun = self.say(Kind::Beat, b"").await;
        let over = match begun {
            Ok(()) => loop {
                if let Err(over) = self.step(end).await {
                    break over;
                }
            },
            Err(over) => over,
        };
        if let Over::Lost(why) = &over {
            // So that it need not wait for the silence; if it does not arrive, it does.
            let _ = self.say(Kind::Break, reason(why)).await;
        }
        over
    }

    async fn step(&mut self, end: &mut impl End) -> Result<(), Over> {
        let asked = self.signals.look();
        self.course.take(asked.taken, end.waiting());
        if asked.is_going {
            self.say(Kind::Going, b"").await?;
        }
        if let Some(Closing::Broken(why)) = &asked.closing {
            self.say(Kind::Break, reason(why)).await?;
            return Err(Over::Closed);
        }
        self.send(end).await?;
        // Fewer may wait now.
        self.course.take(0, end.waiting());
        let now = Instant::now();
        if let Some(Closing::Complete(why)) = &asked.closing {
            // Before the look at what was asked nothing is left out; after it nothing counts.
            let since = *self.pace.closing.get_or_insert(now);
            if self.is_all_sent(end).await? {
                self.say(Kind::End, reason(why)).await?;
                return Err(Over::Closed);
            }
            if now - since >= self.pace.silence {
                return Err(Over::Lost("the other side takes no messages".to_owned()));
            }
        }
        if now - self.pace.heard >= self.pace.silence {
            let silence = self.pace.silence;
            return Err(Over::Lost(format!(
                "the other side was silent for {silence:?}"
            )));
        }
        if self.losses.were_missed(&self.session) {
            return Err(Over::Lost(DISCONNECTED.to_owned()));
        }
        if self.course.owes_beat() || now - self.pace.said >= self.pace.beat {
            self.say(Kind::Beat, b"").await?;
        }
        let next = self.pace.next();
        tokio::select! {
            biased;
            () = self.losses.next() => Err(Over::Lost(DISCONNECTED.to_owned())),
            delivered = self.inbox.next() => self.receive(delivered, end),
            () = self.signals.wait() => Ok(()),
            () = sleep_until(next) => Ok(()),
        }
    }

    /// Sends parts of frames, as long as there are any and there is room.
    async fn send(&mut self, end: &mut impl End) -> Result<(), Over> {
        loop {
            let most = self.session.client().max_payload();
            let Some(part) = self.course.part(most, || end.next()) else {
                return Ok(());
            };
            self.publish(part).await?;
        }
    }

    /// Returns whether no frame waits, after another try to send them.
    async fn is_all_sent(&mut self, end: &mut impl End) -> Result<bool, Over> {
        if self.course.is_full() {
            return Ok(false);
        }
        self.send(end).await?;
        Ok(!self.course.is_full() && !self.course.is_cutting())
    }

    async fn say(&mut self, kind: Kind, body: &[u8]) -> Result<(), Over> {
        let sign = self.course.sign(kind, 0, body);
        self.publish(sign).await
    }

    async fn publish(&mut self, bytes: Vec<u8>) -> Result<(), Over> {
        let publishing = self
            .session
            .client()
            .publish(self.peer.clone(), bytes.into());
        let lost = |why: &str| Err(Over::Lost(why.to_owned()));
        match timeout(self.pace.silence, publishing).await {
            Ok(Ok(())) => {
                self.pace.said = Instant::now();
                Ok(())
            }
            Ok(Err(error)) => lost(&error.to_string()),
            Err(_elapsed) => lost("the server takes no messages"),
        }
    }

    fn receive(&mut self, delivered: Option<Delivered>, end: &mut impl End) -> Result<(), Over> {
        let lost = |why: &str| Over::Lost(why.to_owned());
        let delivered = delivered.ok_or_else(|| lost("the inbox was closed"))?;
        let message = Message::read(&delivered.payload)
            .map_err(|unreadable| lost(&unreadable.to_string()))?;
        let incoming = self.course.receive(message).map_err(lost)?;
        self.pace.heard = Instant::now();
        match incoming {
            Incoming::Nothing => {}
            Incoming::Frame(frame) => {
                if end.give(frame).map_err(Over::Lost)? {
                    self.course.take(1, end.waiting());
                }
            }
            Incoming::Going => end.going(),
            Incoming::End(why) => return Err(Over::Ended(why)),
            Incoming::Break(why) => return Err(Over::Lost(why)),
        }
        Ok(())
    }
}

const DISCONNECTED: &str = "the connection to the NATS server was lost";

/// Returns the most bytes of a frame whose value has at most `most`: what a frame has beside it is
/// bounded too.
pub(crate) fn most_of_frame(most: usize) -> usize {
    most.saturating_add(1 << 19)
}
