//! The request path's figures as Envoy stats, each defined once. Counters and gauges are added up here and told at the root's tick: every
//! host call costs a request time, and nobody reads stats more often.

use std::cell::Cell;

use filter_core::metric::{Kind, Metric};
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

/// Every stat, by [`Metric::index`].
pub struct Metrics {
    stats: Vec<Stat>,
}

struct Stat {
    kind: Kind,
    /// Envoy's; `None` where it would not define the stat, which then stays unseen.
    id: Option<u32>,
    /// Not told yet.
    owed: Cell<i64>,
}

impl Metrics {
    /// Defines all of them.
    pub fn define() -> Self {
        let define = |metric: &Metric| {
            let kind = metric.kind();
            let envoys = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            Stat {
                kind,
                id: hostcalls::define_metric(envoys, metric.name()).ok(),
                owed: Cell::new(0),
            }
        };
        Self {
            stats: Metric::ALL.iter().map(define).collect(),
        }
    }

    /// Adds to a counter or gauge, observes into a histogram.
    pub fn measure(&self, metric: Metric, value: i64) {
        let Some(stat) = self.stats.get(metric.index()) else {
            return;
        };
        match (stat.kind, stat.id) {
            (Kind::Counter | Kind::Gauge, _) => {
                stat.owed.set(stat.owed.get().saturating_add(value));
            }
            (Kind::Histogram, Some(id)) => {
                let _ = hostcalls::record_metric(id, u64::try_from(value).unwrap_or(0));
            }
            (Kind::Histogram, None) => {}
        }
    }

    /// Tells Envoy what was added up.
    pub fn tell(&self) {
        for stat in &self.stats {
            let owed = stat.owed.take();
            if let Some(id) = stat.id.filter(|_| owed != 0) {
                let _ = hostcalls::increment_metric(id, owed);
            }
        }
    }
}
