//! Risk: a side of a stream waits while the other one has done what it waits for, or an item is
//! lost beside an end.

use std::task::Poll;

use loom::thread;

use super::Woken;
use crate::channel::{Event, WINDOW, channel};

/// The item that a reader found in one poll.
fn read(event: Event<u8, bool>) -> Option<u8> {
    match event {
        Event::Item(item) => Some(item),
        Event::End(_) | Event::Over => None,
    }
}

#[test]
fn a_reader_that_found_nothing_is_woken_by_the_item() {
    loom::model(|| {
        let (writer, mut reader) = channel::<u8, bool>();
        let woken = Woken::new();
        let other = thread::spawn(move || {
            assert_eq!(writer.push(7, 1), Ok(true));
            writer
        });
        let first = woken.poll(|cx| reader.poll_next(cx));
        let _writer = other.join().unwrap();
        match first {
            Poll::Ready(event) => assert_eq!(read(event), Some(7)),
            Poll::Pending => {
                assert!(woken.is_woken());
                let Poll::Ready(event) = woken.poll(|cx| reader.poll_next(cx)) else {
                    panic!("the item is lost")
                };
                assert_eq!(read(event), Some(7));
            }
        }
    });
}

#[test]
fn the_end_comes_after_the_last_item_and_wakes() {
    loom::model(|| {
        let (writer, mut reader) = channel::<u8, bool>();
        let woken = Woken::new();
        let other = thread::spawn(move || {
            assert_eq!(writer.push(7, 1), Ok(true));
            writer.end(true);
        });
        let mut seen = Vec::new();
        let mut look = |woken: &std::sync::Arc<Woken>| {
            while let Poll::Ready(event) = woken.poll(|cx| reader.poll_next(cx)) {
                match event {
                    Event::Item(item) => seen.push(Some(item)),
                    Event::End(is_clean) => {
                        assert!(is_clean);
                        seen.push(None);
                    }
                    Event::Over => return true,
                }
            }
            false
        };
        let is_over = look(&woken);
        other.join().unwrap();
        if !is_over {
            assert!(woken.is_woken());
            assert!(look(&woken));
        }
        assert_eq!(seen, [Some(7), None]);
    });
}

#[test]
fn a_writer_without_credit_is_woken_when_items_are_consumed() {
    loom::model(|| {
        let (writer, mut reader) = channel::<u8, bool>();
        for _ in 0..WINDOW {
            assert!(writer.push(1, 0).is_ok());
        }
        let woken = Woken::new();
        let other = thread::spawn(move || {
            let reading = Woken::new();
            for _ in 0..WINDOW / 2 {
                assert!(reading.poll(|cx| reader.poll_next(cx)).is_ready());
            }
            reader
        });
        let first = woken.poll(|cx| writer.poll_credit(cx));
        let _reader = other.join().unwrap();
        if first.is_pending() {
            assert!(woken.is_woken());
        }
        assert!(woken.poll(|cx| writer.poll_credit(cx)).is_ready());
    });
}

/// Also if it goes after it has consumed some, but too few to give credits back before.
#[test]
fn a_writer_without_credit_is_woken_when_its_reader_goes() {
    loom::model(|| {
        let (writer, mut reader) = channel::<u8, bool>();
        for _ in 0..WINDOW {
            assert!(writer.push(1, 0).is_ok());
        }
        let woken = Woken::new();
        assert!(woken.poll(|cx| reader.poll_next(cx)).is_ready());
        let other = thread::spawn(move || drop(reader));
        let first = woken.poll(|cx| writer.poll_credit(cx));
        other.join().unwrap();
        if first.is_pending() {
            assert!(woken.is_woken());
        }
        assert!(matches!(
            woken.poll(|cx| writer.poll_credit(cx)),
            Poll::Ready(Err(_))
        ));
    });
}

/// A shutdown cuts a stream whose producer computes: both sides learn it, and the reader reads one
/// end, from either side.
#[test]
fn a_cut_beside_an_end_gives_one_end() {
    loom::model(|| {
        let (writer, mut reader) = channel::<u8, bool>();
        let cut = std::sync::Arc::clone(writer.channel());
        let woken = Woken::new();
        let cutter = thread::spawn(move || cut.cut(false));
        writer.end(true);
        cutter.join().unwrap();
        let mut ends = 0;
        while let Poll::Ready(event) = woken.poll(|cx| reader.poll_next(cx)) {
            match event {
                Event::Item(_) => panic!("nothing was sent"),
                Event::End(_) => ends += 1,
                Event::Over => break,
            }
        }
        assert_eq!(ends, 1);
        assert!(matches!(
            woken.poll(|cx| writer.poll_credit(cx)),
            Poll::Ready(Err(_))
        ));
    });
}
