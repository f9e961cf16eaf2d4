//! Exchanges and workers as Envoy would drive them, against the ledger's rules in plain Rust.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic in its helpers too"
)]

mod admission;
mod answers;
mod carry;
mod failures;
mod hostile;
mod key_header;
mod random;
mod redis;
mod refusals;
mod root;
mod scopes;
mod world;
