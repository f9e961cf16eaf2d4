//! The request path, pure: events in, effects out. No clock, no I/O, no Envoy; builds for wasm32 and runs natively under test.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod bridge;
pub mod effect;
pub mod estimate;
pub mod event;
pub mod json_scan;
pub mod metric;
pub mod route;
pub mod usage;
