//! The request path, pure: events in, effects out. No clock, no I/O, no Envoy; builds for wasm32 and runs natively under test.
//!
//! 1. Envoy's adapter makes one [`worker::Worker`] per VM and one [`exchange::Exchange`] per request, and tells each what happened.
//! 2. Headers: the route table knows the path or nothing goes on; the credential becomes a hash; a key that is not remembered is looked up
//!    in Redis while the body arrives.
//! 3. Body: [`json_scan`] reads it as it passes and refuses what two readers could read differently.
//! 4. Both there: status, expiry, owners, routes and models are checked from the key's records, the model is priced, [`estimate`] bounds
//!    what the request can use.
//! 5. One question to Redis admits it (everything reserved in every scope), denies it (nothing changed), or brings newer records along.
//! 6. Admitted: the client's credential stays behind, the request goes on; [`usage`] meters the answer as it passes, nothing is held back.
//! 7. The end, whichever way it comes, leaves exactly one settlement; what may have been reserved and was never sent is released instead.
//!    While calls to Redis are under way, [`courier`] lets the next ones travel together.
//! 8. The worker's root sends settlements and releases in batches, renews what is live every ten seconds, repeats whatever Redis has not
//!    acknowledged, and re-sends what a fail-over took back.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

pub mod bridge;
pub mod clock;
pub mod config;
pub mod courier;
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
mod customers;
mod glob;
mod id_source;
mod key_place;
mod key_state;
mod outbox;
mod renewals;
mod scopes;
