//! The frames of a link: `Frame::read`.
#![no_main]

use insula_fuzz::service::FuzzedRequest;
use insula_fuzz::{plant, within};
use insula_rpc::wire::{Frame, Hello};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/link/tests/it/frames/samples.rs"]
mod samples;

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
    let frames = samples::samples(Hello::of::<FuzzedRequest>(MOST));
    frames.into_iter().map(|it| it.write().bytes).collect()
}
