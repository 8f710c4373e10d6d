//! Risk: the list keeps the memory of pools that are gone.

use std::convert::Infallible;

use insula_core::Runtime;
use insula_rpc::{Context, contract};

use super::*;
use crate::WorkerPool;

#[contract(crate = insula_rpc)]
trait Rest {
    async fn rest(&self, cx: &Context) -> Result<(), Infallible>;
}

struct Service;

impl Rest for Service {
    async fn rest(&self, _cx: &Context) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_pool_that_is_dropped_has_left_the_list() {
    let runtime = Runtime::builder().seeded(1).build();
    let number = runtime.block_on(async {
        let builder = WorkerPool::builder().name("left").workers(1);
        let pool = builder.service::<RestResponder<_>>(|_cx| async { Ok(Service) });
        let pool = pool.build().await.unwrap();
        let seen = pools()
            .into_iter()
            .find(|seen| seen.status().name == "left");
        drop(pool);
        seen.unwrap().number()
    });
    runtime.shut_down();
    assert!(!POOLS.lock().contains_key(&number));
}
