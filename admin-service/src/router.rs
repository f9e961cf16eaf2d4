//! Every route of the service, in one place.

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, Refusal};
use crate::routes::{health, keys, spend, teams, users};

/// Largest body that is read.
pub const MAX_BODY: usize = 1024 * 1024;

/// A route: its method, path, LiteLLM's name of it, and what it does.
struct Row(&'static str, &'static str, &'static str, MethodRouter<App>);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        Row("POST", "/key/generate",             "generate_key_fn",   post(keys::generate)),
        Row("POST", "/key/update",               "update_key_fn",     post(keys::update)),
        Row("POST", "/key/delete",               "delete_key_fn",     post(keys::delete)),
        Row("POST", "/key/block",                "block_key",         post(keys::block)),
        Row("POST", "/key/unblock",              "unblock_key",       post(keys::unblock)),
        Row("GET",  "/key/info",                 "info_key_fn",       get(keys::info)),
        Row("GET",  "/key/list",                 "list_keys",         get(keys::list)),
        Row("POST", "/user/new",                 "new_user",          post(users::new)),
        Row("POST", "/user/update",              "user_update",       post(users::update)),
        Row("POST", "/user/delete",              "delete_user",       post(users::delete)),
        Row("GET",  "/user/info",                "user_info",         get(users::info)),
        Row("POST", "/team/new",                 "new_team",          post(teams::new)),
        Row("POST", "/team/update",              "update_team",       post(teams::update)),
        Row("POST", "/team/delete",              "delete_team",       post(teams::delete)),
        Row("POST", "/team/member_add",          "team_member_add",   post(teams::member_add)),
        Row("GET",  "/team/info",                "team_info",         get(teams::info)),
        Row("GET",  "/spend/logs",               "view_spend_logs",   get(spend::logs)),
        Row("GET",  "/health",                   "health_endpoint",   get(health::health)),
        Row("GET",  "/health/backlog",           "health_backlog",    get(health::backlog)),
        Row("GET",  "/health/liveliness",        "health_liveliness", get(health::alive)),
        Row("GET",  "/health/liveness",          "health_liveliness", get(health::alive)),
        Row("GET",  "/health/readiness",         "health_readiness",  get(health::ready)),
        Row("GET",  "/health/readiness/details", "health_readiness_details", get(health::ready_details)),
        Row("GET",  "/routes",                   "get_routes",        get(routes)),
    ]
}

/// Areas of LiteLLM's API that this product leaves to others, and what they are.
const NOT_SERVED: &[(&str, &str)] = &[
    ("/mcp", "MCP"),
    ("/v1/mcp", "MCP"),
    ("/agents", "agents"),
    ("/v1/agents", "agents"),
    ("/a2a", "agents"),
    ("/guardrails", "guardrails"),
    ("/vector_store", "vector stores"),
    ("/v1/vector_stores", "vector stores"),
    ("/prompt", "prompts"),
    ("/scim", "SCIM"),
    ("/saml", "SAML"),
    ("/project", "projects"),
    ("/config", "configuration by field"),
    (
        "/chat/completions",
        "models here: send requests of models to the gateway",
    ),
    (
        "/v1/chat/completions",
        "models here: send requests of models to the gateway",
    ),
];

/// The routes by method and path, for tests that sweep all of them.
pub fn paths() -> Vec<(&'static str, &'static str)> {
    rows()
        .into_iter()
        .map(|Row(method, path, _, _)| (method, path))
        .collect()
}

/// Builds the service's router.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for Row(_, path, _, handler) in rows() {
        router = router.route(path, handler);
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(async || ApiError::Refused(Refusal::NoMethod))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(harden))
        .with_state(app)
}

async fn not_found(request: Request) -> ApiError {
    let path = request.uri().path();
    let under = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let left_out = NOT_SERVED.iter().find(|(prefix, _)| under(prefix));
    ApiError::Refused(left_out.map_or(Refusal::NoRoute, |(_, what)| Refusal::NotServed(what)))
}

/// `GET /routes`.
async fn routes() -> Json<Value> {
    let all: Vec<Value> = rows()
        .iter()
        .map(|Row(method, path, name, _)| {
            json!({"path": path, "methods": [method], "name": name, "endpoint": name})
        })
        .collect();
    Json(json!({ "routes": all }))
}

/// The headers that every answer carries, and words for a body that is too large.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        response = ApiError::Refused(Refusal::BodyTooLarge(MAX_BODY)).into_response();
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
