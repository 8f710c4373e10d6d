//! Risk: the ledger reports a fault that did not happen, or misses one.

use super::{End, Ledger};

fn faults(of: impl Fn(&Ledger)) -> Vec<String> {
    let ledger = Ledger::default();
    of(&ledger);
    ledger.close()
}

#[test]
fn a_value_that_is_dropped_once_is_none() {
    let faults = faults(|ledger| {
        let number = ledger.parcel();
        ledger.accepted(number);
        ledger.handled(number);
        ledger.dropped(number);
    });
    assert_eq!(faults, [""; 0]);
}

#[test]
fn values_that_are_lost_doubled_or_delivered_after_a_refusal_are() {
    let lost = faults(|ledger| {
        let number = ledger.parcel();
        ledger.accepted(number);
    });
    assert_eq!(lost, ["value 0 was sent and never dropped"]);
    let doubled = faults(|ledger| {
        let number = ledger.parcel();
        ledger.dropped(number);
        ledger.dropped(number);
    });
    assert_eq!(doubled, ["value 0 was dropped twice"]);
    let refused = faults(|ledger| {
        let number = ledger.parcel();
        ledger.handled(number);
        ledger.refused(number);
        ledger.dropped(number);
    });
    assert_eq!(refused, ["value 0 was refused, and delivered all the same"]);
}

#[test]
fn an_end_that_is_told_never_or_twice_is() {
    let never = faults(|ledger| {
        ledger.isolate();
    });
    assert_eq!(never, ["the end of isolate 0 was told 0 times"]);
    let twice = faults(|ledger| {
        let number = ledger.isolate();
        ledger.told(number);
        ledger.told(number);
    });
    assert_eq!(twice, ["the end of isolate 0 was told 2 times"]);
}

#[test]
fn a_wait_that_has_not_ended_and_a_spurious_wake_up_are() {
    let waiting = faults(|ledger| {
        let wait = ledger.wait(|| "Take".to_owned());
        assert_eq!(ledger.close(), ["a wait has not ended: Take"]);
        drop(wait);
    });
    assert_eq!(waiting, [""; 0]);
    let spurious = faults(|ledger| {
        ledger.condition_waits(1);
        ledger.condition_waited(1, true);
    });
    assert_eq!(
        spurious,
        ["condition variable 1 was notified 0 times, and 1 woke"]
    );
}

#[test]
fn a_call_that_is_told_what_is_not_so_is() {
    let started = faults(|ledger| {
        let call = ledger.call();
        ledger.handler_begins(call, false);
        ledger.handler_ends(call);
        ledger.call_ends(call, End::NotStarted);
    });
    assert_eq!(started, ["call 0 was told that it had not started"]);
    let late = faults(|ledger| {
        let call = ledger.call();
        ledger.call_ends(call, End::NotStarted);
        ledger.handler_begins(call, false);
        ledger.handler_ends(call);
    });
    assert_eq!(
        late,
        ["call 0 was told that it had not started, and started all the same"]
    );
    let early = faults(|ledger| {
        let call = ledger.call();
        ledger.handler_begins(call, false);
        ledger.call_ends(call, End::Over);
        ledger.handler_ends(call);
    });
    assert_eq!(early, ["call 0 had its end while its handler ran"]);
    let twice = faults(|ledger| {
        let call = ledger.call();
        ledger.call_ends(call, End::Unknown);
        ledger.call_ends(call, End::Unknown);
    });
    assert_eq!(twice, ["call 0 ended twice"]);
}

#[test]
fn a_handler_that_is_never_dropped_is() {
    let kept = faults(|ledger| {
        let call = ledger.call();
        ledger.handler_begins(call, false);
    });
    assert_eq!(kept, ["the handler of call 0 was never dropped"]);
}
