//! What the admin service does beside publishing, and what a gateway reads: corrections of what was spent, and lookups of keys.

use contract::money::NanoUsd;
use contract::records::{IndexEntry, Ready, Versioned};
use contract::redis_key;
use contract::script::{CORRECTIONS, Correct, CorrectAnswer, LookUp, Open};
use contract::virtual_key::{KeyHash, VirtualKey};

use super::Driver;
use crate::ledger::{P0, rev};

impl Driver {
    /// Takes back some of what a scope has spent: usually the next correction for its window, at times an earlier or later one, or for another
    /// window.
    pub(super) fn correct(&mut self) -> Result<(), String> {
        let index = usize::try_from(self.rng.below(5)).unwrap();
        let scope = self.policies[index].id.clone();
        let known = self.model.figures(&scope);
        let done = self.model.watermark_of(CORRECTIONS);
        let call = Correct {
            partition: P0,
            scope: &scope,
            sequence: match self.rng.below(8) {
                0 => done,
                1 => done + 2,
                _ => done + 1,
            },
            window_start_ms: if self.rng.one_in(8) {
                known.window_start_ms + 1
            } else {
                known.window_start_ms
            },
            amount: NanoUsd::new(self.rng.below(known.spent + 2)).unwrap(),
        };
        let expected = self.model.correct(self.clock_ms, &call);
        let answer = self.compare(&call, &expected)?;
        let is_less = self.model.figures(&scope).spent < known.spent;
        self.coverage.corrected += u64::from(answer == CorrectAnswer::Done && is_less);
        Ok(())
    }

    /// Publishes an entry that names some records, absent ones too, and looks its key up; or a key without an entry.
    pub(super) fn look_up(&mut self) -> Result<(), String> {
        let hash = hash(self.rng.below(3));
        let published = hash_of_some_key(&hash) && self.rng.one_in(2);
        if published {
            self.put_entry(&hash)?;
        }
        if self.rng.one_in(4) {
            self.open_index()?;
        }
        let known = if self.rng.one_in(2) {
            self.catalogue
        } else {
            rev(0)
        };
        let call = LookUp {
            partition: P0,
            hash: &hash,
            known,
        };
        let expected = self.model.look_up(self.clock_ms, &call);
        let expected = expected.ok_or_else(|| format!("the model cannot read {hash:?}"))?;
        self.coverage.looked_up += u64::from(!expected.records.is_empty());
        self.compare(&call, &expected).map(drop)
    }

    fn put_entry(&mut self, hash: &KeyHash) -> Result<(), String> {
        let some = self.policies.iter().map(|policy| policy.id.clone());
        let mut records: Vec<_> = some.collect();
        records.rotate_left(usize::try_from(self.rng.below(5)).unwrap());
        records.truncate(usize::try_from(self.rng.below(6)).unwrap());
        if self.rng.one_in(3) {
            records.insert(0, redis_key::RecordId::of_name("t:absent"));
        }
        self.drawn += 1;
        let value = IndexEntry {
            home: P0,
            records,
            until_ms: None,
        };
        let entry = Versioned {
            rev: rev(self.drawn),
            value,
        }
        .encode()
        .unwrap();
        let settings = format!("{}{{}}", rev(self.drawn));
        self.put(&[
            (redis_key::index(P0, hash), entry.into_bytes()),
            (redis_key::settings(P0), settings.into_bytes()),
        ])
    }

    fn open_index(&mut self) -> Result<(), String> {
        let ready = Ready {
            partitions: 1,
            catalogue: self.catalogue,
            full_ms: 0,
            run_id: "run".to_owned(),
        };
        let key = redis_key::index_ready(P0);
        let call = Open {
            key: &key,
            ready: &ready,
        };
        let expected = self.model.open(&call);
        self.compare(&call, &expected).map(drop)
    }
}

fn hash(number: u64) -> KeyHash {
    VirtualKey::parse(format!("sk-{number}").as_bytes())
        .unwrap()
        .hash()
}

/// The last of the three has no entry.
fn hash_of_some_key(of: &KeyHash) -> bool {
    *of != hash(2)
}
