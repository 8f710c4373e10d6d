//! Risk: bytes from elsewhere end the program that reads them, or take its memory.

mod samples;

use insula_rpc::wire::{Frame, FrameError, Hello, ToCallee};

use crate::service::SimRequest;

const MOST: usize = 1 << 20;

fn samples() -> Vec<Frame> {
    samples::samples(Hello::of::<SimRequest>(MOST))
}

fn written(frame: Frame) -> Vec<u8> {
    frame.write().bytes
}

#[test]
fn each_frame_is_read_as_it_was_written() {
    for frame in samples() {
        let told = format!("{frame:?}");
        let read = Frame::read(frame.write(), MOST).unwrap();
        assert_eq!(format!("{read:?}"), told);
    }
}

#[test]
fn frames_with_changed_bytes_are_read_or_refused() {
    let mut random = fastrand::Rng::with_seed(3);
    let samples: Vec<_> = samples().into_iter().map(written).collect();
    for _ in 0..100_000 {
        let mut bytes = random.choice(&samples).unwrap().clone();
        for _ in 0..random.usize(1..4) {
            match random.u32(0..4) {
                0 => bytes.truncate(random.usize(..=bytes.len())),
                1 => bytes.insert(random.usize(..=bytes.len()), random.u8(..)),
                _ if bytes.is_empty() => {}
                _ => {
                    let at = random.usize(..bytes.len());
                    bytes[at] = random.u8(..);
                }
            }
        }
        // Whatever it is: it comes back, and what was read can be written.
        if let Ok(frame) = Frame::read(bytes.into(), MOST) {
            written(frame);
        }
    }
}

#[test]
fn a_frame_that_is_too_large_is_refused_before_it_is_read() {
    let message = vec![0; 100].into();
    let start = written(Frame::Start { call: 1, message });
    let refused = Frame::read(start.into(), 99).unwrap_err();
    assert_eq!(refused, FrameError::TooLarge { len: 100, most: 99 });
    // Of a frame that has no value of a user, whatever the limit is.
    let mut hello = written(Frame::Hello(Hello::of::<SimRequest>(MOST)));
    hello.resize(1 << 20, 0);
    let refused = Frame::read(hello.into(), usize::MAX).unwrap_err();
    assert!(matches!(refused, FrameError::TooLarge { .. }));
}

#[test]
fn texts_of_any_length_are_cut_and_not_damaged() {
    let long = "ä".repeat(1 << 20);
    let message = ToCallee::End(Err(long.clone()));
    let end = written(Frame::ToCallee { call: 1, message });
    let Ok(Frame::ToCallee {
        message: ToCallee::End(Err(reason)),
        ..
    }) = Frame::read(end.into(), MOST)
    else {
        panic!("it is read")
    };
    assert!(reason.len() < 1 << 16 && long.starts_with(&reason) && !reason.is_empty());
    let Ok(Frame::Refused(why)) = Frame::read(Frame::Refused(long).write(), MOST) else {
        panic!("it is read")
    };
    assert!(why.len() < 1 << 16);
}

#[test]
fn sides_that_differ_say_in_what() {
    let ours = Hello::of::<SimRequest>(MOST);
    assert_eq!(ours.accepts(&ours), Ok(()));
    let differs = |change: fn(&mut Hello), word: &str| {
        let mut theirs = ours.clone();
        change(&mut theirs);
        let why = ours.accepts(&theirs).unwrap_err();
        assert!(why.contains(word), "{why}");
    };
    differs(|it| it.protocol += 1, "the other 2");
    differs(|it| it.contract = "Other".to_owned(), "Other");
    differs(|it| it.version += 1, "version");
    differs(|it| it.schema += 1, "different types");
    // Not a matter of the two sides.
    let smaller = Hello {
        most: 1,
        ..ours.clone()
    };
    assert_eq!(ours.accepts(&smaller), Ok(()));
}
