//! The keys, in words.

use super::Toned;
use crate::table::Tone;
use crate::text::{fit, pad};

const KEYS: [(&str, &str); 20] = [
    ("1 to 7, Tab", "another screen"),
    ("up, down", "move; also PageUp, PageDown, Home, End"),
    ("Enter, Esc", "open and close the details of the row"),
    ("s or >, <", "sort isolates by the next or the last column"),
    ("r", "reverse their order"),
    ("/", "filter them by name or id; Esc shows all"),
    ("space", "freeze the screen; of a record: play"),
    ("left, right", "step through a record"),
    ("k", "kill the isolate: it ends at its next interrupt check"),
    ("p", "pause it before its next event"),
    ("u", "resume it, without a question"),
    ("d", "drain the pool: it takes no more calls"),
    ("R", "recycle it: new services in all workers"),
    ("+, -", "one worker more or less"),
    ("y, n", "answer a question"),
    ("?", "this help"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "stop the command, until the shell continues it"),
    ("q, Ctrl-C", "quit"),
    ("", "The program runs on; only its inspector is asked."),
];

/// The columns of the keys.
const WIDTH: usize = 14;

/// Returns the lines of the help.
pub(super) fn lines(columns: usize) -> Vec<Toned> {
    let line = |(key, meaning): &(&str, &str)| {
        let text = format!("{}{meaning}", pad(key, WIDTH, false));
        (Tone::Plain, fit(&text, columns))
    };
    KEYS.iter().map(line).collect()
}
