//! What Tollkeeper's filter and admin service must agree on. Pure: no clock, no I/O, no async, no floats; builds for wasm32.
//!
//! One request, seen from here:
//! 1. [`key_header`], [`virtual_key`]: where the secret is found; it becomes the hash under which everything else knows it.
//! 2. [`redis_key`], [`records`]: the hash leads to its index entry, that one to the records of key, user, team and member.
//! 3. [`price`], [`usage`], [`money`]: what the request may cost at most, and later what it did cost.
//! 4. [`script`]: admission against the scopes' [`limits`] within their [`window`]s, renewal, and settlement, each one atomic call.
//! 5. [`spend_event`]: what settlement leaves for the ledger.
//!
//! [`resp`] carries all of it over the wire.

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod decimal;
pub mod id;
pub mod key_header;
pub mod limits;
pub mod model;
pub mod money;
pub mod price;
pub mod records;
pub mod redis_key;
pub mod resp;
pub mod script;
pub mod spend_event;
pub mod usage;
pub mod virtual_key;
pub mod window;
