//! The API over HTTP: every route, every role, on both databases.

mod audit;
mod authentication;
mod budgets;
mod clients;
mod concurrency;
mod customers;
mod defaults;
mod deletion;
mod document;
mod failures;
mod grants;
mod health;
mod idempotency;
mod keys;
mod keys_of_users;
mod list;
mod program;
mod publication;
mod published_limits;
mod roles;
mod settings;
mod sweep;
mod teams;
mod users;
