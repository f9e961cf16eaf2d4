//! The admin service as its callers see it, on SQLite and on PostgreSQL.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what does not go as expected is a failed test; figures are printed"
)]

mod api;
mod full_disk;
mod ledger;
mod publish;
mod reset;
mod restore;
mod spend;
mod support;
mod upkeep;
