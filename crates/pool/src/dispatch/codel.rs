//! Controlled delay: sheds calls of a queue that stays long, and leaves short bursts alone.
//!
//! The algorithm is CoDel, as RFC 8289 (Nichols, Jacobson, McGregor and Iyengar, 2018) has it in
//! section 5, for calls in place of packets. What counts is the time that a call has waited, seen when
//! it is taken out. If each call of an interval has waited longer than the target, the queue is no
//! burst any more: calls are shed, one at first and then more and more often, at intervals that shrink
//! with the square root of their number, until one has waited less.

use std::time::Duration;

use insula_core::Instant;

/// The state of one queue.
#[derive(Debug, Clone)]
pub(super) struct Codel {
    target: Duration,
    interval: Duration,
    /// From here on, calls that have waited too long are shed. `None` while the last one had not.
    late_from: Option<Instant>,
    /// `Some` while calls are shed.
    shedding: Option<Shedding>,
    /// The last time that shedding began or went on, and the calls that were shed until then.
    before: Option<Shedding>,
}

#[derive(Debug, Clone, Copy)]
struct Shedding {
    next: Instant,
    calls: u32,
}

impl Codel {
    pub(super) fn new(target: Duration, interval: Duration) -> Self {
        Self {
            target,
            interval,
            late_from: None,
            shedding: None,
            before: None,
        }
    }

    /// Returns whether a call that is taken out is shed. `is_last` is whether none is left behind it.
    pub(super) fn sheds(&mut self, now: Instant, came: Instant, is_last: bool) -> bool {
        if !self.is_late(now, came, is_last) {
            self.shedding = None;
            return false;
        }
        match self.shedding {
            Some(shedding) if now < shedding.next => false,
            Some(shedding) => {
                self.shed(shedding.next, shedding.calls.saturating_add(1));
                true
            }
            None => {
                // Where it left off, if that is not long ago: the load is probably the same.
                let recent = |it: &Shedding| {
                    it.calls > 2 && now < it.next + self.interval.saturating_mul(16)
                };
                let calls = self.before.filter(recent).map_or(1, |it| it.calls - 2);
                self.shed(now, calls);
                true
            }
        }
    }

    /// Returns whether calls have waited too long for a whole interval.
    fn is_late(&mut self, now: Instant, came: Instant, is_last: bool) -> bool {
        // The last call of a queue is never shed, however long it has waited.
        if now.saturating_duration_since(came) < self.target || is_last {
            self.late_from = None;
            return false;
        }
        let late_from = *self.late_from.get_or_insert(now + self.interval);
        now >= late_from
    }

    fn shed(&mut self, at: Instant, calls: u32) {
        let pause = self.interval.as_secs_f64() / f64::from(calls).sqrt();
        // The longest durations are rounded to ones that are none.
        let next = at + Duration::try_from_secs_f64(pause).unwrap_or(Duration::MAX);
        self.shedding = Some(Shedding { next, calls });
        self.before = self.shedding;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Clock(Instant);

    impl Clock {
        fn at(&self, ms: u32) -> Instant {
            self.0 + ms * MS
        }
    }

    /// One call is taken out each millisecond, from 1,000 to `end`. Each has waited `waited`.
    /// Returns the times at which calls were shed.
    fn shed(
        codel: &mut Codel,
        clock: &Clock,
        waited: u32,
        times: std::ops::Range<u32>,
    ) -> Vec<u32> {
        let sheds = |ms: &u32| codel.sheds(clock.at(*ms), clock.at(ms - waited), false);
        times.filter(sheds).collect()
    }

    fn codel() -> (Codel, Clock) {
        let clock = Clock(Instant::now());
        (Codel::new(5 * MS, 100 * MS), clock)
    }

    #[test]
    fn calls_that_wait_less_than_the_target_are_left_alone() {
        let (mut codel, clock) = codel();
        assert_eq!(shed(&mut codel, &clock, 4, 1000..3000), []);
    }

    #[test]
    fn a_burst_that_is_shorter_than_the_interval_is_left_alone() {
        let (mut codel, clock) = codel();
        for begin in [1000, 2000, 3000] {
            assert_eq!(shed(&mut codel, &clock, 50, begin..begin + 99), []);
            assert_eq!(shed(&mut codel, &clock, 1, begin + 99..begin + 100), []);
        }
    }

    /// The times of RFC 8289: the first after an interval, then interval / sqrt(n) later each.
    #[test]
    fn calls_are_shed_more_and_more_often_while_the_queue_stays_long() {
        let (mut codel, clock) = codel();
        let times = shed(&mut codel, &clock, 50, 1000..1500);
        assert_eq!(times[..5], [1100, 1200, 1271, 1329, 1379]);
        assert_eq!(times.len(), 7);
    }

    #[test]
    fn one_call_that_has_not_waited_ends_it_and_it_goes_on_where_it_was() {
        let (mut codel, clock) = codel();
        let many = shed(&mut codel, &clock, 50, 1000..3000).len();
        assert!(many > 50, "{many}");
        assert_eq!(shed(&mut codel, &clock, 1, 3000..3001), []);
        // After an interval, and then at once as often as before.
        let times = shed(&mut codel, &clock, 50, 3001..3201);
        assert_eq!(times[0], 3101);
        assert!(times.len() > 5, "{times:?}");
        // A long time later it begins anew.
        assert_eq!(shed(&mut codel, &clock, 1, 9000..9001), []);
        let times = shed(&mut codel, &clock, 50, 9001..9201);
        assert_eq!(times, [9101]);
    }

    #[test]
    fn the_last_call_is_never_shed_and_extremes_are_accepted() {
        let (mut codel, clock) = codel();
        for ms in 1000..2000 {
            assert!(!codel.sheds(clock.at(ms), clock.at(0), true));
        }
        for (target, interval) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::MAX, Duration::MAX),
            (Duration::ZERO, Duration::MAX),
        ] {
            let mut codel = Codel::new(target, interval);
            let times = shed(&mut codel, &clock, 50, 1000..1100);
            assert_eq!(times.len(), if interval.is_zero() { 100 } else { 0 });
        }
    }
}
