//! How many requests were answered, by method, route and status.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

/// The counts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<Answered, u64>>>);

/// What is counted: never anything that a caller chose freely.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered {
    /// The method, `other` where it is none of those that routes have.
    pub method: &'static str,
    /// The route's path with its parameters' names; empty where there is none.
    pub route: String,
    /// The status.
    pub status: u16,
}

impl Metrics {
    fn add(&self, answered: Answered) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(answered).or_default();
        *count = count.saturating_add(1);
    }

    /// The counts now.
    pub fn counts(&self) -> BTreeMap<Answered, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Counts a request when it is answered.
pub async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(String::new, |path| path.as_str().to_owned());
    let response = next.run(request).await;
    metrics.add(Answered {
        method,
        route,
        status: response.status().as_u16(),
    });
    response
}
