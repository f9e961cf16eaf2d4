//! The top-level fields that we read, and how a key is taken for one of them.

use super::error::BodyError;

macro_rules! fields {
    ($($variant:ident = $name:literal, $expected:literal;)*) => {
        /// A top-level field that means something to us.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field {
            $($variant,)*
        }

        impl Field {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What its value must be, in words.
            pub(super) const fn expected(self) -> &'static str {
                match self {
                    $(Self::$variant => $expected,)*
                }
            }

            fn named(name: &[u8]) -> Option<Self> {
                $(if name == $name.as_bytes() {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

fields! {
    Model = "model", "a string of 1 to 256 bytes";
    Messages = "messages", "an array";
    Stream = "stream", "true, false or null";
    StreamOptions = "stream_options", "an object or null";
    MaxTokens = "max_tokens", "an integer from 0 to 2147483647, or null";
    MaxCompletionTokens = "max_completion_tokens", "an integer from 0 to 2147483647, or null";
    MaxOutputTokens = "max_output_tokens", "an integer from 0 to 2147483647, or null";
    N = "n", "an integer from 1 to 1024, or null";
    BestOf = "best_of", "an integer from 1 to 1024, or null";
    Input = "input", "a string or an array";
    Prompt = "prompt", "a string or an array";
    Instructions = "instructions", "a string or an array";
    System = "system", "a string or an array";
    Suffix = "suffix", "a string";
    Prediction = "prediction", "an object";
    Tools = "tools", "an array";
    Functions = "functions", "an array";
    User = "user", "a string of at most 1024 bytes, or null";
    SafetyIdentifier = "safety_identifier", "a string of at most 1024 bytes, or null";
    Metadata = "metadata", "an object or null";
    LitellmMetadata = "litellm_metadata", "an object or null";
    Tags = "tags", "an array of at most 64 strings of at most 256 bytes each";
    MockResponse = "mock_response", "anything: it is left out";
    ServiceTier = "service_tier", "a string of at most 32 bytes, or null";
    PreviousResponseId = "previous_response_id", "a string or null";
    Conversation = "conversation", "a string, an object or null";
    WebSearchOptions = "web_search_options", "an object or null";
    Background = "background", "false or null, because a background answer cannot be metered";
    ApiBase = "api_base", "nothing";
    BaseUrl = "base_url", "nothing";
    ApiKey = "api_key", "nothing";
    UserConfig = "user_config", "nothing";
}

impl Field {
    /// The value is something else.
    pub(super) const fn wrong(self) -> BodyError {
        BodyError::Wrong {
            field: self.name(),
            expected: self.expected(),
        }
    }
}

/// Containers at top level that no model reads.
const UNREAD: &[&[u8]] = &[
    b"audio",
    b"include",
    b"logit_bias",
    b"modalities",
    b"reasoning",
    b"stop",
];

/// What a top-level key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopKey {
    /// A field that we read.
    Field(Field),
    /// A field that no model reads.
    Unread,
    /// Anything else: its content may be read.
    Other,
}

/// Which fields have been seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen(u64);

impl Seen {
    /// Takes a key for a field, at most once, and only in its own spelling: a provider that ignores case would read the others too.
    pub(super) fn take(&mut self, key: &[u8]) -> Result<TopKey, BodyError> {
        if let Some(field) = Field::named(key) {
            let bit = 1_u64.wrapping_shl(field as u32);
            if self.0 & bit != 0 {
                return Err(BodyError::Duplicate {
                    field: field.name(),
                });
            }
            self.0 |= bit;
            return match field {
                Field::ApiBase | Field::BaseUrl | Field::ApiKey | Field::UserConfig => {
                    Err(BodyError::RoutingOverride {
                        field: field.name(),
                    })
                }
                _ => Ok(TopKey::Field(field)),
            };
        }
        if let Some(field) = Field::ALL
            .iter()
            .find(|field| differs_in_case(key, field.name()))
        {
            return Err(BodyError::WrongCase {
                field: field.name(),
            });
        }
        Ok(if UNREAD.contains(&key) {
            TopKey::Unread
        } else {
            TopKey::Other
        })
    }
}

/// Whether `key` is `name` but for case. Two letters outside ASCII fold to ASCII ones: the long s and the Kelvin sign.
pub(super) fn differs_in_case(key: &[u8], name: &str) -> bool {
    let folding = |byte: &u8| byte.is_ascii_uppercase() || !byte.is_ascii();
    if !key.iter().any(folding) {
        return false;
    }
    let Ok(key) = std::str::from_utf8(key) else {
        return false;
    };
    key.chars()
        .map(|letter| match letter {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            letter => letter.to_ascii_lowercase(),
        })
        .eq(name.chars())
}
