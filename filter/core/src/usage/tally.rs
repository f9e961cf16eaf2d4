//! What the documents of one answer add up to.

use contract::usage::{Metered, Usage};

use super::Outcome;

/// Largest count that is believed: no model reads or writes a billion tokens at once.
const MOST_TOKENS: u64 = 1_000_000_000;

/// A count that a usage object states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Prompt,
    Completion,
    Total,
    Cached,
    CacheWritten,
    AudioIn,
    ImageIn,
    Reasoning,
    AudioOut,
}

/// One usage object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    stated: [Option<u64>; 9],
    odd: bool,
}

impl Counts {
    /// Takes a number's text. A negative, fractional or absurd one spoils the whole object.
    pub(super) fn take(&mut self, count: Count, digits: &[u8]) {
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        match (
            number.filter(|number| *number <= MOST_TOKENS),
            self.stated.get_mut(count as usize),
        ) {
            (Some(number), Some(slot)) => *slot = Some(number),
            _ => self.odd = true,
        }
    }

    /// A count was no number.
    pub(super) fn spoil(&mut self) {
        self.odd = true;
    }

    fn get(&self, count: Count) -> Option<u64> {
        self.stated.get(count as usize).copied().flatten()
    }

    /// As disjoint kinds. `Err` for an object that cannot be believed, `Ok(None)` for one that states nothing.
    pub(super) fn usage(&self) -> Result<Option<Usage>, ()> {
        if self.odd {
            return Err(());
        }
        let Some(prompt) = self.get(Count::Prompt) else {
            return Ok(None);
        };
        let completion = self.get(Count::Completion).unwrap_or(0);
        // Some providers count reasoning in the total alone.
        let stated = prompt.saturating_add(completion);
        let beside = self.get(Count::Total).unwrap_or(0).saturating_sub(stated);
        let completion = completion.saturating_add(beside);
        let part = |count, of: &mut u64| {
            let part = self.get(count).unwrap_or(0).min(*of);
            *of = of.saturating_sub(part);
            part
        };
        // Details that overlap: cached first, the other kinds from what is left.
        let mut input = prompt;
        let cache_read = part(Count::Cached, &mut input);
        let cache_write = part(Count::CacheWritten, &mut input);
        let audio_input = part(Count::AudioIn, &mut input);
        let image_input = part(Count::ImageIn, &mut input);
        let mut output = completion;
        let audio_output = part(Count::AudioOut, &mut output);
        let reasoning = self
            .get(Count::Reasoning)
            .unwrap_or(0)
            .max(beside)
            .min(output);
        output = output.saturating_sub(reasoning);
        Ok(Some(Usage {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h: 0,
            audio_input,
            audio_output,
            image_input,
            reasoning,
        }))
    }
}

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    usage: Option<Usage>,
    /// Nothing is written after the last count.
    pub(super) last: bool,
    /// Bytes of text delivered.
    pub(super) delivered: u64,
    /// The answer's id.
    pub(super) id: Option<String>,
    /// The tier it was served in.
    pub(super) tier: Option<String>,
    /// It says that it failed.
    pub(super) failed: bool,
    /// Writing has ended, so that the next count is the last one.
    pub(super) written: bool,
}

impl Tally {
    /// A usage object is complete: it takes the place of those before it.
    pub(super) fn count(&mut self, counts: &Counts) {
        match counts.usage() {
            Ok(None) => {}
            Ok(usage) => (self.usage, self.last) = (usage, false),
            Err(()) => self.usage = None,
        }
    }

    /// Nothing is written any more: the count that was seen is the last one.
    pub(super) fn ended(&mut self) {
        self.written = true;
        self.last = true;
    }

    pub(super) fn outcome(&self, whole: bool) -> Outcome {
        let metered = self.usage.map(|usage| {
            if whole || self.last {
                Metered::Exact(usage)
            } else {
                Metered::AtLeast(usage)
            }
        });
        Outcome {
            metered,
            delivered_bytes: self.delivered,
            body_bytes: 0,
            response_id: self.id.clone(),
            service_tier: self.tier.clone(),
            failed: self.failed,
        }
    }
}
