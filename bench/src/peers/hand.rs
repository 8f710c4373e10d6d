//! Actors by hand: a plain tokio task, an mpsc channel, and a oneshot per question.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

use crate::drivers::actor::{ActorSystem, Behavior};
use crate::drivers::executor::Executor;
use crate::peers::tokio::{Flavor, start_task};

#[derive(Clone, Copy)]
pub(crate) struct Hand(pub(crate) Flavor);

/// The messages that a hand-written actor accepts.
pub(crate) enum Message<B: Behavior<Hand>> {
    Tell(u64),
    Ask(u64, oneshot::Sender<u64>),
    Link(Address<B>),
}

/// The sending end of a mailbox.
pub(crate) enum Address<B: Behavior<Hand>> {
    Bounded(mpsc::Sender<Message<B>>),
    Unbounded(mpsc::UnboundedSender<Message<B>>),
}

impl<B: Behavior<Hand>> Clone for Address<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Bounded(tx) => Self::Bounded(tx.clone()),
            Self::Unbounded(tx) => Self::Unbounded(tx.clone()),
        }
    }
}

impl<B: Behavior<Hand>> Address<B> {
    async fn send(&self, message: Message<B>) {
        let sent = match self {
            Self::Bounded(tx) => tx.send(message).await.is_ok(),
            Self::Unbounded(tx) => tx.send(message).is_ok(),
        };
        assert!(sent, "the actor is there");
    }
}

async fn serve_bounded<B: Behavior<Hand>>(mut behavior: B, mut rx: mpsc::Receiver<Message<B>>) {
    behavior.on_start();
    while let Some(message) = rx.recv().await {
        handle(&mut behavior, message).await;
    }
}

async fn serve_unbounded<B: Behavior<Hand>>(
    mut behavior: B,
    mut rx: mpsc::UnboundedReceiver<Message<B>>,
) {
    behavior.on_start();
    while let Some(message) = rx.recv().await {
        handle(&mut behavior, message).await;
    }
}

async fn handle<B: Behavior<Hand>>(behavior: &mut B, message: Message<B>) {
    match message {
        Message::Tell(value) => {
            if let Some((next, value)) = behavior.on_tell(value) {
                next.send(Message::Tell(value)).await;
            }
        }
        Message::Ask(value, reply) => {
            reply.send(behavior.on_ask(value)).expect("the asker waits");
        }
        Message::Link(next) => behavior.on_link(next),
    }
}

impl ActorSystem for Hand {
    type Addr<B: Behavior<Self>> = Address<B>;

    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Executor::run(self.0, root)
    }

    fn spawn<F>(self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        start_task(task)
    }

    async fn start<B: Behavior<Self>>(self, behavior: B, bound: Option<usize>) -> Address<B> {
        if let Some(bound) = bound {
            let (tx, rx) = mpsc::channel(bound);
            tokio::spawn(serve_bounded(behavior, rx));
            Address::Bounded(tx)
        } else {
            let (tx, rx) = mpsc::unbounded_channel();
            tokio::spawn(serve_unbounded(behavior, rx));
            Address::Unbounded(tx)
        }
    }

    async fn tell<B: Behavior<Self>>(addr: &Address<B>, value: u64) {
        addr.send(Message::Tell(value)).await;
    }

    async fn ask<B: Behavior<Self>>(addr: &Address<B>, value: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        addr.send(Message::Ask(value, reply)).await;
        answer.await.expect("the actor answers")
    }

    async fn link<B: Behavior<Self>>(addr: &Address<B>, next: Address<B>) {
        addr.send(Message::Link(next)).await;
    }
}
