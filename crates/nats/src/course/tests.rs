//! Tests of the cutting, the numbers and the window.

use super::*;

const MOST: usize = 1 << 20;

/// Gives a message to an end.
fn give(to: &mut Course, bytes: &[u8]) -> Result<Incoming, &'static str> {
    to.receive(Message::read(bytes).unwrap())
}

/// Sends frames until the window is full, and returns their messages.
fn parts(from: &mut Course, most: usize, frames: &mut VecDeque<Vec<u8>>) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| from.part(most, || frames.pop_front())).collect()
}

#[test]
fn frames_of_any_length_arrive_whole_and_in_order() {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut a, mut b) = (Course::new(MOST), Course::new(MOST));
    let mut frame =
        |len| -> Vec<u8> { std::iter::repeat_with(|| random.u8(..)).take(len).collect() };
    let lengths = [1, 2, 99, 100, 101, 200, 5_000, 1, 70_000, MOST];
    let sent: Vec<_> = lengths.into_iter().map(&mut frame).collect();
    let mut frames: VecDeque<_> = sent.clone().into();
    let mut received = Vec::new();
    let mut messages = 0;
    while received.len() < sent.len() {
        for bytes in parts(&mut a, 1_000 + HEAD, &mut frames) {
            messages += 1;
            assert!(bytes.len() <= 1_000 + HEAD);
            if let Incoming::Frame(frame) = give(&mut b, &bytes).unwrap() {
                received.push(frame);
                b.take(1, 0);
            }
        }
        let beat = b.sign(Kind::Beat, 0, b"");
        assert_eq!(give(&mut a, &beat), Ok(Incoming::Nothing));
    }
    assert!(received == sent);
    let expected: usize = sent.iter().map(|it| it.len().div_ceil(1_000)).sum();
    assert_eq!(messages, expected);
}

/// A server may allow longer messages at any moment, and then fewer parts would follow than were said.
#[test]
fn a_frame_arrives_if_longer_messages_are_allowed_meanwhile() {
    let (mut a, mut b) = (Course::new(MOST), Course::new(MOST));
    let frame = vec![7; 201];
    for most in [60, 50, 200] {
        let part = a.part(most, || Some(frame.clone())).unwrap();
        assert_eq!(give(&mut b, &part), Ok(Incoming::Nothing));
    }
    let last = std::iter::from_fn(|| a.part(1_000, || None))
        .last()
        .unwrap();
    let rest = std::iter::from_fn(|| a.part(1_000, || None)).count();
    assert!(rest == 0 && !a.is_cutting() && last.len() <= 60);
}

#[test]
fn no_more_than_a_window_is_on_its_way() {
    let (mut a, mut b) = (Course::new(MOST), Course::new(MOST));
    let mut frames: VecDeque<_> = (0..100).map(|it| vec![it; 10]).collect();
    let first = parts(&mut a, MOST, &mut frames);
    assert_eq!(first.len() as u64, WINDOW);
    for bytes in &first {
        give(&mut b, bytes).unwrap();
    }
    // They have come, but the other end is not done with them.
    let beat = b.sign(Kind::Beat, 0, b"");
    give(&mut a, &beat).unwrap();
    assert!(parts(&mut a, MOST, &mut frames).is_empty());
    b.take(TOLD_AT_ONCE as usize - 1, 0);
    assert!(!b.owes_beat());
    b.take(1, 0);
    assert!(b.owes_beat());
    let beat = b.sign(Kind::Beat, 0, b"");
    assert!(!b.owes_beat());
    give(&mut a, &beat).unwrap();
    assert_eq!(parts(&mut a, MOST, &mut frames).len() as u64, TOLD_AT_ONCE);
    // An end that sends more than it may is found out.
    let mut liar = Course::new(MOST);
    let part = |number| Message {
        kind: Kind::Part,
        left: 0,
        number,
        taken: 0,
        body: b"x",
    };
    for number in 0..WINDOW {
        assert!(liar.receive(part(number)).is_ok());
    }
    assert_eq!(
        liar.receive(part(WINDOW)),
        Err("the other side has sent more than its window")
    );
}

/// The end `b` answers each frame, and the other one does not take the answers.
#[test]
fn an_end_that_takes_no_answers_gets_no_further_than_its_window() {
    let (mut a, mut b) = (Course::new(MOST), Course::new(MOST));
    let mut questions: VecDeque<_> = (0..1_000_u32).map(|it| vec![it as u8; 10]).collect();
    let mut answers = VecDeque::new();
    let mut sent = 0;
    let turn = |a: &mut Course, b: &mut Course, answers: &mut VecDeque<_>, questions: &mut _| {
        let asked = parts(a, MOST, questions);
        for bytes in &asked {
            let Incoming::Frame(frame) = give(b, bytes).unwrap() else {
                panic!("each part is a frame");
            };
            answers.push_back(frame);
            b.take(1, answers.len());
        }
        let said = parts(b, MOST, answers);
        b.take(0, answers.len());
        for bytes in &said {
            give(a, bytes).unwrap();
        }
        let beat = b.sign(Kind::Beat, 0, b"");
        give(a, &beat).unwrap();
        (asked.len(), said.len())
    };
    loop {
        let (asked, _) = turn(&mut a, &mut b, &mut answers, &mut questions);
        sent += asked;
        if asked == 0 {
            break;
        }
    }
    // A window of answers is on its way, and of the questions behind them a window is not taken.
    assert!(sent <= 2 * WINDOW as usize + MOST_WAITING, "{sent}");
    assert!(answers.len() <= MOST_WAITING + WINDOW as usize);
    // Once it takes them, all go on.
    let mut said = WINDOW as usize;
    while sent < 1_000 {
        a.take(said, 0);
        let beat = a.sign(Kind::Beat, 0, b"");
        give(&mut b, &beat).unwrap();
        let (asked, answered) = turn(&mut a, &mut b, &mut answers, &mut questions);
        assert!(asked + answered > 0, "they wait for each other");
        (sent, said) = (sent + asked, answered);
    }
}

