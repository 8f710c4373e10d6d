//! The rules of order and of lifetimes, and the tests of each.

/// A rule that was read in the VM's sources and seen in its programs.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// From 1 to 40.
    pub number: u32,
    /// The rule.
    pub text: &'static str,
    /// The cases that cover it.
    pub cases: &'static [&'static str],
    /// Tests that cover it, here and in other crates.
    pub tests: &'static [&'static str],
}

const MODEL: &str = "single_isolates_do_what_the_model_does";
const MANY: &str = "several_isolates_keep_their_promises";

const fn rule(
    number: u32,
    text: &'static str,
    cases: &'static [&'static str],
    tests: &'static [&'static str],
) -> Rule {
    Rule {
        number,
        text,
        cases,
        tests,
    }
}

/// All rules, in order.
pub const RULES: &[Rule] = &[
    rule(
        1,
        "A turn is one event and then all microtasks.",
        &["1", "3"],
        &[MODEL],
    ),
    rule(
        2,
        "First synchronous code, then microtasks in order, then events in order.",
        &["1", "5", "18"],
        &[MODEL],
    ),
    rule(
        3,
        "Zero timers and messages share one order.",
        &["2", "13", "17"],
        &[MODEL],
    ),
    rule(
        4,
        "Expired timers run before a zero timer that was made later, after one that was made earlier; equal deadlines in the order of creation.",
        &["6", "7", "8", "9"],
        &[MODEL],
    ),
    rule(
        5,
        "Microtasks run between two timers of one batch.",
        &["4"],
        &[MODEL, "control_messages_within_a_batch"],
    ),
    rule(
        6,
        "Microtasks can starve everything but immediate control messages.",
        &["5", "19"],
        &[],
    ),
    rule(
        7,
        "The messages of one sender to one isolate keep their order, also across its ports.",
        &["66"],
        &[MANY, "messages_of_one_sender_keep_their_order_across_ports"],
    ),
    rule(
        8,
        "An exit message comes after all that the isolate sent.",
        &["41", "51", "66", "76"],
        &[MODEL, MANY],
    ),
    rule(
        9,
        "Errors keep their place among the isolate's messages, and come before its exit message.",
        &["41", "46"],
        &[MODEL],
    ),
    rule(
        10,
        "The spawner has the handle before the child's first message.",
        &["75"],
        &[],
    ),
    rule(
        11,
        "Control messages of one sender keep their order, and are handled in the middle of an event too.",
        &["20", "22", "34", "35"],
        &[MODEL],
    ),
    rule(
        12,
        "A delayed control action takes its place when it is handled, not when it is sent.",
        &["20"],
        &[MODEL],
    ),
    rule(
        13,
        "Actions before the next event go in front of all events, in their own order.",
        &["21", "22", "23"],
        &[MODEL],
    ),
    rule(
        14,
        "A pause takes effect after the current event and its microtasks.",
        &["31", "32"],
        &[MODEL],
    ),
    rule(
        15,
        "While paused, control messages are handled, actions with a place in the queue wait, and nothing is lost.",
        &["24", "29", "30", "37"],
        &[MODEL, MANY],
    ),
    rule(
        16,
        "Pauses are a set of capabilities; an early resume counts for nothing.",
        &["24", "25", "38"],
        &[MODEL],
    ),
    rule(
        17,
        "Spawned paused is paused by its own capability; killed before its start it never runs, and still tells its end.",
        &["30", "38"],
        &[],
    ),
    rule(
        18,
        "Without the capability pause, resume, kill and `set_errors_fatal` do nothing.",
        &["26"],
        &[],
    ),
    rule(
        19,
        "An immediate kill cannot be caught; microtasks and messages are dropped, exit messages sent.",
        &["27", "28", "33"],
        &[MODEL, MANY],
    ),
    rule(
        20,
        "A kill before the next event lets the event and its microtasks finish, and drops the queue.",
        &["28", "33"],
        &[MODEL],
    ),
    rule(
        21,
        "A kill as event lets everything that is queued run first.",
        &["28"],
        &[MODEL],
    ),
    rule(
        22,
        "Control messages that have arrived with a kill are handled, those behind it too.",
        &["35"],
        &[MODEL],
    ),
    rule(
        23,
        "An isolate ends when nothing is queued and nothing can wake it, or by an error, a kill or `exit`.",
        &["79", "80", "81"],
        &[MODEL],
    ),
    rule(
        24,
        "Whether it ends is asked only when the queue is empty.",
        &["79", "80"],
        &[MODEL],
    ),
    rule(
        25,
        "A fatal error is told, and drops microtasks and messages.",
        &["41", "44", "46"],
        &[MODEL],
    ),
    rule(
        26,
        "After an error that is not fatal the loop goes on. In the VM pending microtasks wait for the next event, or are lost.",
        &["10", "42", "44", "45"],
        &[MODEL],
    ),
    rule(
        27,
        "An error without a listener is reported. In the VM one that is not fatal is not.",
        &["49"],
        &[],
    ),
    rule(
        28,
        "An error in a timer's callback does not lose the other timers.",
        &["10"],
        &[MODEL],
    ),
    rule(
        29,
        "A child's end or errors do nothing to its parent, nor the parent's end to the child; the end of the main isolate ends the program.",
        &["49", "54", "55"],
        &["a_panic_harms_nobody_else"],
    ),
    rule(
        30,
        "An uncaught error in main ends the program with an error.",
        &["56"],
        &[],
    ),
    rule(
        31,
        "A message is what it was when it was sent; a failed send consumes nothing.",
        &["67", "71"],
        &["a_refused_message_comes_back"],
    ),
    rule(
        32,
        "Closing a port drops what is queued for it.",
        &["58"],
        &[MODEL],
    ),
    rule(
        33,
        "After `exit`, only its message and the exit messages.",
        &["50", "51", "52"],
        &[],
    ),
    rule(
        34,
        "Timers are never early, periodic ones do not drift, missed periods are one callback.",
        &["11", "12", "16"],
        &["no_sleep_is_short"],
    ),
    rule(
        35,
        "Time goes on while an isolate is paused.",
        &["14"],
        &[MODEL],
    ),
    rule(
        36,
        "Results of I/O are events; independent ones come in any order; as many blocked ones as the service is wide hold up the others.",
        &["81", "82"],
        &[
            "microtasks_come_before_a_result",
            "more_wait_and_are_counted",
        ],
    ),
    rule(
        37,
        "Calls of native listeners are messages.",
        &["84", "85"],
        &[],
    ),
    rule(
        38,
        "In a root isolate each task is a turn, followed by observers; a frame begins, runs microtasks, and is drawn.",
        &["S3"],
        &[
            "observers_run_after_each_task",
            "a_message_is_a_task_with_its_microtasks_before_the_observers",
        ],
    ),
    rule(
        39,
        "Pauses on start and on exit, with control messages alone.",
        &[],
        &["it_pauses_on_start_and_on_exit"],
    ),
    rule(
        40,
        "An isolate may run on any thread of the pool, on one at a time.",
        &[],
        &[
            "nothing_is_lost_among_many_isolates",
            "a_pinned_isolate_keeps_its_thread_and_its_state_there",
        ],
    ),
];
