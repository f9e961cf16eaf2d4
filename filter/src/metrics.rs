//! The request path's figures as Envoy stats, each defined once.

use filter_core::metric::{Kind, Metric};
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

/// Envoy's ids, by [`Metric::index`].
pub struct Metrics {
    ids: Vec<Option<u32>>,
}

impl Metrics {
    /// Defines all of them.
    pub fn define() -> Self {
        let define = |metric: &Metric| {
            let kind = match metric.kind() {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            hostcalls::define_metric(kind, metric.name()).ok()
        };
        Self {
            ids: Metric::ALL.iter().map(define).collect(),
        }
    }

    /// Adds to a counter or gauge, observes into a histogram. A stat that Envoy would not define stays unseen.
    pub fn measure(&self, metric: Metric, value: i64) {
        let Some(id) = self.ids.get(metric.index()).copied().flatten() else {
            return;
        };
        let _ = match metric.kind() {
            Kind::Counter | Kind::Gauge => hostcalls::increment_metric(id, value),
            Kind::Histogram => hostcalls::record_metric(id, u64::try_from(value).unwrap_or(0)),
        };
    }
}
