//! Tests through the whole product: stock Envoy with the filter, Redis, the admin service, and a scripted upstream whose own record is the
//! truth. Nothing is mocked; what reached the upstream was admitted, what did not was refused.
//!
//! Most tests share one stack (two Envoys with two workers each) and keep apart by keys of their own; they may run side by side. Tests that
//! stop parts of the stack have one of their own, one at a time. A test that needs a real minute waits for it, next to the others.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is not as it has to be"
)]

mod access;
mod every_scope;
mod faults;
mod gateway;
mod hostile;
mod limits;
mod metering;
mod policy;
mod rotation;
mod scopes;
mod sdk;
mod self_serve;
mod shared_budgets;
mod smoke;
