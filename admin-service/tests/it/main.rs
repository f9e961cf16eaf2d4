//! The admin service as its callers see it, on SQLite and on PostgreSQL.

mod api;
mod ledger;
mod publish;
mod restore;
mod spend;
mod support;
