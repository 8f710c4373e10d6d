//! What comes over NATS: messages, requests for a link, subjects, and the parts of frames.
//!
//! The files are those of `insula-nats`, without the client, which takes minutes to build.
#![no_main]
#![allow(dead_code, reason = "a part of a crate is compiled")]

use std::collections::VecDeque;
use std::time::Duration;

use insula_fuzz::service::FuzzedRequest;
use insula_fuzz::{Script, Steps, plant, within};
use insula_rpc::wire::Hello;
use libfuzzer_sys::fuzz_target;

use course::{Course, Incoming, WINDOW};
use message::{Kind, Message, Opening, read_hello, write_hello};
use subjects::Subjects;

#[rustfmt::skip]
#[path = "../../crates/nats/src/course.rs"]
mod course;
#[rustfmt::skip]
#[path = "../../crates/nats/src/message.rs"]
mod message;
#[rustfmt::skip]
#[path = "../../crates/nats/src/subjects.rs"]
mod subjects;

/// The most bytes of a frame: few, since inputs are short at first.
const MOST: usize = 1 << 8;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let mut script = Script::new(input);
        match script.kind() {
            Some(0) => read(script.rest()),
            Some(1) => Play::new().run(script),
            _ => {}
        }
    }
);

/// Reads bytes as each thing that they may be.
fn read(bytes: &[u8]) {
    within(bytes.len() * 64 + 1_024, || {
        if let Ok(message) = Message::read(bytes) {
            assert_eq!(message.write(), bytes);
            let reason = message.reason();
            assert!(reason.chars().all(|it| !it.is_control()));
        }
        if let Ok(opening) = Opening::read(bytes) {
            assert_eq!(opening.write(), bytes);
        }
        if let Ok(hello) = read_hello(bytes) {
            let again = read_hello(&write_hello(hello.clone())).expect("it was written");
            assert_eq!(again, hello);
            // A contract of any name is one token of a subject.
            let subject = Subjects::new().open(&hello);
            assert_eq!(subject.split('.').count(), 6);
            assert!(!subject.contains(|it: char| it.is_whitespace() || "*>".contains(it)));
        }
        if let Ok(subject) = str::from_utf8(bytes)
            && Subjects::new().is_inbox(subject)
        {
            assert!(subject.starts_with("insula.1.link."));
            assert!(
                !subject.contains(|it: char| !it.is_ascii_alphanumeric() && !"._-".contains(it))
            );
        }
    });
}

/// Two ends of a link, of which the script is the second one as soon as it lies.
struct Play {
    ours: Course,
    theirs: Course,
    /// The frames that are on their way to each of them.
    to_theirs: VecDeque<Vec<u8>>,
    to_ours: VecDeque<Vec<u8>>,
    /// The frames that were given to us and not taken.
    untaken: usize,
    is_honest: bool,
}

/// The link is lost.
struct Over;

impl Play {
    fn new() -> Self {
        Self {
            ours: Course::new(MOST),
            theirs: Course::new(MOST),
            to_theirs: VecDeque::new(),
            to_ours: VecDeque::new(),
            untaken: 0,
            is_honest: true,
        }
    }

