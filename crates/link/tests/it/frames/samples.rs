//! A frame of each kind. A fuzz target begins with them too.

use insula_rpc::wire::{Frame, Hello, ToCallee, ToCaller};
use insula_rpc::{CancelledBy, Metadata, Progress};

/// Returns the frames, of which the first one is this hello.
pub(crate) fn samples(hello: Hello) -> Vec<Frame> {
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
        Frame::Hello(hello),
        Frame::Refused("for this reason".to_owned()),
        Frame::Start { call, message },
        Frame::Started { call },
        Frame::Ping(1),
        Frame::Pong(u64::MAX),
        Frame::GoAway,
    ];
    frames.extend(to_callee.map(|message| Frame::ToCallee { call, message }));
    frames.extend(to_caller.map(|message| Frame::ToCaller { call, message }));
    frames
}
