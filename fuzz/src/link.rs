//! What the targets for the two ends of a link have in common: a runtime on virtual time, and frames
//! out of a script.

use insula_core::Runtime;
use insula_rpc::wire::Encoded;

use crate::samples::segments;
use crate::{Script, Steps, within};

/// The most steps of an input.
const MOST_STEPS: usize = 256;

thread_local! {
    static RUNTIME: Runtime = Runtime::builder().seeded(1).build();
}

/// Plays an input on this thread's runtime, which may allocate some memory for each of its bytes.
pub fn play(input: &[u8], play: impl FnOnce(&Runtime, Script<'_>)) {
    // Each step costs what it costs, and frames no more than their bytes.
    let most = (4 << 20) + input.len() * 4_096;
    RUNTIME.with(|runtime| within(most, || play(runtime, Script::new(input))));
}

/// Gives the steps of a script to `step`, and the script, from which it reads what belongs to the step.
pub fn each_step(script: &mut Script<'_>, mut step: impl FnMut(u8, &mut Script<'_>)) {
    for _ in 0..MOST_STEPS {
        let Some(kind) = script.kind() else {
            break;
        };
        step(kind, script);
    }
}

/// Reads a frame with a kind, a call and a body.
pub fn frame(script: &mut Script<'_>) -> Encoded {
    let mut frame = vec![script.byte()];
    frame.extend(u64::from(script.byte()).to_le_bytes());
    frame.extend(script.bytes());
    frame.into()
}

/// Reads a frame of any bytes, with segments beside it.
pub fn any_frame(script: &mut Script<'_>) -> Encoded {
    let mut segments = segments();
    segments.truncate(usize::from(script.byte()) % 4);
    let bytes = script.bytes().to_vec();
    Encoded { bytes, segments }
}

impl Steps {
    /// Adds what [`frame`] reads, after the kind of the step.
    #[must_use]
    pub fn frame(self, step: u8, kind: u8, call: u8, body: &[u8]) -> Self {
        self.step(&[step, kind, call]).bytes(body)
    }
}
