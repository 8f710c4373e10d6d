//! Risk: frames that are torn or mixed, or an access outside of the ring.

use super::*;

struct Memory {
    tail: AtomicU64,
    head: AtomicU64,
    is_full: AtomicU32,
    words: Vec<AtomicU64>,
}

impl Memory {
    fn new(words: usize) -> Self {
        Self {
            tail: AtomicU64::new(0),
            head: AtomicU64::new(0),
            is_full: AtomicU32::new(0),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn ring(&self) -> Shared<'_> {
        Shared {
            tail: &self.tail,
            head: &self.head,
            is_full: &self.is_full,
            words: &self.words,
        }
    }
}

const MOST: usize = 1 << 20;

fn marked(bytes: Vec<u8>, mark: u16) -> Frame {
    Frame { bytes, mark }
}

#[test]
fn frames_of_every_length_come_as_they_went() {
    let memory = Memory::new(16);
    let (mut producer, mut consumer) = (Producer::default(), Consumer::default());
    for len in 0..1_000 {
        let frame: Vec<u8> = (0..len).map(|byte: usize| (byte * 7 + len) as u8).collect();
        producer.begin(marked(frame.clone(), len as u16));
        let read = loop {
            let wrote = producer.write(memory.ring()).unwrap();
            let (read, _) = consumer.read(memory.ring(), MOST).unwrap();
            if let Some(read) = read {
                break read;
            }
            assert_eq!(wrote, Step::Moved);
        };
        assert_eq!(read, marked(frame, len as u16));
        assert!(producer.is_free());
    }
}

#[test]
fn a_writer_without_room_is_announced_and_told() {
    let memory = Memory::new(4);
    let (mut producer, mut consumer) = (Producer::default(), Consumer::default());
    producer.begin(marked(vec![1; 40], u16::MAX));
    assert_eq!(producer.write(memory.ring()), Ok(Step::Moved));
    assert_eq!(producer.write(memory.ring()), Ok(Step::Nothing));
    let (frame, room) = consumer.read(memory.ring(), MOST).unwrap();
    assert_eq!((frame, room), (None, Room::Awaited));
    assert_eq!(producer.write(memory.ring()), Ok(Step::Moved));
    let (frame, room) = consumer.read(memory.ring(), MOST).unwrap();
    assert_eq!(
        (frame, room),
        (Some(marked(vec![1; 40], u16::MAX)), Room::Unneeded)
    );
}

#[test]
fn positions_and_lengths_that_make_no_sense_are_refused() {
    let memory = Memory::new(4);
    for tail in [5, 1 << 40, u64::MAX] {
        memory.tail.store(tail, Ordering::Relaxed);
        assert_eq!(Consumer::default().read(memory.ring(), MOST), Err(Corrupt));
    }
    memory.tail.store(1, Ordering::Relaxed);
    for len in [MOST as u64 + 1, u64::MAX] {
        memory.words[0].store(len, Ordering::Relaxed);
        assert_eq!(Consumer::default().read(memory.ring(), MOST), Err(Corrupt));
    }
    for head in [1, u64::MAX - 8] {
        memory.head.store(head, Ordering::Relaxed);
        let mut producer = Producer::default();
        producer.begin(marked(vec![1], 0));
        assert_eq!(producer.write(memory.ring()), Err(Corrupt));
    }
}

/// A length that is never filled costs no memory.
#[test]
fn a_long_frame_is_allocated_as_it_comes() {
    let memory = Memory::new(4);
    memory.words[0].store(MOST as u64, Ordering::Relaxed);
    memory.tail.store(1, Ordering::Relaxed);
    let mut consumer = Consumer::default();
    assert_eq!(
        consumer.read(memory.ring(), MOST),
        Ok((None, Room::Unneeded))
    );
    let (frame, _) = consumer.frame.as_ref().unwrap();
    assert!(frame.bytes.capacity() <= 32);
}
