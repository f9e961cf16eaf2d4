//! Ids of reservations and of this worker: 128 and 64 bits nobody can guess or repeat.
//!
//! Each is the start of SHA-256 over a secret seed that the host's generator made for this VM, a purpose, and a counter. SHA-256 is already in
//! the module, one block costs about a microsecond, and a keyed hash of distinct inputs is as unpredictable as a stream cipher's output.

use contract::id::ReservationId;
use sha2::{Digest, Sha256};

use crate::clock::Now;

/// Draws ids.
pub struct IdSource {
    seed: [u8; 16],
    drawn: u64,
}

impl IdSource {
    /// `seed`: 16 bytes from a cryptographic generator, different in every VM.
    pub fn new(seed: [u8; 16]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A fresh id. The time is hashed along, so that even a VM that was handed a used seed repeats nothing.
    pub fn reservation(&mut self, now: Now) -> ReservationId {
        self.drawn = self.drawn.wrapping_add(1);
        ReservationId::from_bytes(self.draw(b'r', self.drawn, now))
    }

    /// A name for the settlements of this worker, 16 hexadecimal digits. Another for every `epoch`.
    pub fn worker(&self, epoch: u64, now: Now) -> String {
        let id = ReservationId::from_bytes(self.draw(b'w', epoch, now)).to_string();
        id.chars().take(16).collect()
    }

    fn draw(&self, purpose: u8, number: u64, now: Now) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update([purpose]);
        hash.update(number.to_le_bytes());
        hash.update(now.0.to_le_bytes());
        let mut id = [0; 16];
        id.iter_mut()
            .zip(hash.finalize())
            .for_each(|(id, byte)| *id = byte);
        id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_within_and_between_workers() {
        let mut seen = HashSet::new();
        for seed in 0..4 {
            let mut source = IdSource::new([seed; 16]);
            for at in 0..100 {
                assert!(seen.insert(source.reservation(Now(at / 10))));
            }
        }
    }

    #[test]
    fn a_worker_has_sixteen_digits_and_another_name_in_every_epoch() {
        let source = IdSource::new([7; 16]);
        assert_eq!(source.worker(0, Now(1)).len(), 16);
        assert_ne!(source.worker(0, Now(1)), source.worker(1, Now(1)));
    }
}
