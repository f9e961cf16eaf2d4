//! The admin service: people and policy, keys, prices and spend; the path that requests of models never take.
//!
//! 1. `config` reads LiteLLM's `config.yaml`, the environment and the command line.
//! 2. `router` names every route; `caller` proves who asks; `policy` decides whether they may.
//! 3. `store` writes the row, its audit row and its outbox row in one transaction.
//! 4. The publisher carries outbox rows to Redis, where the filter finds them.
//! 5. The ledger drains the spend stream back into the database.

pub mod app;
pub mod caller;
pub mod catalogue;
pub mod clock;
pub mod config;
pub mod domain;
pub mod error;
pub mod import;
pub mod ledger;
pub mod openapi;
pub mod policy;
pub mod publish;
pub mod request;
pub mod router;
pub mod routes;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod sign_in;
pub mod store;
