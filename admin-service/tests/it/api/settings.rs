//! Settings: over the API, from the file, and while the service runs.

mod endpoints;
mod hot;
mod interface;
mod key_rules;
mod self_serve;
mod team_defaults;
mod user_defaults;
