//! Routes that change something and read no body: what a request says there all the same is named as ignored, as a field that nobody knows
//! is elsewhere.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::MAX_BODY;
use crate::error::{ApiError, RequestRefusal};
use crate::routes::answer::{IGNORED, listing};

/// Answers without the body, whose fields it names.
pub async fn named(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return ApiError::from(RequestRefusal::BodyTooLarge(MAX_BODY)).into_response();
    };
    let mut response = next.run(Request::from_parts(parts, Body::empty())).await;
    // What is no object has no fields to name.
    let fields: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let fields = listing(fields.keys().map(String::as_str));
    if let (true, Some(fields)) = (response.status().is_success(), fields) {
        response.headers_mut().insert(IGNORED, fields);
    }
    response
}
