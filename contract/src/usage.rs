//! What a request consumed, by kind.

use serde::{Deserialize, Serialize};

/// Counts of what a request consumed. The kinds are disjoint: `input` excludes cached, cache-written, audio and image tokens,
/// `output` excludes reasoning and audio tokens, so that a cost is a plain sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Text tokens read at the full price.
    #[serde(rename = "i", skip_serializing_if = "zero")]
    pub input: u64,
    /// Text tokens written.
    #[serde(rename = "o", skip_serializing_if = "zero")]
    pub output: u64,
    /// Input tokens read from a provider's prompt cache.
    #[serde(rename = "cr", skip_serializing_if = "zero")]
    pub cache_read: u64,
    /// Input tokens written to a prompt cache (five-minute entry where a provider knows several).
    #[serde(rename = "cw", skip_serializing_if = "zero")]
    pub cache_write: u64,
    /// Input tokens written to a one-hour prompt cache.
    #[serde(rename = "ch", skip_serializing_if = "zero")]
    pub cache_write_1h: u64,
    /// Audio tokens read.
    #[serde(rename = "ai", skip_serializing_if = "zero")]
    pub audio_input: u64,
    /// Audio tokens written.
    #[serde(rename = "ao", skip_serializing_if = "zero")]
    pub audio_output: u64,
    /// Image tokens read.
    #[serde(rename = "ii", skip_serializing_if = "zero")]
    pub image_input: u64,
    /// Reasoning tokens written.
    #[serde(rename = "r", skip_serializing_if = "zero")]
    pub reasoning: u64,
}

// On 32-bit targets a u64 is not trivial to copy.
#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )
)]
fn zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// All tokens read, of every kind: LiteLLM's `prompt_tokens`. Saturates.
    pub fn prompt_tokens(&self) -> u64 {
        [
            self.cache_read,
            self.cache_write,
            self.cache_write_1h,
            self.audio_input,
            self.image_input,
        ]
        .into_iter()
        .fold(self.input, u64::saturating_add)
    }

    /// All tokens written, of every kind: LiteLLM's `completion_tokens`. Saturates.
    pub fn completion_tokens(&self) -> u64 {
        self.output
            .saturating_add(self.reasoning)
            .saturating_add(self.audio_output)
    }

    /// Read and written: what a tpm limit counts. Saturates.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens()
            .saturating_add(self.completion_tokens())
    }
}

/// Whether a usage is the provider's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    /// The provider reported it.
    Exact(Usage),
    /// The provider did not; this much was seen.
    AtLeast(Usage),
}

impl Metered {
    /// The counts, exact or not.
    pub const fn usage(&self) -> &Usage {
        match self {
            Self::Exact(usage) | Self::AtLeast(usage) => usage,
        }
    }
}
