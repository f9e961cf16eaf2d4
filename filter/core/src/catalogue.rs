//! Models and proxy-wide settings as of one catalogue revision. Decides when they are out of date; a lower revision than one seen is never
//! taken, because Redis may have come back from an old copy.

use std::cmp::Ordering;
use std::rc::Rc;

use contract::id::Rev;
use contract::records::{ModelRecord, ProxySettings};

use crate::cache::Generations;
use crate::clock::Now;
use crate::key_place::KeyPlace;

/// Models kept.
const MODELS: usize = 1_024;
/// How long a marker that was read says enough to refuse a request by, without asking again.
const SEEN_MS: u64 = 1_000;
/// How long one marker may lag behind another: the admin service writes them one after the other.
const LAG_MS: u64 = 2_000;

/// The catalogue as known.
#[derive(Debug)]
pub(crate) struct Catalogue {
    rev: Rev,
    since: Now,
    /// When a marker last carried this revision.
    seen: Now,
    settings: Option<Rc<ProxySettings>>,
    /// Where the last settings that were read look for keys.
    key_place: Option<KeyPlace>,
    models: Generations<String, Rc<ModelRecord>>,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            rev: Rev::default(),
            since: Now::default(),
            seen: Now::default(),
            settings: None,
            key_place: None,
            models: Generations::new(MODELS),
        }
    }
}

impl Catalogue {
    /// The revision known.
    pub(crate) const fn rev(&self) -> Rev {
        self.rev
    }

    /// A marker carries `rev`: a newer one makes everything known out of date. Answers how it compares with what was known.
    pub(crate) fn observe(&mut self, rev: Rev, now: Now) -> Ordering {
        let order = rev.cmp(&self.rev);
        if order == Ordering::Greater {
            self.rev = rev;
            self.since = now;
            self.settings = None;
            self.models.clear();
        }
        if order != Ordering::Less {
            self.seen = now;
        }
        order
    }

    /// Whether a partition's marker may still show an older revision than an index's.
    pub(crate) const fn may_lag(&self, now: Now) -> bool {
        now.since(self.since) < LAG_MS
    }

    /// The revision of the settings known; zero for none.
    pub(crate) fn settings_rev(&self) -> Rev {
        if self.settings.is_some() {
            self.rev
        } else {
            Rev::default()
        }
    }

    /// The settings, unless unknown or out of date.
    pub(crate) fn settings(&self) -> Option<Rc<ProxySettings>> {
        self.settings.clone()
    }

    /// Whether the settings known were in force a moment ago.
    pub(crate) const fn is_recent(&self, now: Now) -> bool {
        self.settings.is_some() && now.since(self.seen) < SEEN_MS
    }

    /// Where keys are looked for, by the last settings that were read, in date or not.
    pub(crate) const fn key_place(&self) -> Option<&KeyPlace> {
        self.key_place.as_ref()
    }

    /// Takes settings read under the revision known.
    pub(crate) fn learn_settings(&mut self, settings: ProxySettings) {
        self.key_place = Some(KeyPlace::of(settings.key_header.as_deref()));
        self.settings = Some(Rc::new(settings));
    }

    /// A model, unless unknown or out of date.
    pub(crate) fn model(&mut self, name: &str) -> Option<Rc<ModelRecord>> {
        self.models.get(name).cloned()
    }

    /// Takes a model read under the revision known.
    pub(crate) fn learn_model(&mut self, name: String, model: Rc<ModelRecord>) {
        self.models.insert(name, model);
    }
}
