//! Risk: an option of the queue does not reach the calls of real callers, or its rejections are not
//! in the books.

use std::time::Duration;

use futures_util::future::join_all;
use insula_core::{Instant, sleep};
use insula_pool::{BuildError, Change, Measure, Overflow, Queue, Rate, Recycle};
use insula_rpc::{CallError, Priority, Reject, Retry, Share, retry};

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, pool};

fn why<E, Q>(error: &CallError<E, Q>) -> Option<Reject> {
    match error {
        CallError::Rejected { why, .. } => Some(*why),
        _ => None,
    }
}

#[test]
fn the_bytes_of_queued_requests_are_bounded() {
    seeded(1, || async {
        let desk = Desk::default();
        let queue = Queue::bounded(10).bytes(1_000).overflow(Overflow::Reject);
        let pool = pool(&desk, 1).queue(queue).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        // With the vector's own 24 bytes it is too large, though the worker is free.
        let error = caller.mirror(vec![7; 977]).await.unwrap_err();
        assert_eq!(why(&error), Some(Reject::TooLarge));
        assert_eq!(error.into_request().map(|bytes| bytes.len()), Some(977));
        assert_eq!(caller.mirror(vec![7; 976]).await.unwrap().len(), 976);
        let mut busy = caller.wait_for(1);
        start(&mut busy);
        desk.noted("at 1").await;
        let mut first = caller.mirror(vec![1; 500]);
        start(&mut first);
        let error = caller.mirror(vec![2; 500]).await.unwrap_err();
        assert_eq!(why(&error), Some(Reject::QueueFull));
        desk.open(1);
        assert_eq!(first.await.unwrap(), [1; 500]);
        assert_eq!(caller.mirror(vec![2; 500]).await.unwrap(), [2; 500]);
        assert_eq!(busy.await.unwrap(), 1);
        assert_eq!(pool.stats().rejected, 2);
    });
}

#[test]
fn calls_start_by_their_priority() {
    seeded(1, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(1);
        start(&mut busy);
        desk.noted("at 1").await;
        let (low, high) = (Priority::Low, Priority::High);
        let mut calls = [
            caller.wait_for(2).priority(low),
            caller.wait_for(3),
            caller.wait_for(4).priority(high),
            caller.wait_for(5).key(1).priority(high),
        ];
        calls.iter_mut().for_each(start);
        (1..=5).for_each(|gate| desk.open(gate));
        for call in calls {
            assert!(call.await.is_ok());
        }
        assert!(busy.await.is_ok());
        assert_eq!(desk.notes(), ["at 1", "at 4", "at 3", "at 5", "at 2"]);
    });
}

/// Two hundred calls of one tenant wait when the first one of another comes; and the queue is fair from
/// the beginning, or becomes it.
#[test]
fn fair_queues_do_not_let_a_share_delay_another() {
    for from_the_beginning in [true, false] {
        seeded(1, move || async move {
            let desk = Desk::default();
            let fair = Queue::bounded(1000).fair();
            let queue = match from_the_beginning {
                true => fair,
                false => Queue::bounded(1000),
            };
            let pool = pool(&desk, 1).queue(queue).build().await.unwrap();
            if !from_the_beginning {
                pool.reconfigure(Change::new().queue(fair)).unwrap();
            }
            let caller: JobsCaller = pool.caller();
            let (many, few) = (Share::of("many"), Share::of("few").weighted(2));
            let flood: Vec<_> = (0..200)
                .map(|_| caller.doze(10).share(many).start())
                .collect();
            sleep(Duration::from_millis(25)).await;
            let began = Instant::now();
            for _ in 0..3 {
                caller.doze(10).share(few).await.unwrap();
            }
            // At most one call of the others starts before each of them.
            let passed = Instant::now().saturating_duration_since(began);
            assert!(passed <= Duration::from_millis(60), "{passed:?}");
            for call in flood {
                call.await.unwrap();
            }
        });
    }
}

