//! Settings that change while the service runs.

mod hot;
