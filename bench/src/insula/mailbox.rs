//! This project's rendezvous and mailbox between two threads.

use insula::Mailbox;
use insula::sync::{Requester, Responder, rendezvous};

use crate::drivers::rendezvous::{Message, Rendezvous};

/// A requester and a responder.
pub(crate) struct Own;

impl Rendezvous for Own {
    type Requester<T: Message> = Requester<T, T>;
    type Responder<T: Message> = Responder<T, T>;

    fn open<T: Message>() -> (Requester<T, T>, Responder<T, T>) {
        rendezvous()
    }

    fn request<T: Message>(requester: &Requester<T, T>, message: T) -> T {
        requester.request(message).expect("the responder is there")
    }

    fn serve<T: Message>(responder: &Responder<T, T>, count: u64, mut handler: impl FnMut(T) -> T) {
        let mut left = count;
        let ended = responder.message_loop(|responder, message| {
            left -= 1;
            if left == 0 {
                responder.stop();
            }
            handler(message)
        });
        ended.expect("the requester is there");
    }
}

/// Two one-slot mailboxes.
pub(crate) struct OwnMailboxes;

impl Rendezvous for OwnMailboxes {
    type Requester<T: Message> = (Mailbox<T>, Mailbox<T>);
    type Responder<T: Message> = (Mailbox<T>, Mailbox<T>);

    fn open<T: Message>() -> (Self::Requester<T>, Self::Responder<T>) {
        let (there, here) = (Mailbox::new(), Mailbox::new());
        ((there.clone(), here.clone()), (here, there))
    }

    fn request<T: Message>((out, back): &Self::Requester<T>, message: T) -> T {
        out.put(message).expect("the other side is there");
        back.take().expect("the other side is there")
    }

    fn serve<T: Message>(
        (out, inbox): &Self::Responder<T>,
        count: u64,
        mut handler: impl FnMut(T) -> T,
    ) {
        for _ in 0..count {
            let request = inbox.take().expect("the other side is there");
            out.put(handler(request)).expect("the other side is there");
        }
    }
}