#[test]
fn the_rate_of_calls_is_limited_and_a_retry_keeps_to_it() {
    seeded(1, || async {
        let queue = Queue::default().rate(Rate::per_second(10).burst(2));
        let pool = pool(&Desk::default(), 2)
            .queue(queue)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let began = Instant::now();
        for number in 0..2 {
            assert_eq!(caller.echo(number).await.unwrap(), number);
        }
        let error = caller.echo(2).await.unwrap_err();
        let retry_after = Duration::from_millis(100);
        assert_eq!(why(&error), Some(Reject::RateLimited { retry_after }));
        assert_eq!(error.into_request(), Some(2));
        // Its own pauses are shorter.
        let policy = Retry::attempts(2);
        for number in 3..6 {
            let answer = retry(&policy, |_| caller.echo(number)).await;
            assert_eq!(answer.unwrap(), number);
        }
        let passed = Instant::now().saturating_duration_since(began);
        assert!(
            passed >= 3 * retry_after && passed < 4 * retry_after,
            "{passed:?}"
        );
        assert_eq!((pool.stats().rejected, pool.stats().answered), (4, 5));
    });
}

/// A thousand calls come this many milliseconds apart, and take 10 each. Returns the median of the times
/// that those waited which were started, and how many were shed.
fn under_load(queue: Queue, apart: &'static [u64]) -> (Duration, u64) {
    seeded(1, move || async move {
        let builder = pool(&Desk::default(), 1).queue(queue);
        let pool = builder
            .measure(Measure::All)
            .build()
            .await
            .expect("it starts");
        let caller: JobsCaller = pool.caller();
        let mut calls = Vec::new();
        for &pause in apart.iter().cycle().take(1000) {
            calls.push(caller.doze(10).start());
            sleep(Duration::from_millis(pause)).await;
        }
        for answer in join_all(calls).await {
            if let Err(error) = answer {
                assert_eq!(why(&error), Some(Reject::Shed));
            }
        }
        let stats = pool.stats();
        assert_eq!(stats.answered + stats.shed, 1000);
        (stats.queue_wait.p50, stats.shed)
    })
}

#[test]
fn codel_keeps_the_wait_short_under_a_load_that_is_too_high() {
    let ms = Duration::from_millis;
    let queue = || Queue::bounded(10_000);
    let (without, shed) = under_load(queue(), &[5]);
    assert_eq!(shed, 0);
    let (with, shed) = under_load(queue().codel(ms(10), ms(50)), &[5]);
    assert!(with < without / 3, "{with:?} and {without:?}");
    assert!(shed > 300, "{shed}");
}

#[test]
fn a_codel_target_without_sense_is_refused() {
    seeded(1, || async {
        let ms = Duration::from_millis;
        for (target, interval) in [(0, 0), (0, 50), (50, 10)] {
            let queue = Queue::bounded(10).codel(ms(target), ms(interval));
            let builder = pool(&Desk::default(), 1).queue(queue);
            let Err(BuildError::Settings(why)) = builder.build().await else {
                panic!("{target} ms in {interval} ms");
            };
            assert!(why.contains("Queue::codel"), "{why}");
        }
    });
}

#[test]
fn codel_leaves_bursts_and_a_load_that_is_not_too_high_alone() {
    let ms = Duration::from_millis;
    let queue = || Queue::bounded(10_000).codel(ms(10), ms(200));
    assert_eq!(under_load(queue(), &[11]).1, 0);
    // Ten at once, which wait for up to 90 ms, and then enough time for them.
    assert_eq!(under_load(queue(), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 120]).1, 0);
}

#[test]
fn codel_sheds_calls_of_a_lower_priority_first() {
    seeded(1, || async {
        let ms = Duration::from_millis;
        let queue = Queue::bounded(10_000).codel(ms(10), ms(50));
        let pool = pool(&Desk::default(), 1)
            .queue(queue)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let (mut high, mut low) = (Vec::new(), Vec::new());
        for number in 0..500 {
            let (calls, priority) = match number % 3 {
                0 => (&mut high, Priority::High),
                _ => (&mut low, Priority::Low),
            };
            calls.push(caller.doze(10).priority(priority).start());
            sleep(ms(5)).await;
        }
        assert!(join_all(high).await.iter().all(Result::is_ok));
        let shed = join_all(low).await.iter().filter(|it| it.is_err()).count();
        assert!(shed > 50, "{shed}");
    });
}

