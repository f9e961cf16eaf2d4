//! Every route of the service, in one place: the table, and the router that is built of it.

use std::sync::LazyLock;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, RequestRefusal};
use crate::openapi;
use crate::openapi::schema::{Record, TEXT, TEXTS, list, one};

mod idempotent;
pub mod metrics;
pub mod not_served;
pub mod row;
mod table;
mod unread;

pub use table::rows;

use row::Access;

/// Largest body that is read.
pub const MAX_BODY: usize = 1024 * 1024;

/// What `GET /routes` answers.
static ROUTES: Record = Record::new("Routes", &[("routes", list(&one(&ROUTE)))]);
static ROUTE: Record = Record::new("Route", &[("path name endpoint", TEXT), ("methods", TEXTS)]);

/// Builds the service's router.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for row in rows() {
        let handler = match row.access {
            Access::By(action) if row.creates() => row.handler.layer(
                middleware::from_fn_with_state((app.clone(), action), idempotent::answer),
            ),
            _ if row.leaves_body() => row.handler.layer(middleware::from_fn(unread::named)),
            _ => row.handler,
        };
        router = router.route(row.path, handler);
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(async || ApiError::from(RequestRefusal::NoMethod))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(
            app.metrics.clone(),
            metrics::count,
        ))
        .layer(middleware::from_fn(harden))
        .with_state(app)
}

async fn not_found(request: Request) -> ApiError {
    let path = request.uri().path();
    let left_out = not_served::what(path);
    left_out
        .map_or(RequestRefusal::NoRoute, RequestRefusal::NotServed)
        .into()
}

/// `GET /routes`.
async fn routes() -> Json<Value> {
    let mut rows = rows();
    // As LiteLLM lists them: the document first.
    rows.sort_by_key(|row| row.path != "/openapi.json");
    let all: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({"path": row.path, "methods": [row.method], "name": row.name, "endpoint": row.name})
        })
        .collect();
    Json(json!({ "routes": all }))
}

/// What `GET /test` answers.
static TESTED: Record = Record::new("Tested", &[("route", TEXT)]);

/// `GET /test`: this service is reached.
async fn test() -> Json<Value> {
    Json(json!({"route": "/test"}))
}

/// `GET /openapi.json`.
async fn document() -> Json<&'static Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&rows()));
    Json(&DOCUMENT)
}

/// The headers that every answer carries, and words for a body that is too large.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        response = ApiError::from(RequestRefusal::BodyTooLarge(MAX_BODY)).into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let policy = HeaderValue::from_static("frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
