//! The one-slot mailbox: room, messages, order among several, time-outs, close, and peers.

use std::time::Instant;

use insula_core::{Isolate, Mailbox, MailboxError, Runtime, WaitError, block_on};

use super::{LONG, SHORT, run_in, until_shown};

#[test]
fn one_message_fits_and_an_empty_one_is_one() {
    let mailbox = Mailbox::new();
    assert_eq!(mailbox.try_take(), Err(MailboxError::Empty));
    mailbox.try_put(Vec::<u8>::new()).unwrap();
    let full = mailbox.try_put(vec![1]).unwrap_err();
    assert_eq!((full.message, full.error), (vec![1], MailboxError::Full));
    assert_eq!(mailbox.take(), Ok(Vec::new()));
    assert_eq!(mailbox.try_take(), Err(MailboxError::Empty));
}

#[test]
fn messages_come_in_the_order_in_which_they_were_put() {
    let count = super::super::MANY;
    let mailbox = Mailbox::new();
    let other = mailbox.clone();
    let putter = std::thread::spawn(move || {
        for n in 0..count {
            other.put(n).unwrap();
        }
    });
    for n in 0..count {
        assert_eq!(mailbox.take(), Ok(n));
    }
    assert_eq!(mailbox.take(), Err(MailboxError::PeerDied));
    putter.join().unwrap();
}

#[test]
fn nothing_is_lost_among_many_parties() {
    let each = super::super::MANY / 4;
    let mailbox = Mailbox::new();
    let putters: Vec<_> = (0..4)
        .map(|_| {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || (1..=each).for_each(|n| mailbox.put(n).unwrap()))
        })
        .collect();
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || std::iter::from_fn(|| mailbox.take().ok()).sum::<u64>())
        })
        .collect();
    for putter in putters {
        putter.join().unwrap();
    }
    while mailbox.try_put(0).is_err() {
        std::thread::yield_now();
    }
    while mailbox.try_put(0).is_err() {
        std::thread::yield_now();
    }
    mailbox.close();
    let sum: u64 = takers.into_iter().map(|it| it.join().unwrap()).sum();
    assert_eq!(sum, 4 * each * (each + 1) / 2);
}

#[test]
fn takers_are_served_in_the_order_in_which_they_began_to_wait() {
    let mailbox = Mailbox::new();
    let takers: Vec<_> = (0..3)
        .map(|n| {
            let other = mailbox.clone();
            let taker = std::thread::spawn(move || other.take());
            until_shown(&mailbox, &format!("takers: {}", n + 1));
            taker
        })
        .collect();
    for n in 0..3 {
        mailbox.put(n).unwrap();
    }
    for (n, taker) in (0..).zip(takers) {
        assert_eq!(taker.join().unwrap(), Ok(n));
    }
}

#[test]
fn putters_are_served_in_the_order_in_which_they_began_to_wait() {
    let mailbox = Mailbox::new();
    mailbox.put(0).unwrap();
    let putters: Vec<_> = (1..4)
        .map(|n| {
            let other = mailbox.clone();
            let putter = std::thread::spawn(move || other.put(n));
            until_shown(&mailbox, &format!("putters: {n}"));
            putter
        })
        .collect();
    for n in 0..4 {
        assert_eq!(mailbox.take(), Ok(n));
    }
    for putter in putters {
        putter.join().unwrap().unwrap();
    }
}

#[test]
fn time_outs_are_kept_and_give_the_message_back() {
    let mailbox = Mailbox::new();
    let start = Instant::now();
    assert_eq!(
        mailbox.take_timeout(SHORT),
        Err(MailboxError::Wait(WaitError::TimedOut))
    );
    mailbox.put_timeout(1, SHORT).unwrap();
    let late = mailbox.put_timeout(2, SHORT).unwrap_err();
    assert_eq!(
        (late.message, late.error),
        (2, MailboxError::Wait(WaitError::TimedOut))
    );
    assert!(start.elapsed() >= 2 * SHORT);
    // What timed out is not in the row any more.
    assert_eq!(mailbox.take(), Ok(1));
    assert_eq!(mailbox.try_take(), Err(MailboxError::Empty));
}

