//! Isolates in the workloads of actors, with the enum of messages that those need.

use std::future::Future;
use std::marker::PhantomData;

use insula::{Isolate, ReceivePort, ReplyTo, SendPort, block_on};

use crate::drivers::actor::{ActorSystem, Behavior};
use crate::insula::Shape;

/// Isolates as actors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isolates {
    pub(crate) shape: Shape,
    pub(crate) root: Root,
}

/// The place of a workload that starts the isolates and sends to them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Root {
    /// In an isolate, as the peers' workload runs in a task.
    Isolate,
    /// On the calling thread.
    Thread,
}

/// The messages that an isolate of these workloads accepts.
pub(crate) enum Message<B: Behavior<Isolates>> {
    Tell(u64),
    Ask(u64, ReplyTo<u64>),
    Link(Address<B>),
}

/// The port of an isolate with this behavior.
pub(crate) struct Address<B: Behavior<Isolates>> {
    port: SendPort<Message<B>>,
    /// The types of address and message refer to each other, which alone does not use `B`.
    behavior: PhantomData<fn() -> B>,
}

impl<B: Behavior<Isolates>> Clone for Address<B> {
    fn clone(&self) -> Self {
        Self::new(self.port.clone())
    }
}

impl<B: Behavior<Isolates>> Address<B> {
    fn new(port: SendPort<Message<B>>) -> Self {
        Self {
            port,
            behavior: PhantomData,
        }
    }

    async fn send(&self, message: Message<B>) {
        let sent = self.port.send_wait(message).await;
        assert!(sent.is_ok(), "the isolate is there");
    }
}

fn handle<B: Behavior<Isolates>>(behavior: &mut B, message: Message<B>) {
    match message {
        Message::Tell(value) => {
            if let Some((next, value)) = behavior.on_tell(value) {
                let sent = next.port.send(Message::Tell(value));
                assert!(sent.is_ok(), "the next isolate is there");
            }
        }
        Message::Ask(value, reply) => reply.send(behavior.on_ask(value)),
        Message::Link(next) => behavior.on_link(next),
    }
}

impl ActorSystem for Isolates {
    type Addr<B: Behavior<Self>> = Address<B>;

    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.root {
            Root::Isolate => self.shape.run(root),
            Root::Thread => self.shape.run_beside(|| block_on(root)),
        }
    }

    fn spawn<F>(self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let run = Isolate::run_async(|| task);
        async move { run.await.expect("an isolate does not panic") }
    }

    async fn start<B: Behavior<Self>>(self, behavior: B, bound: Option<usize>) -> Address<B> {
        let mut builder = Isolate::builder();
        if let Some(bound) = bound {
            builder = builder.bounded(bound);
        }
        let mut behavior = behavior;
        let entry = move |port: ReceivePort<Message<B>>| {
            behavior.on_start();
            port.listen(move |message| handle(&mut behavior, message))
        };
        Address::new(builder.spawn_with_port(entry))
    }

    async fn tell<B: Behavior<Self>>(addr: &Address<B>, value: u64) {
        addr.send(Message::Tell(value)).await;
    }

    async fn ask<B: Behavior<Self>>(addr: &Address<B>, value: u64) -> u64 {
        let answer = addr.port.ask(|reply| Message::Ask(value, reply)).await;
        answer.expect("the isolate answers")
    }

    async fn link<B: Behavior<Self>>(addr: &Address<B>, next: Address<B>) {
        addr.send(Message::Link(next)).await;
    }
}
