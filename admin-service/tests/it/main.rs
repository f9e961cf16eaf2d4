//! The admin service as its callers see it, on SQLite and on PostgreSQL.

mod ledger;
mod publish;
mod restore;
mod support;