    fn run(mut self, mut script: Script<'_>) {
        while let Some(step) = script.kind() {
            if self.step(step, &mut script).is_err() {
                return;
            }
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) -> Result<(), Over> {
        match step {
            0 => self.send(script.short(), script.byte()),
            1 => self.receive_part(script.short(), script.byte()),
            2 => {
                self.untaken = self.untaken.saturating_sub(1);
                // Frames of its own that wait, sometimes too many to take more.
                self.ours.take(1, script.byte().into());
                Ok(())
            }
            3 => {
                self.theirs.take(1, script.byte().into());
                Ok(())
            }
            4 => {
                let sign = self.ours.sign(Kind::Beat, 0, b"");
                self.give(&sign);
                Ok(())
            }
            5 => {
                let sign = self.theirs.sign(Kind::Beat, 0, b"");
                self.receive(&sign)
            }
            // From here on the other side may say anything.
            6 => {
                self.is_honest = false;
                let kind = 1 + script.byte() % 7;
                let left = u32::from(script.short());
                let message = Steps::new()
                    .step(&[message::VERSION, kind])
                    .step(&left.to_le_bytes())
                    .long(script.byte().into())
                    .long(script.byte().into())
                    .step(script.bytes());
                self.receive(&message.end())
            }
            7 => {
                self.is_honest = false;
                self.receive(script.bytes())
            }
            _ => Ok(()),
        }
    }

    /// We send a part of a frame of so many bytes, in a message of at most so many.
    fn send(&mut self, len: u16, most: u8) -> Result<(), Over> {
        let frame = frame(len);
        let to_theirs = &mut self.to_theirs;
        let next = || {
            to_theirs.push_back(frame.clone());
            Some(frame)
        };
        if let Some(part) = self.ours.part(most.into(), next) {
            self.give(&part);
        }
        Ok(())
    }

    /// Gives a message to the other side, which understands it.
    fn give(&mut self, bytes: &[u8]) {
        let message = Message::read(bytes).expect("it was written");
        if !self.is_honest {
            return;
        }
        match self.theirs.receive(message) {
            Ok(Incoming::Frame(frame)) => assert_eq!(Some(frame), self.to_theirs.pop_front()),
            Ok(incoming) => assert_eq!(incoming, Incoming::Nothing),
            Err(why) => panic!("{why}"),
        }
    }

    fn receive_part(&mut self, len: u16, most: u8) -> Result<(), Over> {
        let frame = frame(len);
        let to_ours = &mut self.to_ours;
        let next = || {
            to_ours.push_back(frame.clone());
            Some(frame)
        };
        match self.theirs.part(most.into(), next) {
            Some(part) => self.receive(&part),
            None => Ok(()),
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let received = within(8 * (MOST + bytes.len()) + 1_024, || {
            let message = Message::read(bytes).map_err(|_| "unreadable")?;
            self.ours.receive(message)
        });
        match received {
            Ok(Incoming::Frame(frame)) => {
                assert!(!frame.is_empty() && frame.len() <= MOST);
                self.untaken += 1;
                assert!(self.untaken as u64 <= WINDOW, "more frames than a window");
                if self.is_honest {
                    assert_eq!(Some(frame), self.to_ours.pop_front());
                }
                Ok(())
            }
            Ok(Incoming::End(why) | Incoming::Break(why)) => {
                assert!(!self.is_honest && why.chars().all(|it| !it.is_control()));
                Err(Over)
            }
            Ok(_) => Ok(()),
            Err(why) => {
                assert!(!self.is_honest, "{why}");
                Err(Over)
            }
        }
    }
}

fn frame(len: u16) -> Vec<u8> {
    let len = usize::from(len) % MOST + 1;
    (0..len).map(|it| it as u8).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let hello = Hello::of::<FuzzedRequest>(MOST);
    let opening = Opening {
        silence: Duration::from_secs(1),
        places: 3,
        grace: Duration::from_secs(2),
        hello: write_hello(hello.clone()),
        most: hello.most,
    };
    let beat = Course::new(MOST).sign(Kind::Beat, 0, b"a body");
    let read = |bytes: &[u8]| Steps::new().step(&[0]).step(bytes).end();
    let mut seeds = vec![
        read(&beat),
        read(&opening.write()),
        read(&write_hello(hello)),
        read(b"insula.1.link.any.abc"),
    ];
    // Frames in both directions, each of several parts.
    let mut both = Steps::new().step(&[1]);
    for _ in 0..40 {
        both = both.step(&[0, 200, 0, 60, 1, 100, 0, 50, 2, 0, 3, 0, 4, 5]);
    }
    seeds.push(both.end());
    let lie = Steps::new()
        .step(&[1, 1, 3, 0, 90, 6, 2, 0, 0, 1, 0])
        .bytes(b"a part");
    seeds.push(lie.end());
    seeds
}
