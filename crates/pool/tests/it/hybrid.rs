//! Risk: in a pool with workers of two kinds, a call goes far although a near worker has room, or waits
//! although a far one has.

use std::time::Duration;

use futures_util::future::join_all;
use insula_core::sleep;
use insula_pool::{Balance, Hybrid, Local, ServiceFactory, WorkerCondition, WorkerPool, Workers};

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, JobsRequest, JobsResponder};

fn on(desk: &Desk) -> Local<JobsResponder<Desk>, impl ServiceFactory<Desk>> {
    let desk = desk.clone();
    Local::new(move |_cx| {
        let desk = desk.clone();
        async { Ok(desk) }
    })
}

#[test]
fn calls_go_to_the_first_kind_and_spill_over() {
    for balance in [Balance::RoundRobin, Balance::LeastLoaded, Balance::Random] {
        seeded(1, move || async move {
            let (near, far) = (Desk::default(), Desk::default());
            let pool = WorkerPool::builder()
                .workers(4)
                .balance(balance)
                .kind::<JobsRequest, _>(Hybrid::new(on(&near), 2, on(&far)))
                .build()
                .await
                .unwrap();
            let caller: JobsCaller = pool.caller();
            for number in 0..8 {
                caller.note(number).await.unwrap();
            }
            assert_eq!((near.notes().len(), far.notes().len()), (8, 0));
            let mut calls: Vec<_> = (0..5).map(|n| caller.wait_for(n).into_future()).collect();
            calls.iter_mut().for_each(start);
            // Which of the four takes which call is left open: each takes the oldest.
            until(&pool, |_| {
                (near.notes().len(), far.notes().len()) == (10, 2)
            })
            .await;
            // Whoever has room takes the next one.
            (0..5).for_each(|gate| far.open(gate));
            until(&pool, |_| {
                (near.notes().len(), far.notes().len()) == (10, 3)
            })
            .await;
            (0..5).for_each(|gate| near.open(gate));
            assert!(join_all(calls).await.iter().all(Result::is_ok));
            until(&pool, |status| status.workers.iter().all(|it| it.busy == 0)).await;
            caller.note(9).await.unwrap();
            assert_eq!(near.notes().last().unwrap(), "note 9");
        });
    }
}

#[test]
fn the_others_start_when_calls_wait_and_are_retired_first() {
    seeded(2, || async {
        let (near, far) = (Desk::default(), Desk::default());
        let idle = Duration::from_secs(1);
        let pool = WorkerPool::builder()
            .workers(Workers::from(1..=3).idle(idle))
            .kind::<JobsRequest, _>(Hybrid::new(on(&near), 1, on(&far)))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut calls: Vec<_> = (0..3).map(|n| caller.wait_for(n).into_future()).collect();
        calls.iter_mut().for_each(start);
        near.noted("at 0").await;
        far.noted("at 1").await;
        far.noted("at 2").await;
        // One of the others runs a call for a long time, and the first one nothing.
        near.open(0);
        far.open(2);
        sleep(5 * idle).await;
        let workers = pool.status().workers;
        let ready = |it: &insula_pool::WorkerStatus| it.condition == WorkerCondition::Ready;
        assert_eq!(
            workers.iter().map(ready).collect::<Vec<_>>(),
            [true, false, false]
        );
        far.open(1);
        assert!(join_all(calls).await.iter().all(Result::is_ok));
    });
}

/// The rush is over before the other one is there.
#[test]
fn one_that_takes_long_to_start_is_retired_before_those_of_the_first_kind() {
    seeded(3, || async {
        let (near, far) = (Desk::default(), Desk::default());
        let idle = Duration::from_secs(1);
        let slow = Local::<JobsResponder<_>, _>::new(move |_cx| {
            let far = far.clone();
            async move {
                sleep(10 * idle).await;
                Ok(far)
            }
        });
        let pool = WorkerPool::builder()
            .workers(Workers::from(2..=3).idle(idle))
            .kind::<JobsRequest, _>(Hybrid::new(on(&near), 2, slow))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut calls: Vec<_> = (0..3).map(|n| caller.wait_for(n).into_future()).collect();
        calls.iter_mut().for_each(start);
        let is = |worker: usize, condition| pool.status().workers[worker].condition == condition;
        while !is(2, WorkerCondition::Starting) {
            sleep(idle / 100).await;
        }
        (0..3).for_each(|gate| near.open(gate));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        sleep(20 * idle).await;
        let ready = [0, 1, 2].map(|worker| is(worker, WorkerCondition::Ready));
        assert_eq!(ready, [true, true, false]);
    });
}
