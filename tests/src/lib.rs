//! Starts the whole of Tollkeeper on this machine, for people (`cargo xtask up`), for tests and for benchmarks.
//!
//! 1. [`setup`] finds the programs that the stack is made of, and installs what is missing.
//! 2. [`stack`] builds the filter and the admin service, starts Redis, the admin service and the Envoys on free ports, each as a
//!    [`process`], and waits until they answer.
//! 3. [`upstream`] stands in for the LLM providers, does what each request asks of it, and remembers what it saw.
//! 4. [`client`] calls the gateway and the admin service as a client would.
//!
//! [`load`] is for benchmarks: a closed loop of prepared bytes.
//!
//! Everything is stopped when the stack's handle is dropped, or when this process dies.

pub mod client;
pub mod clock;
pub mod load;
pub mod process;
pub mod random;
pub mod setup;
pub mod stack;
pub mod upstream;
