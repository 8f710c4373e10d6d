//! One look at a program: what is asked for a screen, and what came back.
//!
//! A record is a sequence of such looks, so their form as JSON is that of its lines.

use insula_inspect::client::{Client, ClientError};
use insula_inspect::model::{
    Events, History, IsolateDetail, Isolates, Pool, PoolDetail, Pools, Sample, Threads, Vm, Waits,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The most pools whose details are asked for in one look.
const MAX_POOLS: usize = 64;

/// The most events that are asked for in one look.
const MAX_EVENTS: u64 = 1_000;

/// The parts of a program that a look can show, beside its samples and events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Pools,
    PoolDetails,
    Isolates,
    Waits,
    Threads,
}

/// An isolate or a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    Isolate(String),
    Pool(String),
}

/// A request for a look.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) parts: Vec<Part>,
    /// The isolate or pool whose details are asked for.
    pub(crate) opened: Option<Subject>,
    /// The parameters of `getIsolates`.
    pub(crate) sort: String,
    pub(crate) filter: String,
    pub(crate) limit: u64,
    /// The number of the last event that is known.
    pub(crate) since: u64,
    /// The most samples of the past.
    pub(crate) samples: u64,
}

/// A program at one moment. Parts that were not asked for are absent.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Look {
    /// The program, with its newest sample.
    pub(crate) vm: Vm,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) samples: Vec<Sample>,
    #[serde(skip_serializing_if = "has_no_events")]
    pub(crate) events: Events,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) isolates: Option<Isolates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pools: Option<Vec<Pool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool_details: Option<Vec<PoolDetail>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits: Option<Waits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threads: Option<Threads>,
    #[serde(skip)]
    pub(crate) isolate: Option<IsolateDetail>,
    #[serde(skip)]
    pub(crate) pool: Option<PoolDetail>,
    /// The subject whose details were asked for is not there any more.
    #[serde(skip)]
    pub(crate) is_gone: bool,
}

fn has_no_events(events: &Events) -> bool {
    events.events.is_empty() && events.dropped == 0
}

/// Asks a program for all that is wanted.
///
/// # Errors
/// Returns the error of the first call that fails. That a pool has ended between two calls is none.
pub(crate) fn look(client: &mut Client, wanted: &Wanted) -> Result<Look, ClientError> {
    let mut look = Look {
        vm: client.call("getVM", json!({}))?,
        events: client.call(
            "getEvents",
            json!({ "since": wanted.since, "limit": MAX_EVENTS }),
        )?,
        ..Look::default()
    };
    if wanted.samples > 0 {
        let history: History = client.call("getHistory", json!({ "limit": wanted.samples }))?;
        look.samples = history.samples;
    }
    for part in &wanted.parts {
        match part {
            Part::Pools => look.pools = Some(pools(client)?),
            Part::PoolDetails => {
                let pools = pools(client)?;
                look.pool_details = Some(details(client, &pools)?);
                look.pools = Some(pools);
            }
            Part::Isolates => {
                look.isolates = Some(client.call("getIsolates", isolates(wanted))?);
            }
            Part::Waits => look.waits = Some(client.call("getWaits", json!({}))?),
            Part::Threads => look.threads = Some(client.call("getThreads", json!({}))?),
        }
    }
    match &wanted.opened {
        Some(Subject::Isolate(id)) => {
            look.isolate = found(client.call("getIsolate", json!({ "isolateId": id })))?;
            look.is_gone = look.isolate.is_none();
        }
        Some(Subject::Pool(id)) => {
            look.pool = found(client.call("getPool", json!({ "poolId": id })))?;
            look.is_gone = look.pool.is_none();
        }
        None => {}
    }
    Ok(look)
}

/// Returns all pools.
///
/// # Errors
/// Returns the error of the call.
pub(crate) fn pools(client: &mut Client) -> Result<Vec<Pool>, ClientError> {
    let pools: Pools = client.call("getPools", json!({}))?;
    Ok(pools.pools)
}

/// Returns the details of pools. One that has ended meanwhile is left out.
///
/// # Errors
/// Returns the error of the first call that fails.
pub(crate) fn details(client: &mut Client, pools: &[Pool]) -> Result<Vec<PoolDetail>, ClientError> {
    let mut details = Vec::new();
    for pool in pools.iter().take(MAX_POOLS) {
        details.extend(found(client.call("getPool", json!({ "poolId": pool.id })))?);
    }
    Ok(details)
}

/// Returns `None` for what is not there any more.
pub(crate) fn found<T>(result: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ClientError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn isolates(wanted: &Wanted) -> Value {
    let mut params = json!({ "limit": wanted.limit });
    if !wanted.sort.is_empty() {
        params["sort"] = wanted.sort.as_str().into();
    }
    if !wanted.filter.is_empty() {
        params["filter"] = wanted.filter.as_str().into();
    }
    params
}