#[test]
fn each_message_that_is_missing_twice_or_forged_is_found() {
    let mut frames: VecDeque<_> = (0..4).map(|it| vec![it; 250]).collect();
    let mut a = Course::new(MOST);
    let messages = parts(&mut a, 100 + HEAD, &mut frames);
    assert_eq!(messages.len(), 12);
    let beat = a.sign(Kind::Beat, 0, b"");
    let run = |order: &[&Vec<u8>]| {
        let mut b = Course::new(MOST);
        order
            .iter()
            .try_for_each(|bytes| give(&mut b, bytes).map(|_| ()))
    };
    let all: Vec<_> = messages.iter().chain([&beat]).collect();
    assert_eq!(run(&all), Ok(()));
    for at in 0..messages.len() {
        let mut missing = all.clone();
        missing.remove(at);
        assert_eq!(run(&missing), Err("a message is missing"), "{at}");
        let mut twice = all.clone();
        twice.insert(at + 1, all[at]);
        assert_eq!(run(&twice), Err("a message has come twice"), "{at}");
        let mut swapped = all.clone();
        swapped.swap(at, at + 1);
        assert!(run(&swapped).is_err(), "{at}");
    }
}

#[test]
fn parts_that_lie_end_the_link() {
    let part = |number, left, body| Message {
        kind: Kind::Part,
        left,
        number,
        taken: 0,
        body,
    };
    let big = vec![0; 600];
    let mut end = Course::new(1_000);
    assert_eq!(end.receive(part(0, 2, &big)), Ok(Incoming::Nothing));
    assert_eq!(
        end.receive(part(1, 1, &big)),
        Err("a frame of the other side is too large")
    );
    let mut end = Course::new(1_000);
    assert_eq!(end.receive(part(0, 2, b"a")), Ok(Incoming::Nothing));
    assert_eq!(
        end.receive(part(1, 2, b"a")),
        Err("a part of a frame is out of place")
    );
    let mut end = Course::new(1_000);
    assert_eq!(
        end.receive(part(0, 0, b"")),
        Err("a part of a frame is empty")
    );
    let taken = Message {
        taken: 1,
        ..part(0, 0, b"a")
    };
    assert_eq!(
        end.receive(taken),
        Err("the other side has taken what was not sent")
    );
    let again = Message {
        kind: Kind::Welcome,
        ..part(0, 0, b"")
    };
    assert!(end.receive(again).is_err());
}

#[test]
fn an_end_is_complete_only_between_two_frames() {
    let mut a = Course::new(MOST);
    let mut b = Course::new(MOST);
    let mut frames = VecDeque::from([vec![1; 300]]);
    let messages = parts(&mut a, 100 + HEAD, &mut frames);
    give(&mut b, &messages[0]).unwrap();
    // A forged end, with the right number: part of a frame is missing.
    let end = Message {
        kind: Kind::End,
        left: 0,
        number: 1,
        taken: 0,
        body: b"over",
    };
    assert_eq!(b.receive(end), Ok(Incoming::Break("over".to_owned())));
    give(&mut b, &messages[1]).unwrap();
    give(&mut b, &messages[2]).unwrap();
    let end = a.sign(Kind::End, 0, b"over");
    assert_eq!(give(&mut b, &end), Ok(Incoming::End("over".to_owned())));
}

#[test]
fn no_sequence_of_messages_panics() {
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut end = Course::new(5_000);
        let mut given = 0;
        for _ in 0..200 {
            let body = vec![0; random.usize(0..2_000)];
            let near = |random: &mut fastrand::Rng, at: u64| match random.u8(0..8) {
                0 => random.u64(..),
                1 => at.wrapping_sub(1),
                _ => at,
            };
            let message = Message {
                kind: [Kind::Part, Kind::Beat, Kind::End, Kind::Going][random.usize(0..4)],
                left: random.u32(0..3),
                number: near(&mut random, end.expected),
                taken: near(&mut random, end.taken),
                body: &body,
            };
            if let Ok(Incoming::Frame(frame)) = end.receive(message) {
                assert!(frame.len() <= 5_000);
                given += 1;
            }
            if random.bool() && given > 0 {
                end.take(1, 0);
                given -= 1;
            }
            let _ = end.part(random.usize(0..4_000), || {
                Some(vec![1; random.usize(1..3_000)])
            });
            assert!(end.frames.len() as u64 <= WINDOW);
            assert!(end.next - end.taken <= WINDOW);
        }
    }
}
