//! kameo: supervised actors on tokio, a boxed message and a boxed future per message.

use std::convert::Infallible;
use std::future::Future;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox;
use kameo::message::{Context, Message};

use crate::drivers::actor::{ActorSystem, Behavior};
use crate::drivers::executor::Executor;
use crate::peers::tokio::{Flavor, start_task};

#[derive(Clone, Copy)]
pub(crate) struct Kameo(pub(crate) Flavor);

/// An actor around a behavior.
pub(crate) struct Node<B>(B);

struct Tell(u64);
struct Ask(u64);
struct Link<B: Behavior<Kameo>>(ActorRef<Node<B>>);

impl<B: Behavior<Kameo>> Actor for Node<B> {
    type Args = B;
    type Error = Infallible;

    async fn on_start(mut behavior: B, _actor: ActorRef<Self>) -> Result<Self, Infallible> {
        behavior.on_start();
        Ok(Self(behavior))
    }
}

impl<B: Behavior<Kameo>> Message<Tell> for Node<B> {
    type Reply = ();

    async fn handle(&mut self, Tell(value): Tell, _context: &mut Context<Self, ()>) {
        if let Some((next, value)) = self.0.on_tell(value) {
            assert!(next.tell(Tell(value)).await.is_ok(), "the actor is there");
        }
    }
}

impl<B: Behavior<Kameo>> Message<Ask> for Node<B> {
    type Reply = u64;

    async fn handle(&mut self, Ask(value): Ask, _context: &mut Context<Self, u64>) -> u64 {
        self.0.on_ask(value)
    }
}

impl<B: Behavior<Kameo>> Message<Link<B>> for Node<B> {
    type Reply = ();

    async fn handle(&mut self, Link(next): Link<B>, _context: &mut Context<Self, ()>) {
        self.0.on_link(next);
    }
}

impl ActorSystem for Kameo {
    type Addr<B: Behavior<Self>> = ActorRef<Node<B>>;

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

    async fn start<B: Behavior<Self>>(
        self,
        behavior: B,
        bound: Option<usize>,
    ) -> ActorRef<Node<B>> {
        let mailbox = bound.map_or_else(mailbox::unbounded, mailbox::bounded);
        Node::spawn_with_mailbox(behavior, mailbox)
    }

    async fn tell<B: Behavior<Self>>(addr: &ActorRef<Node<B>>, value: u64) {
        assert!(addr.tell(Tell(value)).await.is_ok(), "the actor is there");
    }

    async fn ask<B: Behavior<Self>>(addr: &ActorRef<Node<B>>, value: u64) -> u64 {
        match addr.ask(Ask(value)).await {
            Ok(answer) => answer,
            Err(error) => panic!("the actor answers, but: {error}"),
        }
    }

    async fn link<B: Behavior<Self>>(addr: &ActorRef<Node<B>>, next: ActorRef<Node<B>>) {
        assert!(addr.tell(Link(next)).await.is_ok(), "the actor is there");
    }
}
