//! Risk: a mailbox that is there is not listed, or a list keeps one, or runs its messages' destructors
//! under a lock.

use std::time::{Duration, Instant};

use super::{MailboxKind, MailboxSnapshot, mailboxes};
use crate::blocking::mailbox::{Mailbox, rendezvous};

/// Returns what is listed of the mailboxes of a type, which one test uses alone.
fn of<T>() -> Vec<MailboxSnapshot> {
    let mut all = mailboxes(usize::MAX);
    all.retain(|it| it.message == std::any::type_name::<T>());
    all
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::yield_now();
    }
}

/// A list that another test takes may hold a mailbox for a moment after its last handle.
fn until_gone<T>() {
    until("no mailbox of the type is listed", || of::<T>().is_empty());
}

#[test]
fn a_mailbox_is_listed_with_its_message_and_its_waiters_until_its_last_handle_is_dropped() {
    struct Letter;

    let mailbox = Mailbox::new();
    let line = line!() - 1;
    let other = mailbox.clone();
    let new = of::<Letter>();
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(new[0].kind, MailboxKind::OneSlot);
    assert!(new[0].opened_at.file().ends_with("mailboxes/tests.rs"));
    assert_eq!(new[0].opened_at.line(), line);
    assert!(!new[0].is_full && !new[0].is_closed);
    assert!(mailbox.put(Letter).is_ok());
    assert!(of::<Letter>()[0].is_full);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(other.put(Letter).is_ok()));
        until("a putter waits", || of::<Letter>()[0].putters == 1);
        assert!(mailbox.take().is_ok() && mailbox.take().is_ok());
        let taker = scope.spawn(|| mailbox.take().is_err());
        until("a taker waits", || of::<Letter>()[0].takers == 1);
        other.close();
        assert!(taker.join().is_ok_and(|ended| ended));
    });
    let closed = of::<Letter>();
    assert!(closed[0].is_closed && closed[0].number == new[0].number);
    drop(mailbox);
    assert_eq!(of::<Letter>().len(), 1);
    drop(other);
    until_gone::<Letter>();
}

#[test]
fn a_rendezvous_is_listed_as_long_as_one_of_its_ends_is_there() {
    struct Question;

    let (requester, responder) = rendezvous::<Question, u8>();
    let new = of::<Question>();
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(new[0].kind, MailboxKind::Rendezvous);
    assert!(new[0].opened_at.file().ends_with("mailboxes/tests.rs"));
    std::thread::scope(|scope| {
        let received = scope.spawn(|| responder.receive().is_ok());
        until("the responder waits", || of::<Question>()[0].takers == 1);
        let asked = scope.spawn(|| requester.request(Question).ok());
        assert!(received.join().is_ok_and(|received| received));
        let waits = of::<Question>();
        assert!(waits[0].is_full && waits[0].putters == 1, "{waits:?}");
        assert!(responder.respond(7).is_ok());
        assert_eq!(asked.join().ok().flatten(), Some(7));
    });
    assert!(!of::<Question>()[0].is_full);
    drop(requester);
    assert_eq!(of::<Question>().len(), 1);
    drop(responder);
    until_gone::<Question>();
}

/// The list may be the last that holds a mailbox, and drops its message then.
#[test]
fn a_list_survives_the_messages_of_mailboxes_that_go_meanwhile() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            // A list here, which would wait for ever under the lock of the list.
            drop(mailboxes(1));
            panic!("a destructor");
        }
    }

    const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
    std::thread::scope(|scope| {
        let makes = scope.spawn(|| {
            for _ in 0..ROUNDS {
                let mailbox = Mailbox::new();
                assert!(mailbox.put(Bomb).is_ok());
                crate::panic::contain(move || drop(mailbox));
            }
        });
        while !makes.is_finished() {
            assert!(mailboxes(usize::MAX).is_sorted_by_key(|it| it.number));
        }
    });
    until_gone::<Bomb>();
}
