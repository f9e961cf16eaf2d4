//! `GET /cache/ping`.

use crate::error::{ApiError, RequestRefusal};
use crate::policy::{Authorized, CachePing};

/// There is no cache of answers in the gateway, and this says so.
pub async fn ping(_by: Authorized<CachePing>) -> ApiError {
    RequestRefusal::NoCache.into()
}
