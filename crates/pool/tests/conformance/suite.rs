//! The lists of cases: which transports each case is tried under, and how.
//!
//! The two contracts differ in the receiver of their methods, and have the same cases but for a few
//! of their own.

/// The cases that every contract has, and those of one contract alone.
macro_rules! conform_all {
    ($($own:tt)*) => {
        $crate::harness::conform! {
            unary {
                everywhere an_empty_request_gets_its_answer;
                everywhere what_is_sent_along_arrives_and_comes_back;
                everywhere the_error_of_a_handler_keeps_its_code_and_its_text;
                everywhere a_panic_fails_its_own_call_only;
                everywhere every_one_of_many_calls_gets_its_own_answer;
                everywhere calls_start_in_the_order_of_their_submission;
                everywhere progress_is_seen_while_the_handler_runs;
                everywhere the_last_report_comes_with_the_answer;
                everywhere a_detached_call_runs_to_its_end;
                everywhere a_full_queue_gives_the_request_back_at_once;
                everywhere a_call_that_is_not_awaited_is_not_made;
            }
            streaming {
                everywhere the_items_of_a_caller_arrive_in_order;
                everywhere the_items_of_a_handler_arrive_in_order;
                everywhere each_item_can_wait_for_the_answer_to_the_one_before;
                everywhere a_stream_may_be_empty_in_both_directions;
                everywhere an_end_of_the_callers_items_comes_before_the_answer;
                everywhere an_early_answer_tells_how_many_items_were_consumed;
                everywhere an_early_answer_wakes_a_sender_that_waits;
                everywhere an_endless_stream_of_items_ends_with_the_answer;
                everywhere a_broken_stream_of_the_caller_never_looks_complete;
                everywhere a_reset_by_the_handler_stops_the_sender;
                everywhere a_handler_that_stops_reading_tells_the_sender;
                everywhere a_slow_writer_holds_no_item_back;
                everywhere a_stream_dropped_after_its_last_item_is_not_reported_as_broken;
                everywhere a_refused_call_stops_its_sender;
            }
            flow {
                everywhere a_handler_is_never_ahead_by_more_than_a_window;
                everywhere a_handler_is_never_ahead_by_more_than_a_window_of_bytes;
                everywhere a_sender_is_never_ahead_by_more_than_a_window;
                everywhere a_permit_that_is_dropped_costs_nothing;
                everywhere a_reader_in_step_with_its_writer_never_stalls;
            }
            cancelling {
                everywhere a_call_cancelled_before_its_first_item_tells_both_sides;
                everywhere a_stream_dropped_after_its_first_item_tells_both_sides;
                everywhere a_dropped_stream_ends_its_handler;
                everywhere a_stream_whose_reader_has_gone_is_dropped_where_it_waits;
                everywhere a_call_dropped_with_its_stream_ends_its_handler;
                everywhere a_call_dropped_in_the_queue_never_starts;
                everywhere a_handler_whose_caller_has_gone_may_end_by_itself;
                on_seeds a_deaf_handler_is_dropped_after_its_grace_period;
                everywhere the_receipt_of_a_cancellation_is_not_started;
                on_seeds the_receipt_of_a_cancellation_is_stopped;
                everywhere the_receipt_of_a_cancellation_is_the_end;
            }
            deadlines {
                on_seeds a_handler_that_sleeps_exceeds_its_deadline;
                on_threads a_deadline_is_a_deadline_whoever_sees_it_first;
                on_seeds a_deadline_that_passes_in_the_queue_gives_the_request_back;
                everywhere a_deadline_of_zero_starts_nothing;
                everywhere a_deadline_that_is_met_changes_nothing;
                on_seeds a_deadline_that_nobody_polls_stops_the_handler;
                on_seeds an_expired_call_that_nobody_polls_is_not_started;
                on_seeds a_deadline_does_not_limit_a_stream_that_is_open;
            }
            nested {
                everywhere a_nested_call_takes_over_trace_and_deadline;
                everywhere a_nested_call_ends_with_its_caller;
                everywhere a_nested_call_in_a_queue_ends_with_its_caller;
                on_seeds a_nested_call_ends_with_the_deadline_of_its_caller;
                everywhere a_nested_answer_passes_through;
            }
            threads {
                on_threads plain_threads_may_block_for_answers;
                on_threads plain_threads_may_block_for_streams;
                on_threads a_blocking_call_keeps_its_deadline;
                on_threads a_call_may_move_from_thread_to_thread;
            }
            $($own)*
        }

        // A wire copies.
        $crate::harness::conform_to!(OneIsolate as one_isolate_moved {
            unary {
                everywhere a_large_message_moves_both_ways_and_is_never_copied;
            }
        });
        $crate::harness::conform_to!(OneWorker as one_worker_moved {
            unary {
                everywhere a_large_message_moves_both_ways_and_is_never_copied;
            }
        });
        $crate::harness::conform_to!(ThreeWorkers as three_workers_moved {
            unary {
                everywhere a_large_message_moves_both_ways_and_is_never_copied;
            }
        });
        $crate::harness::conform_to!(WiredIsolate as wired_isolate_copied {
            unary {
                everywhere a_large_message_is_copied_once_in_each_direction;
            }
        });

        // A bounded port keeps a call that has ended until its turn.
        $crate::harness::conform_to!(OneWorker as one_worker_bounded {
            cancelling {
                everywhere a_call_that_leaves_a_full_queue_makes_room;
            }
            deadlines {
                on_seeds expired_calls_that_nobody_polls_make_room;
            }
        });
        $crate::harness::conform_to!(ThreeWorkers as three_workers_bounded {
            cancelling {
                everywhere a_call_that_leaves_a_full_queue_makes_room;
            }
            deadlines {
                on_seeds expired_calls_that_nobody_polls_make_room;
            }
        });
        $crate::harness::conform_to!(WiredWorkers as wired_workers_bounded {
            cancelling {
                everywhere a_call_that_leaves_a_full_queue_makes_room;
            }
            deadlines {
                on_seeds expired_calls_that_nobody_polls_make_room;
            }
        });
    };
}

/// Cases for transports with one place, where there is an order.
macro_rules! conform_ordered {
    ($($list:tt)*) => {
        $crate::harness::conform_to!(OneIsolate as one_isolate_ordered { $($list)* });
        $crate::harness::conform_to!(OneWorker as one_worker_ordered { $($list)* });
        $crate::harness::conform_to!(WiredIsolate as wired_isolate_ordered { $($list)* });
    };
}

pub(crate) use {conform_all, conform_ordered};
