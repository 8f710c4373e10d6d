//! xtra: small actors on tokio with a priority mailbox, which keeps no order among equals.

use std::future::Future;

use xtra::prelude::{Actor, Address, Context, Handler, Mailbox};

use crate::drivers::actor::{ActorSystem, Behavior};
use crate::drivers::executor::Executor;
use crate::peers::tokio::{Flavor, start_task};

#[derive(Clone, Copy)]
pub(crate) struct Xtra(pub(crate) Flavor);

/// An actor around a behavior.
pub(crate) struct Node<B>(B);

struct Tell(u64);
struct Ask(u64);
struct Link<B: Behavior<Xtra>>(Address<Node<B>>);

impl<B: Behavior<Xtra>> Actor for Node<B> {
    type Stop = ();

    async fn started(&mut self, _mailbox: &Mailbox<Self>) -> Result<(), ()> {
        self.0.on_start();
        Ok(())
    }

    async fn stopped(self) {}
}

impl<B: Behavior<Xtra>> Handler<Tell> for Node<B> {
    type Return = ();

    async fn handle(&mut self, Tell(value): Tell, _context: &mut Context<Self>) {
        if let Some((next, value)) = self.0.on_tell(value) {
            send(next, Tell(value)).await;
        }
    }
}

impl<B: Behavior<Xtra>> Handler<Ask> for Node<B> {
    type Return = u64;

    async fn handle(&mut self, Ask(value): Ask, _context: &mut Context<Self>) -> u64 {
        self.0.on_ask(value)
    }
}

impl<B: Behavior<Xtra>> Handler<Link<B>> for Node<B> {
    type Return = ();

    async fn handle(&mut self, Link(next): Link<B>, _context: &mut Context<Self>) {
        self.0.on_link(next);
    }
}

/// Waits for room, not for the handler.
async fn send<B, M>(addr: &Address<Node<B>>, message: M)
where
    B: Behavior<Xtra>,
    M: Send + 'static,
    Node<B>: Handler<M>,
{
    assert!(
        addr.send(message).detach().await.is_ok(),
        "the actor is there"
    );
}

impl ActorSystem for Xtra {
    type Addr<B: Behavior<Self>> = Address<Node<B>>;

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

    async fn start<B: Behavior<Self>>(self, behavior: B, bound: Option<usize>) -> Address<Node<B>> {
        let mailbox = bound.map_or_else(Mailbox::unbounded, Mailbox::bounded);
        xtra::spawn_tokio(Node(behavior), mailbox)
    }

    async fn tell<B: Behavior<Self>>(addr: &Address<Node<B>>, value: u64) {
        send(addr, Tell(value)).await;
    }

    async fn ask<B: Behavior<Self>>(addr: &Address<Node<B>>, value: u64) -> u64 {
        addr.send(Ask(value)).await.expect("the actor answers")
    }

    async fn link<B: Behavior<Self>>(addr: &Address<Node<B>>, next: Address<Node<B>>) {
        addr.send(Link(next)).await.expect("the actor is there");
    }
}
