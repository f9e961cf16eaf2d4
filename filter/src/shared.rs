//! What the root and the requests of one virtual machine share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use filter_core::clock::Now;
use filter_core::courier::Courier;
use filter_core::effect::Level;
use filter_core::metric::Metric;
use filter_core::worker::Worker;
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

use crate::metrics::Metrics;
use crate::stream::Stream;

/// How often the worker is asked what is due. A settlement waits at most this long before it is sent, and so does a freed slot.
pub const TICK: Duration = Duration::from_millis(20);

/// When the next tick comes if much waits.
const SOON: Duration = Duration::from_millis(1);

/// Requests' own calls under way from which on the root is asked to take over.
const BUSY: usize = 2;

/// What the root and the requests of one virtual machine share.
pub struct Shared {
    pub worker: RefCell<Worker>,
    pub metrics: Metrics,
    /// Envoy's name for the bridge.
    pub cluster: String,
    /// Calls that leave with the root's next.
    pub courier: RefCell<Courier>,
    /// The requests that live, by Envoy's number of their context.
    pub streams: RefCell<HashMap<u32, Rc<RefCell<Stream>>>>,
    /// How many calls requests made by themselves.
    pub alone: Cell<usize>,
    /// Whether a request ever came. Envoy also runs one machine on its main thread, which serves none and cannot reach internal listeners:
    /// a machine without requests owes Redis nothing and stays silent.
    pub serving: Cell<bool>,
    /// Whether the next tick was called for early.
    pub hurried: Cell<bool>,
    /// The virtual machine's memory as told to Envoy, bytes.
    shown_memory: Cell<i64>,
}

impl Shared {
    /// A virtual machine's state at its start.
    pub fn new(worker: Worker) -> Self {
        Self {
            cluster: worker.config().redis_cluster.clone(),
            worker: RefCell::new(worker),
            metrics: Metrics::define(),
            courier: RefCell::default(),
            streams: RefCell::default(),
            alone: Cell::new(0),
            serving: Cell::new(false),
            hurried: Cell::new(false),
            shown_memory: Cell::new(0),
        }
    }

    /// Tells Envoy all figures, that of the machine's memory included.
    pub fn tell(&self) {
        const PAGE: usize = 64 * 1024;
        let pages = core::arch::wasm32::memory_size::<0>();
        let bytes = i64::try_from(pages.saturating_mul(PAGE)).unwrap_or(i64::MAX);
        let grown = bytes.saturating_sub(self.shown_memory.replace(bytes));
        self.metrics.measure(Metric::Memory, grown);
        self.metrics.tell();
    }

    /// Has the root called soon, where much waits. A request cannot make the root's calls itself: their answers would come to the request,
    /// which may be gone by then.
    pub fn hurry(&self, now: Now) {
        let wants = || match self.worker.try_borrow() {
            Ok(worker) => worker.wants_flush(now),
            Err(_) => false,
        };
        if !self.hurried.get() && (self.alone.get() >= BUSY || wants()) {
            self.hurried.set(hostcalls::set_tick_period(SOON).is_ok());
        }
    }
}

/// Envoy's clock. Asked once a callback: it costs as much as any host call.
pub fn now() -> Now {
    let since = hostcalls::get_current_time()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Now(since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

/// A log line's severity in Envoy's words.
pub fn severity(level: Level) -> LogLevel {
    match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}