#[test]
fn close_drops_what_is_inside_and_wakes_everybody() {
    let mailbox = Mailbox::new();
    let takers: Vec<_> = (0..2)
        .map(|_| {
            let mailbox = mailbox.clone();
            std::thread::spawn(move || mailbox.take())
        })
        .collect();
    until_shown(&mailbox, "takers: 2");
    mailbox.close();
    for taker in takers {
        assert_eq!(
            taker.join().unwrap(),
            Err::<String, _>(MailboxError::Closed)
        );
    }

    let mailbox = Mailbox::new();
    let token = std::sync::Arc::new(());
    mailbox.put(token.clone()).unwrap();
    let putter = {
        let (mailbox, token) = (mailbox.clone(), token.clone());
        std::thread::spawn(move || mailbox.put(token))
    };
    until_shown(&mailbox, "putters: 1");
    mailbox.close();
    let refused = putter.join().unwrap().unwrap_err();
    assert_eq!(refused.error, MailboxError::Closed);
    drop(refused);
    assert_eq!(std::sync::Arc::strong_count(&token), 1);
    assert!(mailbox.is_closed());
    assert_eq!(mailbox.take(), Err(MailboxError::Closed));
    let refused = mailbox.put(token).unwrap_err();
    assert_eq!(refused.error, MailboxError::Closed);
}

#[test]
fn the_last_party_is_told_after_what_was_left() {
    let mailbox = Mailbox::new();
    let other = mailbox.clone();
    other.put(1).unwrap();
    drop(other);
    assert_eq!(mailbox.take(), Ok(1));
    assert_eq!(mailbox.take(), Err(MailboxError::PeerDied));
    let refused = mailbox.put(2).unwrap_err();
    assert_eq!(
        (refused.message, refused.error),
        (2, MailboxError::PeerDied)
    );
    // With a new party it goes on.
    let other = mailbox.clone();
    other.put(3).unwrap();
    assert_eq!(mailbox.take(), Ok(3));
}

#[test]
fn a_peer_that_dies_wakes_its_waiter() {
    let runtime = Runtime::builder().threads(1).build();
    let mailbox = Mailbox::<u8>::new();
    let other = mailbox.clone();
    let (isolate, never) = run_in(&runtime, "peer", move || other.take());
    mailbox.put(1).unwrap();
    assert_eq!(never.wait(), Ok(Ok(1)));
    let waiter = std::thread::spawn(move || {
        let dead = mailbox.take_timeout(LONG);
        (dead, Instant::now())
    });
    block_on(isolate.exited());
    let (dead, at) = waiter.join().unwrap();
    assert_eq!(dead, Err(MailboxError::PeerDied));
    assert!(at.elapsed() < LONG);
    runtime.shut_down();
}

#[test]
fn a_kill_ends_a_wait_and_leaves_the_row() {
    let runtime = Runtime::builder().threads(1).build();
    let mailbox = Mailbox::<u8>::new();
    let (other, third) = (mailbox.clone(), mailbox.clone());
    let (isolate, never) = run_in(&runtime, "first in the row", move || other.take());
    until_shown(&mailbox, "takers: 1");
    let second = std::thread::spawn(move || third.take());
    until_shown(&mailbox, "takers: 2");
    isolate.kill();
    block_on(isolate.exited());
    assert!(never.wait().is_err());
    mailbox.put(7).unwrap();
    assert_eq!(second.join().unwrap(), Ok(7));
    runtime.shut_down();
}

#[test]
fn an_attached_handle_goes_with_its_isolate_or_thread() {
    for is_isolate in [false, true] {
        let mailbox = Mailbox::<u8>::new();
        let kept = std::sync::Arc::new(mailbox.clone());
        let other = kept.clone();
        let attach = move || other.attach();
        if is_isolate {
            Isolate::spawn(move |()| attach(), ());
        } else {
            std::thread::spawn(attach).join().unwrap();
        }
        assert_eq!(mailbox.take(), Err(MailboxError::PeerDied));
        drop(kept);
    }
}

#[test]
fn a_seeded_runtime_refuses_to_wait() {
    let runtime = Runtime::builder().seeded(1).build();
    let results = runtime.block_on(async {
        Isolate::run(|| {
            let mailbox = Mailbox::new();
            let empty = mailbox.take();
            mailbox.put(1).unwrap();
            let full = mailbox.put_timeout(2, LONG).unwrap_err();
            (empty, full.error, mailbox.take())
        })
        .await
    });
    let refused = || MailboxError::Wait(WaitError::Seeded);
    assert_eq!(results, Ok((Err(refused()), refused(), Ok(1))));
    runtime.shut_down();
}
