//! Exchanges and workers as Envoy would drive them, against the ledger's rules in plain Rust.

mod admission;
mod answers;
mod failures;
mod hostile;
mod random;
mod redis;
mod refusals;
mod root;
mod world;
