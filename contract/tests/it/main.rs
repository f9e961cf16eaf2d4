//! The contract's tests. Those that need Redis start a private `redis-server` (or `valkey-server`) from PATH and stop it again.

mod admission;
mod budget;
mod ledger;
mod lua_ledger;
mod model_ledger;
mod publication;
mod random;
mod rate;
mod redis_server;
mod restore;
mod settlement;
mod slots;
