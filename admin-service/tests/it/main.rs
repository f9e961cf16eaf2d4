//! The admin service as its callers see it, on SQLite and on PostgreSQL.

fn main() {}
