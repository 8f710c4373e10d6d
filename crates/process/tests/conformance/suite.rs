//! The lists of cases, and how one is run.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use insula_core::Runtime;

/// Cases by their names.
pub(crate) type Cases = Vec<(&'static str, fn())>;

/// Far more than any case takes on a busy machine: what takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Runs a case on threads.
pub(crate) fn run<F>(case: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (done, finished) = channel();
    let runner = thread::spawn(move || {
        let runtime = Runtime::builder().threads(2).build();
        runtime.block_on(case());
        runtime.shut_down();
        // The watching side may have given up.
        let _ = done.send(());
    });
    match finished.recv_timeout(HANGS) {
        Ok(()) => {}
        Err(RecvTimeoutError::Disconnected) => {
            let panic = runner.join().expect_err("it ended without a word");
            std::panic::resume_unwind(panic);
        }
        Err(RecvTimeoutError::Timeout) => panic!("the case hangs"),
    }
}

/// Makes the list `$name` of cases. A case on virtual time is left out.
macro_rules! list {
    ($name:ident { $($module:ident { $($how:ident $case:ident;)* })* }) => {
        /// The cases under one transport.
        pub(crate) fn $name<T: $crate::transport::Transport>() -> $crate::suite::Cases {
            let list = $crate::suite::Cases::new();
            $($(let list = $crate::suite::add!(list, $how $module $case);)*)*
            list
        }
    };
}

macro_rules! add {
    ($list:ident, on_seeds $module:ident $case:ident) => {{
        // It has to compile all the same.
        let _on_virtual_time = self::$module::$case::<T>;
        $list
    }};
    ($list:ident, $how:ident $module:ident $case:ident) => {{
        let name = concat!(stringify!($module), "::", stringify!($case));
        let mut list = $list;
        list.push((name, || $crate::suite::run(self::$module::$case::<T>)));
        list
    }};
}

/// The cases that every contract has, and those of one contract alone.
macro_rules! conform_all {
    ($($own:tt)*) => {
        $crate::suite::list! {
            all {
                unary {
                    on_threads an_empty_request_gets_its_answer;
                    on_threads what_is_sent_along_arrives_and_comes_back;
                    on_threads the_error_of_a_handler_keeps_its_code_and_its_text;
                    on_threads a_panic_fails_its_own_call_only;
                    on_threads every_one_of_many_calls_gets_its_own_answer;
                    on_threads calls_start_in_the_order_of_their_submission;
                    on_threads progress_is_seen_while_the_handler_runs;
                    on_threads the_last_report_comes_with_the_answer;
                    on_threads a_detached_call_runs_to_its_end;
                    on_threads a_full_queue_gives_the_request_back_at_once;
                    on_threads a_call_that_is_not_awaited_is_not_made;
                }
                streaming {
                    on_threads the_items_of_a_caller_arrive_in_order;
                    on_threads the_items_of_a_handler_arrive_in_order;
                    on_threads each_item_can_wait_for_the_answer_to_the_one_before;
                    on_threads a_stream_may_be_empty_in_both_directions;
                    on_threads an_end_of_the_callers_items_comes_before_the_answer;
                    on_threads an_early_answer_tells_how_many_items_were_consumed;
                    on_threads an_early_answer_wakes_a_sender_that_waits;
                    on_threads an_endless_stream_of_items_ends_with_the_answer;
                    on_threads a_broken_stream_of_the_caller_never_looks_complete;
                    on_threads a_reset_by_the_handler_stops_the_sender;
                    on_threads a_handler_that_stops_reading_tells_the_sender;
                    on_threads a_slow_writer_holds_no_item_back;
                    on_threads a_stream_dropped_after_its_last_item_is_not_reported_as_broken;
                    on_threads a_refused_call_stops_its_sender;
                }
                flow {
                    on_threads a_handler_is_never_ahead_by_more_than_a_window;
                    on_threads a_handler_is_never_ahead_by_more_than_a_window_of_bytes;
                    on_threads a_sender_is_never_ahead_by_more_than_a_window;
                    on_threads a_permit_that_is_dropped_costs_nothing;
                    on_threads a_reader_in_step_with_its_writer_never_stalls;
                }
                cancelling {
                    on_threads a_call_cancelled_before_its_first_item_tells_both_sides;
                    on_threads a_stream_dropped_after_its_first_item_tells_both_sides;
                    on_threads a_dropped_stream_ends_its_handler;
                    on_threads a_stream_whose_reader_has_gone_is_dropped_where_it_waits;
                    on_threads a_call_dropped_with_its_stream_ends_its_handler;
                    on_threads a_call_dropped_in_the_queue_never_starts;
                    on_threads a_handler_whose_caller_has_gone_may_end_by_itself;
                    on_seeds a_deaf_handler_is_dropped_after_its_grace_period;
                    on_threads the_receipt_of_a_cancellation_is_not_started;
                    on_seeds the_receipt_of_a_cancellation_is_stopped;
                    on_threads the_receipt_of_a_cancellation_is_the_end;
                }
                deadlines {
                    on_seeds a_handler_that_sleeps_exceeds_its_deadline;
                    on_threads a_deadline_is_a_deadline_whoever_sees_it_first;
                    on_seeds a_deadline_that_passes_in_the_queue_gives_the_request_back;
                    on_threads a_deadline_of_zero_starts_nothing;
                    on_threads a_deadline_that_is_met_changes_nothing;
                    on_seeds a_deadline_that_nobody_polls_stops_the_handler;
                    on_seeds an_expired_call_that_nobody_polls_is_not_started;
                    on_seeds a_deadline_does_not_limit_a_stream_that_is_open;
                }
                threads {
                    on_threads plain_threads_may_block_for_answers;
                    on_threads plain_threads_may_block_for_streams;
                    on_threads a_blocking_call_keeps_its_deadline;
                    on_threads a_call_may_move_from_thread_to_thread;
                }
                $($own)*
            }
        }

        $crate::suite::list! {
            bounded {
                cancelling {
                    on_threads a_call_that_leaves_a_full_queue_makes_room;
                }
                unary {
                    on_threads a_large_message_is_copied_once_in_each_direction;
                }
            }
        }
    };
}

/// Cases for transports with one place, where there is an order.
macro_rules! conform_ordered {
    ($($list:tt)*) => {
        $crate::suite::list! { ordered { $($list)* } }
    };
}

pub(crate) use {add, conform_all, conform_ordered, list};
