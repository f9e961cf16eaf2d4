//! How the service is: alive, ready, and what waits.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{
    FLAG, NULL, Record, TEXT, TEXT_OR_NULL, WHOLE, WHOLE_OR_NULL, list, one,
};
use crate::policy::{Authorized, HealthDetails};
use crate::publish::{RedisState, Report};
use crate::routes::answer::Answer;

mod metrics;

pub use metrics::{PROMETHEUS, metrics};

/// What readiness answers.
pub static READY: Record = Record::new(
    "Ready",
    &[
        ("status db redis", TEXT),
        ("redis_reason", TEXT.or_absent()),
    ],
);
/// The same with figures.
pub static READY_DETAILS: Record = Record::new(
    "ReadyDetails",
    &[
        ("status db redis version", TEXT),
        ("cache", NULL),
        ("redis_warning", TEXT_OR_NULL),
        ("leads", FLAG),
        ("last_restore_ms", WHOLE_OR_NULL),
        (
            "restores reconciles swept_charged swept_released drained dead_letters",
            WHOLE,
        ),
    ],
);
/// What waits.
pub static BACKLOG: Record = Record::new(
    "Backlog",
    &[
        (
            "in_flight_requests outbox_waiting publish_lag_ms spend_events_waiting dead_letters",
            WHOLE_OR_NULL,
        ),
        ("ledger_differences", WHOLE_OR_NULL),
    ],
);
/// The parts.
pub static HEALTH: Record = Record::new(
    "Health",
    &[
        ("healthy_count unhealthy_count", WHOLE),
        ("healthy_endpoints unhealthy_endpoints", list(&one(&PART))),
    ],
);
static PART: Record = Record::new("Part", &[("component", TEXT)]);

/// `GET /health/liveliness`, `/health/liveness`: the process runs.
pub async fn alive() -> Json<&'static str> {
    Json("I'm alive!")
}

/// `GET /health/readiness`: the database answers. Redis and the publication are told beside it: without them the service goes on.
pub async fn ready(State(app): State<App>) -> Response {
    let report = app.health.report();
    match app.store.ping().await {
        Ok(()) => {
            let mut body = json!({"status": "healthy", "db": "connected", "redis": redis(&report)});
            if let RedisState::Closed(why) = &report.redis {
                body["redis_reason"] = json!(why);
            }
            Json(body).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            let body =
                json!({"status": "unhealthy", "db": "Not connected", "redis": redis(&report)});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// `GET /health/readiness/details`: the same with figures.
pub async fn ready_details(
    State(app): State<App>,
    _by: Authorized<HealthDetails>,
) -> Result<Answer, ApiError> {
    app.store.ping().await?;
    let report = app.health.report();
    Ok(Answer::new(json!({
        "status": "healthy",
        "db": "connected",
        "cache": null,
        "redis": redis(&report),
        "redis_warning": report.warning,
        "leads": report.leads,
        "restores": report.restores,
        "last_restore_ms": report.last_restore_ms,
        "reconciles": report.reconciles,
        "swept_charged": report.swept_charged,
        "swept_released": report.swept_released,
        "drained": report.drained,
        "dead_letters": report.dead_letters,
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

/// `GET /health/backlog`: what waits on its way to Redis and back. LiteLLM's own figure is about its workers, of which there are none here.
pub async fn backlog(
    State(app): State<App>,
    _by: Authorized<HealthDetails>,
) -> Result<Answer, ApiError> {
    let (waiting, oldest) = crate::store::outbox::backlog(&app.store).await?;
    let report = app.health.report();
    let lag_ms = oldest.map_or(0, |oldest| {
        app.store.clock().now_us().saturating_sub(oldest) / 1_000
    });
    Ok(Answer::new(json!({
        "in_flight_requests": 0,
        "outbox_waiting": waiting,
        "publish_lag_ms": lag_ms,
        "spend_events_waiting": report.stream_length,
        "dead_letters": report.dead_letters,
        "ledger_differences": report.ledger_differences,
    })))
}

/// `GET /health`: LiteLLM probes its deployments here. The gateway's health is Envoy's to know, so the lists are of this service's own parts.
pub async fn health(
    State(app): State<App>,
    _by: Authorized<HealthDetails>,
) -> Result<Answer, ApiError> {
    let report = app.health.report();
    let database = app.store.ping().await.is_ok();
    let redis_open = report.redis == RedisState::Open;
    let (mut healthy, mut unhealthy) = (Vec::new(), Vec::new());
    for (part, fine) in [("database", database), ("redis", redis_open)] {
        let side = if fine { &mut healthy } else { &mut unhealthy };
        side.push(json!({ "component": part }));
    }
    Ok(Answer::new(json!({
        "healthy_count": healthy.len(),
        "unhealthy_count": unhealthy.len(),
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
    })))
}

fn redis(report: &Report) -> Value {
    match &report.redis {
        RedisState::Unknown => json!("unknown"),
        RedisState::Unreachable(_) => json!("unreachable"),
        RedisState::Closed(_) => json!("closed"),
        RedisState::Open => json!("open"),
    }
}
