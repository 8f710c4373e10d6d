//! ractor: actors after Erlang's `gen_server` on tokio. Mailboxes have no bound.

use std::future::Future;
use std::marker::PhantomData;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::drivers::actor::{ActorSystem, Behavior};
use crate::drivers::executor::Executor;
use crate::peers::tokio::{Flavor, start_task};

#[derive(Clone, Copy)]
pub(crate) struct Ractor(pub(crate) Flavor);

/// The actor, whose state is a behavior.
pub(crate) struct Node<B>(PhantomData<B>);

/// The messages that an actor accepts.
pub(crate) enum Message<B: Behavior<Ractor>> {
    Tell(u64),
    Ask(u64, RpcReplyPort<u64>),
    /// The marker uses `B`; the address alone would be circular.
    Link(ActorRef<Message<B>>, PhantomData<B>),
}

impl<B: Behavior<Ractor>> Actor for Node<B> {
    type Msg = Message<B>;
    type State = B;
    type Arguments = B;

    async fn pre_start(
        &self,
        _myself: ActorRef<Message<B>>,
        mut behavior: B,
    ) -> Result<B, ActorProcessingErr> {
        behavior.on_start();
        Ok(behavior)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message<B>>,
        message: Message<B>,
        behavior: &mut B,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Tell(value) => {
                if let Some((next, value)) = behavior.on_tell(value) {
                    next.cast(Message::<B>::Tell(value))?;
                }
            }
            Message::Ask(value, reply) => reply.send(behavior.on_ask(value))?,
            Message::Link(next, _) => behavior.on_link(next),
        }
        Ok(())
    }
}

impl ActorSystem for Ractor {
    type Addr<B: Behavior<Self>> = ActorRef<Message<B>>;

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
        _bound: Option<usize>,
    ) -> ActorRef<Message<B>> {
        let started = Actor::spawn(None, Node(PhantomData), behavior).await;
        started.expect("an actor starts").0
    }

    async fn tell<B: Behavior<Self>>(addr: &ActorRef<Message<B>>, value: u64) {
        addr.cast(Message::<B>::Tell(value))
            .expect("the actor is there");
    }

    async fn ask<B: Behavior<Self>>(addr: &ActorRef<Message<B>>, value: u64) -> u64 {
        let answer = addr
            .call(|reply| Message::<B>::Ask(value, reply), None)
            .await;
        answer
            .expect("the actor is there")
            .expect("the actor answers")
    }

    async fn link<B: Behavior<Self>>(addr: &ActorRef<Message<B>>, next: ActorRef<Message<B>>) {
        addr.cast(Message::<B>::Link(next, PhantomData))
            .expect("the actor is there");
    }

    fn stop<B: Behavior<Self>>(addr: ActorRef<Message<B>>) {
        addr.stop(None);
    }
}
