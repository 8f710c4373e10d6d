//! The frames of a link: `Frame::read`.
#![no_main]

use insula_fuzz::service::FuzzedRequest;
use insula_fuzz::{plant, within};
use insula_rpc::wire::{Frame, Hello, ToCallee, ToCaller};
use insula_rpc::{CancelledBy, Metadata, Progress};
use libfuzzer_sys::fuzz_target;

/// The most bytes of a value of the user: few, since inputs are short at first.
const MOST: usize = 1 << 7;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let most = input.len() * 128 + 1_024;
        let Ok(frame) = within(most, || Frame::read(input.to_vec().into(), MOST)) else {
            return;
        };
        // Long texts are cut, so the first time may change it.
        let once = frame.write();
        let read = Frame::read(once.clone(), MOST).expect("what was written can be read");
        let told = format!("{read:?}");
        let twice = read.write();
        assert_eq!(once.bytes, twice.bytes);
        let again = Frame::read(twice, MOST).expect("what was written can be read");
        assert_eq!(format!("{again:?}"), told);
    }
);

fn seeds() -> Vec<Vec<u8>> {
    let call = 7;
    let mut metadata = Metadata::new();
    metadata.insert("key", "value").expect("it is valid");
    let mut progress = Progress::new(3).of(9);
    progress.message = Some("a step".to_owned());
    let to_callee = [
        ToCallee::Item(vec![1, 2, 3].into()),
        ToCallee::End(Ok(())),
        ToCallee::End(Err("no more".to_owned())),
        ToCallee::Credit(9),
        ToCallee::Stop(CancelledBy::Shutdown),
        ToCallee::Cancel(CancelledBy::Deadline),
    ];
    let to_caller = [
        ToCaller::Progress(progress),
        ToCaller::Credit(4),
        ToCaller::Closed,
        ToCaller::Answer(vec![5; 10].into(), None),
        ToCaller::Answer(vec![6; 10].into(), Some(metadata)),
        ToCaller::Item(vec![].into()),
        ToCaller::End(vec![8].into()),
    ];
    let message = vec![1; 50].into();
    let mut frames = vec![
        Frame::Hello(Hello::of::<FuzzedRequest>(MOST)),
        Frame::Refused("for this reason".to_owned()),
        Frame::Start { call, message },
        Frame::Started { call },
        Frame::Ping(1),
        Frame::Pong(u64::MAX),
        Frame::GoAway,
    ];
    frames.extend(to_callee.map(|message| Frame::ToCallee { call, message }));
    frames.extend(to_caller.map(|message| Frame::ToCaller { call, message }));
    frames.into_iter().map(|it| it.write().bytes).collect()
}
