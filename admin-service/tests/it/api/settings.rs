//! Settings: over the API, from the file, and while the service runs.

mod endpoints;
mod hot;
mod self_serve;
mod user_defaults;
