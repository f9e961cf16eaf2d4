//! The contract's tests. Those that need Redis start a private `redis-server` (or `valkey-server`) from PATH and stop it again.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not go as expected is a failed test"
)]

mod admission;
mod budget;
mod concurrency;
mod correction;
mod cost;
mod key_names;
mod ledger;
mod look_up;
mod lua_ledger;
mod memory;
mod model_ledger;
mod money;
mod mutants;
mod prices;
mod publication;
mod random;
mod rate;
mod records;
mod redis_server;
mod resp;
mod restore;
mod scripts;
mod settlement;
mod slots;
mod virtual_keys;
