//! Signing in: passwords, sessions, one-purpose tokens, and what throttles guessing.
//!
//! 1. `throttle` lets an attempt through, or says for how long not.
//! 2. `password` verifies what was sent, at the same cost whether the user exists or not.
//! 3. `session` makes the cookie whose hash the database keeps; `caller` proves by it who asks.
//! 4. `token` signs what a link or page carries for one purpose and a short time: never a key, never a session.
//!
//! Failure stance: what cannot be checked signs nobody in.

pub mod address;
pub mod environment;
pub mod password;
pub mod policy;
pub mod secrets;
pub mod session;
pub mod throttle;
pub mod token;
