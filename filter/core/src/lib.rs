//! The request path, pure: events in, effects out. No clock, no I/O, no Envoy; builds for wasm32 and runs natively under test.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod bridge;
pub mod clock;
pub mod config;
pub mod effect;
pub mod estimate;
pub mod event;
pub mod exchange;
pub mod json_scan;
pub mod metric;
pub mod route;
pub mod usage;
pub mod worker;

mod breaker;
mod cache;
mod catalogue;
mod id_source;
mod key_state;
mod outbox;
mod renewals;
