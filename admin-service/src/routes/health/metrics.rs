//! `GET /metrics`: figures for Prometheus.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::policy::{Authorized, ServiceMetrics};
use crate::publish::RedisState;

/// The text format of Prometheus.
pub const PROMETHEUS: &str = "text/plain";

/// Figures of publisher, ledger and API. They come from memory: they are there when the database is not.
pub async fn metrics(State(app): State<App>, _by: Authorized<ServiceMetrics>) -> Response {
    let text = text(&app);
    let media = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], text).into_response()
}

fn text(app: &App) -> String {
    let report = app.health.report();
    let now_us = app.store.clock().now_us();
    let lag_us = report
        .outbox_oldest_us
        .map_or(0, |oldest| now_us.saturating_sub(oldest));
    let mut text = String::new();
    let mut figure = |name: &str, kind: &str, help: &str, value: String| {
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "# HELP tollkeeper_{name} {help}\n# TYPE tollkeeper_{name} {kind}\ntollkeeper_{name} {value}"
        );
    };
    let flag = |on: bool| u8::from(on).to_string();
    for (name, help, value) in [
        (
            "redis_open",
            "1 when the gateways find what they need in Redis",
            flag(report.redis == RedisState::Open),
        ),
        (
            "outbox_waiting",
            "changes that Redis does not have yet",
            report.outbox_waiting.to_string(),
        ),
        (
            "publish_lag_seconds",
            "age of the oldest of them",
            seconds(lag_us / 1_000),
        ),
        (
            "ledger_leads",
            "1 when this process drains the spend stream",
            flag(report.leads),
        ),
        (
            "spend_events_waiting",
            "spend events that are not in the database yet",
            report.stream_length.to_string(),
        ),
        (
            "dead_letters",
            "spend events that could not be read and are kept",
            report.dead_letters.to_string(),
        ),
        (
            "ledger_differences",
            "differences when rows, sums, totals and counters were last compared; -1 until then",
            report
                .ledger_differences
                .map_or_else(|| "-1".to_owned(), |differences| differences.to_string()),
        ),
        (
            "redis_last_restore_seconds",
            "how long the last restore of Redis took",
            seconds(report.last_restore_ms),
        ),
    ] {
        figure(name, "gauge", help, value);
    }
    for (name, help, value) in [
        (
            "spend_events_drained_total",
            "spend events that this process took off the stream",
            report.drained,
        ),
        (
            "redis_restores_total",
            "times that this process restored Redis",
            report.restores,
        ),
        (
            "reconciles_total",
            "times that this process compared Redis with the database",
            report.reconciles,
        ),
        (
            "reservations_charged_total",
            "reservations charged because their Envoy was gone",
            report.swept_charged,
        ),
        (
            "reservations_released_total",
            "reservations released because they were never sent",
            report.swept_released,
        ),
    ] {
        figure(name, "counter", help, value.to_string());
    }
    text.push_str(
        "# HELP tollkeeper_http_requests_total requests answered by this service\n# TYPE tollkeeper_http_requests_total counter\n",
    );
    for (answered, count) in app.metrics.counts() {
        let (method, route, status) = (answered.method, answered.route, answered.status);
        let _ = writeln!(
            text,
            "tollkeeper_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
        );
    }
    text
}

/// Milliseconds as seconds.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
