//! Risk: one worker gets everything, or a call waits although a worker has room.

use futures_util::future::join_all;
use insula_core::block_on;
use insula_pool::Balance;

use crate::desk::start;
use crate::service::{Desk, JobsCaller, pool};

#[test]
fn calls_are_spread_over_all_workers() {
    for balance in [Balance::RoundRobin, Balance::LeastLoaded] {
        let desk = Desk::default();
        block_on(async {
            let pool = pool(&desk, 3).balance(balance).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            let mut gates: Vec<_> = (0..3).map(|n| caller.wait_for(n).into_future()).collect();
            gates.iter_mut().for_each(start);
            for gate in 0..3 {
                desk.noted(&format!("at {gate}")).await;
            }
            let busy: Vec<_> = pool
                .status()
                .workers
                .iter()
                .map(|worker| worker.busy)
                .collect();
            assert_eq!(busy, [1, 1, 1], "{balance:?}");
            (0..3).for_each(|gate| desk.open(gate));
            assert!(
                join_all(gates)
                    .await
                    .into_iter()
                    .all(|answer| answer.is_ok())
            );
        });
    }
}

#[test]
fn a_worker_runs_as_many_calls_as_it_may_and_no_more() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .concurrency_per_worker(3)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut calls: Vec<_> = (0..4).map(|n| caller.wait_for(n).into_future()).collect();
        calls.iter_mut().for_each(start);
        for gate in 0..3 {
            desk.noted(&format!("at {gate}")).await;
        }
        let status = pool.status();
        assert_eq!((status.workers[0].busy, status.queued), (3, 1));
        desk.open(1);
        desk.noted("at 3").await;
        [0, 2, 3].into_iter().for_each(|gate| desk.open(gate));
        assert!(
            join_all(calls)
                .await
                .into_iter()
                .all(|answer| answer.is_ok())
        );
    });
}

#[test]
fn a_blocked_worker_holds_nobody_up() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.compute(1).into_future();
        start(&mut busy);
        for n in 0..100 {
            assert_eq!(caller.echo(n).await.unwrap(), n);
        }
        desk.open(1);
        assert!(busy.await.is_ok());
    });
}
