//! What the inspector says about each problem.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use insula::inspect::Inspector;
use insula_inspect::client::{Address, Client};
use insula_inspect::model::{IsolateDetail, Isolates, PoolDetail, Pools, Waits};
use serde_json::json;

/// The longest time until a problem can be seen. It takes a second; more is for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A connection to the program's own inspector.
pub(super) struct Look(Client);

impl Look {
    pub(super) fn at(inspector: &Inspector) -> Outcome<Self> {
        let address = Address::parse(inspector.address())?;
        Ok(Self(Client::connect(&address, PATIENCE)?))
    }

    /// Returns the newest pool. The inspector's view is up to a quarter of a second old, so that it
    /// may not know the pool yet.
    fn pool(&mut self) -> Outcome<PoolDetail> {
        let pools: Pools = self.0.call("getPools", json!({}))?;
        let Some(pool) = pools.pools.last() else {
            return Ok(PoolDetail::default());
        };
        let detail = self.0.call("getPool", json!({ "poolId": pool.id }));
        Ok(detail.unwrap_or_default())
    }

    /// Returns the newest isolate whose name has this part, if the inspector knows it yet.
    fn isolate(&mut self, name: &str) -> Outcome<IsolateDetail> {
        let named = json!({ "filter": name, "sort": "-id", "limit": 1 });
        let found: Isolates = self.0.call("getIsolates", named)?;
        let Some(isolate) = found.isolates.first() else {
            return Ok(IsolateDetail::default());
        };
        let detail = self
            .0
            .call("getIsolate", json!({ "isolateId": isolate.id }));
        Ok(detail.unwrap_or_default())
    }

    /// Looks until each of the texts is in a sentence that `of` returns, and prints these sentences.
    fn until(&mut self, texts: &[&str], of: impl Fn(&mut Self) -> Outcome<Vec<String>>) -> Outcome {
        let begun = Instant::now();
        loop {
            let sentences = of(self)?;
            let with = |text: &&str| sentences.iter().find(|sentence| sentence.contains(text));
            let found: Vec<_> = texts.iter().filter_map(with).collect();
            if found.len() == texts.len() {
                for sentence in found {
                    println!("  {}", without_numbers(sentence));
                }
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{texts:?} are not in {sentences:?}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(super) fn slow(look: &mut Look, is_repaired: bool) -> Outcome {
    if is_repaired {
        return look.until(&["8 calls run", "no call waits"], |look| {
            let pool = look.pool()?;
            let running = format!("{} calls run.", pool.pool.running);
            Ok(pool.why.into_iter().chain([running]).collect())
        });
    }
    look.until(&["6 calls wait", "2 workers are inside"], |look| {
        Ok(look.pool()?.why)
    })?;
    look.until(&["inside of one turn"], |look| {
        let workers = look.pool()?.workers;
        let worker = workers.into_iter().find_map(|worker| worker.isolate);
        Ok(look.isolate(&worker.unwrap_or_default().id)?.why)
    })
}

pub(super) fn cycle(look: &mut Look, is_repaired: bool) -> Outcome {
    let texts: &[_] = match is_repaired {
        false => &["awaits an answer of stock", "part of a cycle"],
        true => &["its queue is empty"],
    };
    look.until(texts, |look| Ok(look.isolate("orders")?.why))?;
    let waits: Waits = look.0.call("getWaits", json!({}))?;
    for cycle in &waits.cycles {
        let names: Vec<_> = cycle.iter().map(|party| party.name.as_str()).collect();
        println!("  a cycle: {}", names.join(" and "));
    }
    Ok(())
}

pub(super) fn leak(look: &mut Look, is_repaired: bool) -> Outcome {
    let text = if is_repaired {
        "has 1 sender."
    } else {
        "open ports"
    };
    look.until(&[text], |look| Ok(look.isolate("room")?.why))
}

/// Replaces the numbers that no two runs have in common: those of milliseconds, events and ports.
fn without_numbers(sentence: &str) -> String {
    let words: Vec<_> = sentence.split(' ').collect();
    let followers = words.iter().skip(1).chain(&[""]);
    let replaced = words.iter().zip(followers).map(|(word, next)| {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        let varies = ["ms", "event", "open"]
            .iter()
            .any(|it| next.starts_with(it));
        if is_number && varies { "N" } else { word }
    });
    replaced.collect::<Vec<_>>().join(" ")
}
