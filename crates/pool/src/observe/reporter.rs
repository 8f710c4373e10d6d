//! Reports at regular times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{Isolate, contain};
use insula_rpc::Calls;

use super::report::{Baseline, PerformanceReport};
use crate::shared::{Shared, within};

/// The function that is told of each report.
type Tell = Box<dyn FnMut(&PerformanceReport) + Send>;

/// The settings of [`PoolBuilder::report_every`](crate::PoolBuilder::report_every).
#[derive(Default)]
pub(crate) struct Reporters(Vec<(Duration, Tell)>);

/// An isolate beside those of the workers.
struct Reporter<C: Calls> {
    shared: Arc<Shared<C>>,
    baseline: Baseline,
    period: Duration,
    tell: Tell,
}

impl Reporters {
    pub(crate) fn add(&mut self, period: Duration, tell: Tell) {
        self.0.push((period, tell));
    }

    /// Returns whether a report would follow the one before at once.
    pub(crate) fn is_endless(&self) -> bool {
        self.0.iter().any(|(period, _)| period.is_zero())
    }

    /// Begins the reports on a pool.
    pub(crate) fn start<C: Calls>(self, shared: &Arc<Shared<C>>) {
        for (period, tell) in self.0 {
            let reporter = Reporter {
                shared: Arc::clone(shared),
                baseline: Baseline::new(),
                period,
                tell,
            };
            let name = format!("{}.reports", shared.name);
            Isolate::builder()
                .name(name)
                .spawn(Reporter::run, Box::new(reporter));
        }
    }
}

impl<C: Calls> Reporter<C> {
    async fn run(mut self: Box<Self>) {
        loop {
            let is_over = within(self.period, self.shared.over()).await.is_some();
            let status = self.shared.status();
            let report = self.baseline.report(&self.shared, status);
            contain(|| (self.tell)(&report));
            if is_over {
                return;
            }
        }
    }
}

impl fmt::Debug for Reporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let periods = self.0.iter().map(|(period, _)| period);
        f.debug_list().entries(periods).finish()
    }
}
