//! A case, its metrics, and the systems that it compares.
//!
//! A case owns one closure per system. A closure runs one whole repetition: it builds what it
//! needs, times only the part that the case is about, checks that nothing was lost, and returns one
//! number per metric. To add a system to a case, call [`Case::add`].

use serde::{Deserialize, Serialize};

/// The amount of work of a repetition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
}

impl Scale {
    /// Returns a tenth of `full` with `--quick`, otherwise `full`.
    pub(crate) fn count(self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

/// The kind of a system, so that like is compared with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    ThreadChannel,
    AsyncChannel,
    Actor,
    Runtime,
    Pool,
    Rpc,
    /// Not a peer: a limit of the hardware or the kernel.
    Limit,
}

impl Kind {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ThreadChannel => "thread-channel",
            Self::AsyncChannel => "async-channel",
            Self::Actor => "actor",
            Self::Runtime => "runtime",
            Self::Pool => "pool",
            Self::Rpc => "rpc",
            Self::Limit => "limit",
        }
    }
}

/// The better direction of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// One number of a repetition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

impl Metric {
    /// A metric for which more is better, such as a rate or a share.
    pub(crate) const fn higher(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            better: Better::Higher,
        }
    }

    /// A metric for which less is better, such as a time or a size.
    pub(crate) const fn lower(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            better: Better::Lower,
        }
    }
}

/// The numbers of one repetition, in the order of the case's metrics. A NaN means that the system
/// cannot provide the number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample(pub(crate) Vec<f64>);

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

impl<const N: usize> From<[f64; N]> for Sample {
    fn from(values: [f64; N]) -> Self {
        Self(values.to_vec())
    }
}

impl From<Vec<f64>> for Sample {
    fn from(values: Vec<f64>) -> Self {
        Self(values)
    }
}

/// One repetition of one system.
pub(crate) type Repetition = Box<dyn FnMut(Scale) -> Sample>;

/// A system of a case, which has one row per metric.
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) version: String,
    /// What the row says beside its numbers. A system with a note has a row even without numbers,
    /// so the note says why.
    pub(crate) note: Option<String>,
    pub(crate) repeat: Repetition,
}

/// A question that is put to several systems.
pub(crate) struct Case {
    pub(crate) suite: &'static str,
    pub(crate) name: String,
    pub(crate) metrics: Vec<Metric>,
    /// The most repetitions, for cases that take long. With one repetition there is no warm-up.
    pub(crate) max_runs: usize,
    /// Runs each repetition in a child process, where memory and CPU time are counted from zero.
    /// There is no warm-up then.
    pub(crate) fresh_process: bool,
    pub(crate) systems: Vec<System>,
}

impl Case {
    pub(crate) fn new(suite: &'static str, name: impl Into<String>, metrics: &[Metric]) -> Self {
        Self {
            suite,
            name: name.into(),
            metrics: metrics.to_vec(),
            max_runs: usize::MAX,
            fresh_process: false,
            systems: Vec::new(),
        }
    }

    pub(crate) fn max_runs(mut self, runs: usize) -> Self {
        self.max_runs = runs;
        self
    }

    pub(crate) fn in_fresh_processes(mut self) -> Self {
        self.fresh_process = true;
        self
    }

    /// Adds a system. `repeat` runs one repetition and returns one number per metric.
    pub(crate) fn add<S: Into<Sample>>(
        &mut self,
        name: impl Into<String>,
        kind: Kind,
        version: impl Into<String>,
        mut repeat: impl FnMut(Scale) -> S + 'static,
    ) {
        self.systems.push(System {
            name: name.into(),
            kind,
            version: version.into(),
            note: None,
            repeat: Box::new(move |scale| repeat(scale).into()),
        });
    }
}
