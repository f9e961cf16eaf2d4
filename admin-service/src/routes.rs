//! What each route does: read the request, ask the policy's proof what it reaches, change or read the store, answer in LiteLLM's shape.
//!
//! [`crate::router`] says which path leads where.

pub mod activity;
pub mod answer;
pub mod audit;
pub mod budgets;
pub mod cache;
pub mod customers;
pub mod global;
pub mod health;
pub(crate) mod imported;
pub mod invitations;
pub mod keys;
pub mod models;
pub mod onboarding;
pub mod organizations;
pub mod session;
pub mod settings;
pub(crate) mod shape;
pub mod spend;
pub mod tags;
pub mod teams;
pub mod users;
