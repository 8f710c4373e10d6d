//! Risk: somebody is overtaken in the row, or what he was given is lost when he stops waiting.

use std::sync::Arc;

use super::error::MailboxError;
use super::slot::{Putting, Slot, Taking};
use crate::blocking::Seat;

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
    let late = MailboxError::TimedOut;
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
        .stop_putting(tickets[1], MailboxError::TimedOut)
        .unwrap_err();
    assert_eq!(
        (stopped.message, stopped.error),
        (2, MailboxError::TimedOut)
    );
    assert_eq!(
        [0, 1, 3].map(|_| take(&mut slot)),
        [Some(0), Some(1), Some(3)]
    );
    for ticket in [tickets[0], tickets[2]] {
        assert!(slot.stop_putting(ticket, MailboxError::TimedOut).is_ok());
    }
    assert_eq!(slot.waiting(), (0, 0));
}

#[test]
fn the_end_settles_all_and_a_closed_one_stays_closed() {
    let mut slot = Slot::new();
    let seat = Seat::new();
    let ticket = slot.wait_to_take(&seat);
    assert_eq!(slot.peer_died().len(), 1);
    let ended = slot.stop_taking(ticket, MailboxError::TimedOut);
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
