//! Risk: a waiter is overtaken in the row, stays in it when it gives up, or keeps what it was given
//! at that moment.

use std::sync::Arc;

use super::condition_variable::{ConditionVariable, Notified};
use super::error::{LockError, MailboxError};
use super::mutex::RawMutex;
use super::row::{Left, Row};
use super::slot::{Putting, Slot, Taking};
use crate::blocking::{Seat, WaitError};

fn put(slot: &mut Slot<u8>, message: u8) -> usize {
    match slot.put(message) {
        Putting::Done(settled) => settled.len(),
        Putting::Full(_) => panic!("full"),
        Putting::Refused(refused) => panic!("{refused}"),
    }
}

fn take(slot: &mut Slot<u8>) -> Option<u8> {
    match slot.take() {
        Taking::Done(message, _) => Some(message),
        Taking::Empty | Taking::Refused(_) => None,
    }
}

#[test]
fn a_message_goes_to_the_first_taker_and_not_through_the_slot() {
    let mut slot = Slot::new();
    let (first, second) = (Seat::new(), Seat::new());
    let tickets = (slot.wait_to_take(&first), slot.wait_to_take(&second));
    assert_eq!(slot.waiting(), (2, 0));
    assert_eq!(put(&mut slot, 1), 1);
    assert_eq!(take(&mut slot), None);
    assert_eq!(put(&mut slot, 2), 1);
    let late = MailboxError::Wait(WaitError::TimedOut);
    assert_eq!(slot.stop_taking(tickets.1, late.clone()), Ok(2));
    assert_eq!(slot.stop_taking(tickets.0, late), Ok(1));
}

#[test]
fn whoever_stops_waiting_leaves_the_row() {
    let mut slot = Slot::new();
    let seats: [Arc<Seat>; 3] = std::array::from_fn(|_| Seat::new());
    assert_eq!(put(&mut slot, 0), 0);
    let tickets = [1, 2, 3].map(|n| slot.wait_to_put(n, &seats[usize::from(n) - 1]));
    let stopped = slot
        .stop_putting(tickets[1], MailboxError::Wait(WaitError::TimedOut))
        .unwrap_err();
    assert_eq!(
        (stopped.message, stopped.error),
        (2, MailboxError::Wait(WaitError::TimedOut))
    );
    assert_eq!(
        [0, 1, 3].map(|_| take(&mut slot)),
        [Some(0), Some(1), Some(3)]
    );
    for ticket in [tickets[0], tickets[2]] {
        assert!(
            slot.stop_putting(ticket, MailboxError::Wait(WaitError::TimedOut))
                .is_ok()
        );
    }
    assert_eq!(slot.waiting(), (0, 0));
}

#[test]
fn the_end_settles_all_and_a_closed_one_stays_closed() {
    let mut slot = Slot::new();
    let seat = Seat::new();
    let ticket = slot.wait_to_take(&seat);
    assert_eq!(slot.peer_died().len(), 1);
    let ended = slot.stop_taking(ticket, MailboxError::Wait(WaitError::TimedOut));
    assert_eq!(ended, Err(MailboxError::PeerDied));
    slot.peer_came();
    assert_eq!(put(&mut slot, 5), 0);
    drop(slot.close());
    assert!(slot.peer_died().is_empty());
    slot.peer_came();
    assert!(matches!(
        slot.put(6),
        Putting::Refused(refused) if refused.error == MailboxError::Closed
    ));
    assert_eq!(take(&mut slot), None);
}

/// Covers the state between the hand-over and the kill, which no test from outside can hold.
#[test]
fn a_lock_that_a_killed_waiter_was_just_handed_goes_to_the_next() {
    let mutex = RawMutex::new();
    mutex.lock().unwrap();
    let [first, second] = [0, 1].map(|_| mutex.acquire_or_join().unwrap().unwrap());
    mutex.unlock().unwrap();
    drop(first);
    assert!(!mutex.try_lock());
    assert!(matches!(second.leave(), Left::Settled(Ok(()))));
    // If there is no other waiter, the lock is free.
    let third = mutex.acquire_or_join().unwrap().unwrap();
    mutex.unlock().unwrap();
    assert!(!mutex.try_lock());
    drop(third);
    assert!(mutex.try_lock());
}

#[test]
fn a_waiter_for_a_lock_that_gives_up_leaves_no_trace() {
    let mutex = RawMutex::new();
    mutex.lock().unwrap();
    let [first, second] = [0, 1].map(|_| mutex.acquire_or_join().unwrap().unwrap());
    drop(first);
    assert!(!mutex.try_lock());
    mutex.unlock().unwrap();
    assert!(matches!(second.leave(), Left::Settled(Ok(()))));
}

