//! Why an isolate is alive and waits, and why a pool is slow.

use insula_inspect::client::Client;
use insula_inspect::model::{IsolateDetail, PoolDetail};
use serde_json::json;

use crate::cli::{Global, OnSubject};
use crate::failure::Outcome;
use crate::look::Subject;
use crate::output::{print, print_json};
use crate::target::{connect, find};
use crate::text::clean;

/// Prints the sentences about an isolate or a pool.
pub(super) fn why(on: &OnSubject, global: &Global) -> Outcome {
    let mut client = connect(&on.target, global)?;
    match find(&mut client, &on.subject)? {
        Subject::Isolate(id) => {
            let detail: IsolateDetail = details(&mut client, "getIsolate", "isolateId", &id)?;
            report(&detail, &detail.why, global)
        }
        Subject::Pool(id) => {
            let detail: PoolDetail = details(&mut client, "getPool", "poolId", &id)?;
            report(&detail, &detail.why, global)
        }
    }
}

fn details<R: serde::de::DeserializeOwned>(
    client: &mut Client,
    method: &str,
    parameter: &str,
    id: &str,
) -> Result<R, crate::failure::Failure> {
    Ok(client.call(method, json!({ parameter: id }))?)
}

fn report<T: serde::Serialize>(detail: &T, why: &[String], global: &Global) -> Outcome {
    if global.json {
        return print_json(detail);
    }
    let sentences = why.iter().map(|sentence| clean(sentence) + "\n");
    let text: String = sentences.collect();
    print(if text.is_empty() {
        "nothing to say\n"
    } else {
        &text
    })
}