/// A call of a high priority overtakes those that wait, and says nothing of how long they do.
#[test]
fn calls_that_overtake_others_do_not_end_the_shedding() {
    seeded(1, || async {
        let ms = Duration::from_millis;
        let queue = Queue::bounded(10_000).codel(ms(10), ms(50));
        let pool = pool(&Desk::default(), 1)
            .queue(queue)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let (mut high, mut low) = (Vec::new(), Vec::new());
        for number in 0..500 {
            low.push(caller.doze(10).priority(Priority::Low).start());
            if number % 8 == 0 {
                high.push(caller.doze(1).priority(Priority::High).start());
            }
            sleep(ms(5)).await;
        }
        assert!(join_all(high).await.iter().all(Result::is_ok));
        let shed = join_all(low).await.iter().filter(|it| it.is_err()).count();
        assert!(shed > 150, "{shed}");
    });
}

#[test]
fn reject_hopeless_turns_a_call_away_whose_deadline_would_pass_in_the_queue() {
    seeded(1, || async {
        let ms = Duration::from_millis;
        let queue = Queue::bounded(10_000).reject_hopeless();
        let pool = pool(&Desk::default(), 2)
            .queue(queue)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        // Before the first call has ended nothing is known.
        let calls = [caller.doze(10).start(), caller.doze(10).start()];
        let late = caller.doze(10).deadline(ms(1)).await;
        assert!(matches!(late, Err(CallError::Deadline { .. })), "{late:?}");
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        // Two run, and 18 wait for about 100 ms.
        let calls: Vec<_> = (0..20).map(|_| caller.doze(10).start()).collect();
        let hopeless = caller.doze(10).deadline(ms(50)).await;
        let Err(CallError::Rejected {
            why: Reject::DeadlineWouldMiss { wait },
            request,
        }) = hopeless
        else {
            panic!("{hopeless:?}");
        };
        assert!(wait > ms(80) && wait < ms(110), "{wait:?}");
        assert_eq!(request, Some(10));
        let urgent = caller
            .doze(10)
            .deadline(ms(50))
            .priority(Priority::High)
            .start();
        let patient = caller.doze(10).deadline(ms(200)).start();
        assert!(urgent.await.is_ok() && patient.await.is_ok());
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        // Nothing waits before it, whether the worker is free by now or not.
        for _ in 0..10 {
            assert!(caller.doze(50).await.is_ok());
            assert!(caller.echo(1).deadline(ms(5)).await.is_ok());
        }
        // A worker has room.
        assert!(caller.doze(1).deadline(ms(2)).await.is_ok());
    });
}

#[test]
fn reconfigure_changes_a_pool_that_runs() {
    seeded(1, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 1)
            .queue(Queue::bounded(3).overflow(Overflow::Reject))
            .measure(Measure::Off)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mirror = |bytes| caller.mirror(vec![0; bytes]).start();
        let busy = caller.wait_for(1).start();
        desk.noted("at 1").await;
        let mut calls: Vec<_> = (0..3).map(|_| mirror(100)).collect();
        assert_eq!(why(&mirror(1).await.unwrap_err()), Some(Reject::QueueFull));
        // The three that wait count for a bound on bytes that comes later.
        let queue = Queue::bounded(10).bytes(500).overflow(Overflow::Reject);
        let change = Change::new().queue(queue).measure(Measure::All);
        pool.reconfigure(change).unwrap();
        calls.push(mirror(50));
        assert_eq!(
            why(&mirror(100).await.unwrap_err()),
            Some(Reject::QueueFull)
        );
        assert_eq!(pool.status().queued, 4);
        // No more bounds, and new services after each call.
        let change = Change::new()
            .queue(Queue::bounded(100))
            .recycle(Recycle::after_calls(1));
        pool.reconfigure(change).unwrap();
        calls.extend((0..20).map(|_| mirror(1_000)));
        desk.open(1);
        assert!(busy.await.is_ok());
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        until(&pool, |status| status.workers[0].incarnation > 0).await;
        let stats = pool.stats();
        assert!(stats.run_time.samples > 0, "{stats:?}");
        assert_eq!(stats.ended(), stats.submitted);
        let endless = Change::new().recycle(Recycle::after_calls(0));
        assert!(pool.reconfigure(endless).is_err());
        let senseless = Queue::bounded(1).codel(Duration::ZERO, Duration::ZERO);
        assert!(pool.reconfigure(Change::new().queue(senseless)).is_err());
        // The bound is the one from before.
        assert!(
            join_all((0..50).map(|n| caller.echo(n)))
                .await
                .iter()
                .all(Result::is_ok)
        );
    });
}
