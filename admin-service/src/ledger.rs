//! The spend stream's way into the database: every answered request one row, once.
//!
//! 1. `stream` reads the head of every partition's stream; what is no spend event becomes a dead letter.
//! 2. `batch` says what the events change: rows, daily sums, scopes, watermarks. Pure.
//! 3. `drain` writes that in one transaction that holds the leader's lease, and only then trims the stream.
//! 4. `sweep` charges reservations whose Envoy is gone.
//!
//! Failure stance: a crash between commit and trim is harmless, because an event read again changes nothing. Without Redis or the
//! database the stream waits. An event that the database refuses for what it holds is kept as a dead letter, so that it holds up no other.

mod batch;
mod drain;
mod reconcile;
mod retention;
mod stream;
mod sweep;

pub use batch::{CALL_TYPES, fold};
pub use drain::{DrainError, Drained, Ledger};
pub use retention::Retention;
pub use stream::{StreamEntry, StreamId, lengths as stream_lengths, read as read_stream};
pub use sweep::sweep;

/// The name of the lease whose holder drains the stream.
pub const LEASE: &str = "ledger";