#[test]
fn a_lock_that_is_closed_settles_all_waiters() {
    let mutex = RawMutex::new();
    mutex.lock().unwrap();
    let [first, second] = [0, 1].map(|_| mutex.acquire_or_join().unwrap().unwrap());
    mutex.close();
    // A waiter that is killed at that moment has no lock to pass on.
    drop(first);
    assert!(matches!(
        second.leave(),
        Left::Settled(Err(LockError::Closed))
    ));
    assert_eq!(mutex.acquire_or_join().err(), Some(LockError::Closed));
    assert_eq!(mutex.unlock(), Ok(()));
    assert!(!mutex.try_lock());
}

#[test]
fn a_notification_that_a_killed_waiter_just_got_goes_to_the_next() {
    let condition = ConditionVariable::new();
    let [first, second] = [0, 1].map(|_| condition.enqueue().unwrap());
    condition.notify_one();
    drop(first);
    assert!(matches!(second.leave(), Left::Settled(Ok(Notified::Alone))));
}

/// All waiters were notified, so a waiter that gives up has nothing to pass on.
#[test]
fn a_notification_of_all_wakes_no_later_waiter() {
    let condition = ConditionVariable::new();
    let first = condition.enqueue().unwrap();
    condition.notify_all();
    let later = condition.enqueue().unwrap();
    drop(first);
    assert!(matches!(later.leave(), Left::Unsettled(())));
}

#[test]
fn a_message_that_a_killed_taker_was_just_handed_goes_to_the_next() {
    let mut slot = Slot::new();
    let seat = Seat::new();
    let tickets = [0, 1].map(|_| slot.wait_to_take(&seat));
    assert_eq!(put(&mut slot, 1), 1);
    let (message, settled) = slot.abandon_taking(tickets[0]);
    assert_eq!((message, settled.len()), (None, 1));
    let late = MailboxError::Wait(WaitError::TimedOut);
    assert_eq!(slot.stop_taking(tickets[1], late), Ok(1));
}

#[test]
fn messages_of_killed_takers_are_taken_in_their_order() {
    let mut slot = Slot::new();
    let seat = Seat::new();
    let tickets = [0, 1, 2].map(|_| slot.wait_to_take(&seat));
    for n in 1..=4 {
        assert_eq!(put(&mut slot, n), usize::from(n < 4));
    }
    for at in [2, 0, 1] {
        let (message, settled) = slot.abandon_taking(tickets[at]);
        assert!(message.is_none() && settled.is_empty());
        assert!(matches!(slot.put(9), Putting::Full(9)));
    }
    let putter = slot.wait_to_put(5, &seat);
    assert_eq!([(); 6].map(|()| take(&mut slot)), {
        [Some(1), Some(2), Some(3), Some(4), Some(5), None]
    });
    assert!(
        slot.stop_putting(putter, MailboxError::Wait(WaitError::TimedOut))
            .is_ok()
    );
}

#[test]
fn a_message_of_a_killed_taker_goes_with_a_mailbox_that_is_closed() {
    let mut slot = Slot::new();
    let seat = Seat::new();
    let tickets = [0, 1].map(|_| slot.wait_to_take(&seat));
    for n in 1..=2 {
        assert_eq!(put(&mut slot, n), 1);
    }
    drop(slot.abandon_taking(tickets[0]));
    drop(slot.close());
    assert_eq!(take(&mut slot), None);
    // The caller drops it after the lock is released.
    assert_eq!(slot.abandon_taking(tickets[1]).0, Some(2));
    assert_eq!(take(&mut slot), None);
}

#[test]
fn a_hundred_thousand_waiters_that_give_up_leave_nothing_behind() {
    const COUNT: usize = if cfg!(miri) { 300 } else { 100_000 };
    let seat = Seat::new();
    let mut row: Row<usize, usize> = Row::new();
    let mut tickets: Vec<_> = (0..COUNT).map(|n| (row.join(&seat, n), n)).collect();
    // An order without a pattern, from a generator of full period.
    let mut random = 1_usize;
    for last in (1..COUNT).rev() {
        random = random.wrapping_mul(25_214_903_917).wrapping_add(11) & ((1 << 48) - 1);
        tickets.swap((random >> 16) % (last + 1), last);
    }
    let settled = COUNT / 3;
    for n in 0..settled {
        assert!(row.settle_first(|brought| brought + n).is_some());
    }
    for (ticket, n) in tickets {
        match row.leave(ticket) {
            Left::Settled(outcome) => assert_eq!(outcome, 2 * n),
            Left::Unsettled(brought) => assert_eq!(brought, n),
        }
    }
    assert_eq!(row.len(), 0);
    assert!(row.settle_first(|brought| brought).is_none());
    assert_eq!(Arc::strong_count(&seat), 1);
}
