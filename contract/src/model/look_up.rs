//! What a lookup of a virtual key answers.

use super::Model;
use crate::records::{IndexEntry, Ready, Versioned};
use crate::redis_key;
use crate::script::{Found, LookUp};

impl Model {
    /// What Redis answers at `clock_ms`; `None` where it answers an error, because the entry is none.
    pub fn look_up(&self, clock_ms: u64, call: &LookUp<'_>) -> Option<Found> {
        let p = call.partition;
        let marker = |key: &str| self.ready.get(key);
        let stored = |key: &str| self.values.get(key).cloned();
        let index = marker(&redis_key::index_ready(p));
        let settings = index
            .filter(|ready| ready.catalogue != call.known)
            .and_then(|_| stored(&redis_key::settings(p)));
        let entry = stored(&redis_key::index(p, call.hash));
        let ids = match &entry {
            Some(entry) => Versioned::<IndexEntry>::decode(entry)?.value.records,
            None => Vec::new(),
        };
        let text = |ready: &Ready| ready.encode().into_bytes();
        Some(Found {
            now_ms: clock_ms,
            index: index.map(text),
            partition: marker(&redis_key::ready(p)).map(text),
            settings,
            entry,
            records: ids
                .iter()
                .map(|id| stored(&redis_key::record(p, id)))
                .collect(),
        })
    }
}
