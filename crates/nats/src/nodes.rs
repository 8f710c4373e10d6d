//! Which nodes there are, and how busy they are.
//!
//! A question goes to all nodes that serve a contract, and each answers with one line of text: its process,
//! the version and the schema of its contract, its workers, those that are taken, and its name.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use insula_rpc::wire::{Hello, WireContract};
use tokio::time::timeout;

use crate::error::NatsError;
use crate::nats::Nats;
use crate::worker::forbidden;

/// The most bytes of an answer, and of the answers to one question.
const LONGEST: usize = 512;
const MOST_NODES: usize = 10_000;

/// A node, as it has answered to [`Nats::nodes`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The [name](Nats::name) of its connection.
    pub name: String,
    /// The number of its process, on its machine.
    pub process: u32,
    /// The version of the contract that it serves.
    pub version: u32,
    /// The hash of the contract's schema there. A pool finds it only if its own is the same.
    pub schema: u64,
    /// The links that it serves at once, over all its contracts.
    pub workers: usize,
    /// Those that are open.
    pub links: usize,
}

impl Nats {
    /// Asks which nodes serve a contract, in any version, and returns those that answer within `time`, in
    /// the order of their answers. It takes that time in any case: a quarter of a second is long for
    /// machines that are near. Nodes that are about to stop do not answer. One that serves several versions
    /// answers for each, so its workers are there several times. Of more than 250 nodes that answer at the
    /// same moment some may be missing.
    ///
    /// # Errors
    /// The settings make no sense, no server could be reached, it does not allow the question, or the
    /// connection was lost meanwhile.
    pub async fn nodes<C: WireContract>(
        &self,
        time: Duration,
    ) -> Result<Vec<NodeStatus>, NatsError> {
        let hello = Hello::of::<C>(self.plan().most);
        let session = self.shared().session(self.plan()).await?;
        let (plan, on) = (Arc::clone(self.plan()), Arc::clone(&session));
        let asking = async move {
            let (client, subject) = (on.client(), plan.subjects.nodes(C::NAME));
            let failed = |why: String| NatsError::no_answer(&hello, why);
            let (mut said, mut losses) = (on.said(), on.losses());
            let own = client.new_inbox();
            let subjects = [subject.as_str(), own.as_str()];
            let mut nodes = Vec::new();
            let collecting = async {
                let mut answers = client.subscribe(own.clone()).await?;
                let asking = client.publish_with_reply(subject.clone(), own.clone(), "".into());
                asking.await?;
                while nodes.len() < MOST_NODES
                    && let Some(answer) = answers.next().await
                {
                    // What makes no sense is of no node.
                    nodes.extend(NodeStatus::of_bytes(&answer.payload));
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            };
            tokio::select! {
                why = forbidden(&mut said, &subjects) => {
                    let servers = plan.servers();
                    return Err(NatsError::Denied { servers, why });
                }
                () = losses.next() => {}
                // The end of the time is the usual one.
                collected = timeout(time, collecting) => {
                    collected.unwrap_or(Ok(())).map_err(|why| failed(why.to_string()))?;
                }
            }
            // Without it, answers may be missing.
            match on.is_connected() && !losses.were_missed(&on) {
                true => Ok(nodes),
                false => Err(failed("the connection was lost".to_owned())),
            }
        };
        session.run(asking).await?
    }
}

impl NodeStatus {
    /// Writes it as a line.
    pub(crate) fn to_line(&self) -> String {
        let Self {
            name,
            process,
            version,
            schema,
            workers,
            links,
        } = self;
        let name: String = name.chars().take(100).collect();
        format!("{process} {version} {schema:016x} {workers} {links} {name}")
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok();
        let text = text.filter(|it| it.len() <= LONGEST)?;
        let mut parts = text.splitn(6, ' ');
        Some(Self {
            process: parts.next()?.parse().ok()?,
            version: parts.next()?.parse().ok()?,
            schema: u64::from_str_radix(parts.next()?, 16).ok()?,
            workers: parts.next()?.parse().ok()?,
            links: parts.next()?.parse().ok()?,
            name: parts
                .next()?
                .chars()
                .filter(|it| !it.is_control())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let node = NodeStatus {
            name: "render 7".to_owned(),
            process: 4711,
            version: 2,
            schema: 0xab,
            workers: 8,
            links: 3,
        };
        assert_eq!(NodeStatus::of_bytes(node.to_line().as_bytes()), Some(node));
        for line in [
            "",
            "1 2 3 4 5",
            "a 2 3 4 5 name",
            "1 2 3 4 -5 name",
            "\u{ff}",
        ] {
            assert_eq!(NodeStatus::of_bytes(line.as_bytes()), None, "{line}");
        }
        let odd = NodeStatus::of_bytes(b"1 2 3 4 5 a\x1b[31m").unwrap();
        assert_eq!(odd.name, "a[31m");
        assert_eq!(NodeStatus::of_bytes(&[b'1'; LONGEST + 1]), None);
    }
}
