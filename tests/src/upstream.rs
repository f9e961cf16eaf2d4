//! A scripted LLM provider: it speaks OpenAI's endpoints, does what each request asks of it, and remembers everything it saw.
//!
//! It stands in for a provider where no provider key is at hand, and it is the truth that tests judge the gateway by: what reached it was
//! admitted, what did not was refused. It runs on its own thread with its own runtime, so that it outlives any one test, and stops when
//! its handle is dropped.

mod answer;
mod record;
mod script;
mod serve;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use record::{Call, Outcome, Records, Reported, most_in_any_window};
pub use script::Script;

/// Whether calls are remembered. A benchmark does not want to measure the upstream's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// Every call is kept.
    Calls,
    /// Nothing is kept, and nothing in the body is looked at but whether it asks for a stream.
    Nothing,
}

/// A running scripted upstream.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    records: Arc<Records>,
    stop: Option<oneshot::Sender<()>>,
}

impl Upstream {
    /// Starts one on a free port of the loopback interface.
    pub fn start(remember: Remember) -> Result<Self> {
        let records = Arc::new(Records::default());
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = std::sync::mpsc::channel();
        let kept = Arc::clone(&records);
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || {
                let served = run(remember, kept, &ready, stopped);
                if let Err(error) = served {
                    // Start-up failed: the receiver learns why. Later there is nothing left that could fail.
                    let _ = ready.send(Err(error));
                }
            })?;
        let address = address
            .recv()
            .context("the scripted upstream ended before it listened")??;
        Ok(Self {
            address,
            records,
            stop: Some(stop),
        })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a final slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it saw.
    pub fn records(&self) -> &Records {
        &self.records
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended already.
            let _ = stop.send(());
        }
    }
}

fn run(
    remember: Remember,
    records: Arc<Records>,
    ready: &std::sync::mpsc::Sender<Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("upstream-io")
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        // The starter waits for this.
        let _ = ready.send(Ok(listener.local_addr()?));
        tokio::select! {
            () = serve::accept(listener, remember, records) => {}
            // The handle was dropped, or said so.
            _ = stopped => {}
        }
        Ok(())
    })
}
