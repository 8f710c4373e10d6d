//! Risk: a handle leads to an object that is not its own, or to one that is gone.

use insula::control::Capability;

use super::{FIRST, MOST, SEGMENTS, Table, place};
use crate::abi::status::Status;
use crate::object::{Kind, Object};

fn open_table() -> Table {
    let table = Table::new();
    table.open();
    table
}

fn capability() -> Object {
    Object::Capability(Capability::new())
}

#[test]
fn every_index_has_a_place_of_its_own() {
    let mut expected = (0..SEGMENTS).flat_map(|segment| {
        let size = FIRST << segment;
        (0..size).map(move |offset| (segment, offset))
    });
    for index in 0..100_000 {
        assert_eq!(Some(place(index)), expected.next());
    }
    let last = place((MOST - 1) as u32);
    assert_eq!(last, (SEGMENTS - 1, (FIRST << (SEGMENTS - 1)) - 1));
}

#[test]
fn a_handle_is_never_given_out_twice() {
    let table = open_table();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        let bits = table.insert(capability()).unwrap();
        assert!(seen.insert(bits));
        assert!(i64::try_from(bits).is_ok());
        table.remove(bits).unwrap();
        assert!(matches!(table.remove(bits), Err(Status::StaleHandle)));
    }
    assert_eq!(table.live(), 0);
}

#[test]
fn a_slot_that_has_used_up_its_generations_is_left_alone() {
    let table = open_table();
    let first = table.insert(capability()).unwrap();
    table.remove(first).unwrap();
    table.slot(0).unwrap().0.lock().generation = u32::MAX - 1;
    let last = table.insert(capability()).unwrap();
    assert_eq!(last & 0xff_ffff, 0);
    table.remove(last).unwrap();
    let next = table.insert(capability()).unwrap();
    assert_eq!(next & 0xff_ffff, 1);
    assert!(matches!(table.find(last), Err(Status::StaleHandle)));
}

#[test]
fn a_reserved_handle_leads_nowhere_until_it_is_filled() {
    let table = open_table();
    let reserved = table.reserve(Kind::Capability).unwrap();
    let bits = reserved.bits();
    assert!(matches!(table.find(bits), Err(Status::StaleHandle)));
    reserved.fill(capability());
    assert!(table.find(bits).is_ok());
}

#[test]
fn a_reservation_that_is_not_used_gives_its_handle_back() {
    let table = open_table();
    drop(table.reserve(Kind::Capability).unwrap());
    assert_eq!(table.live(), 0);
}

#[test]
fn a_closed_table_keeps_nothing_and_takes_nothing() {
    let table = open_table();
    let kept = table.insert(capability()).unwrap();
    let reserved = table.reserve(Kind::Capability).unwrap();
    assert_eq!(table.close(|_| false).len(), 1);
    assert!(matches!(table.find(kept), Err(Status::StaleHandle)));
    // The reservation is filled too late.
    let bits = reserved.bits();
    assert!(matches!(
        reserved.try_fill(capability()),
        Err(Status::ShutDown)
    ));
    assert!(matches!(table.find(bits), Err(Status::StaleHandle)));
    assert!(matches!(table.insert(capability()), Err(Status::ShutDown)));
    assert_eq!(table.live(), 0);
    table.open();
    assert!(table.insert(capability()).is_ok());
}

#[test]
fn other_bits_are_no_handles() {
    let table = open_table();
    let bits = table.insert(capability()).unwrap();
    for wrong in [
        0,
        u64::MAX,
        bits + (1 << 24),
        bits ^ (0xff << 56),
        bits | 0xff_fff0,
    ] {
        assert!(
            matches!(table.find(wrong), Err(Status::BadHandle)),
            "{wrong:x}"
        );
    }
    // Another type in the number alone.
    assert!(matches!(
        table.find(bits ^ (1 << 56)),
        Err(Status::BadHandle)
    ));
    assert!(table.find(bits).is_ok());
}

/// A handle that is being made during a close is found by it, or refused.
#[test]
fn a_close_finds_every_handle_that_was_made_before_it() {
    for _ in 0..500 {
        let table = open_table();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| while table.insert(capability()).is_ok() {});
            }
            drop(table.close(|_| false));
        });
        assert_eq!(table.live(), 0);
    }
}
