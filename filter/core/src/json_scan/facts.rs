//! What a scan found: small values, where they stand, and how much content of which kind there is.

/// Bytes `start..end` of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte after.
    pub end: usize,
}

/// A value and where its JSON text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value, decoded.
    pub value: T,
    /// Its JSON text, quotes included.
    pub span: Span,
}

/// `stream_options` as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamOptions {
    /// `null`.
    Null(Span),
    /// An object.
    Object {
        /// Offset just after the opening brace.
        open: usize,
        /// Whether it has no members.
        empty: bool,
        /// `include_usage`; `None` inside for `null`.
        include_usage: Option<Spanned<Option<bool>>>,
    },
}

/// Content by kind, over everything the model may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Bytes of text after decoding: message content, prompts, instructions, tool definitions (their JSON text whole), and string values of
    /// fields that we do not know.
    pub text_bytes: u64,
    /// Bytes of `prediction`, which providers may also bill as output.
    pub prediction_bytes: u64,
    /// Token ids given instead of text.
    pub token_ids: u64,
    /// Images asked for in low detail.
    pub images_low: u64,
    /// Images in any other or no stated detail.
    pub images: u64,
    /// Images asked for in their original size.
    pub images_original: u64,
    /// Base64 bytes of audio in a WAV container.
    pub wav_bytes: u64,
    /// Base64 bytes of other audio.
    pub audio_bytes: u64,
    /// Whether the request refers to content that is not in it, or whose token count its bytes do not bound: files, stored prompts,
    /// conversations, earlier responses, tools that the provider runs.
    pub hidden: bool,
}

/// Everything that a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// Length of the body.
    pub body_bytes: usize,
    /// Offset just after the opening brace.
    pub object_open: usize,
    /// Whether the object has no members.
    pub object_empty: bool,
    /// `model`, never empty.
    pub model: Option<Spanned<String>>,
    /// `stream`; absent and `null` are false.
    pub stream: bool,
    /// `stream_options`.
    pub stream_options: Option<StreamOptions>,
    /// `max_tokens`; no value inside for `null`.
    pub max_tokens: Option<Spanned<Option<u64>>>,
    /// `max_completion_tokens`, likewise.
    pub max_completion_tokens: Option<Spanned<Option<u64>>>,
    /// `max_output_tokens`, likewise.
    pub max_output_tokens: Option<Spanned<Option<u64>>>,
    /// `n`, at least 1.
    pub n: Option<u64>,
    /// `best_of`, at least 1.
    pub best_of: Option<u64>,
    /// How many separate inputs `input` or `prompt` holds: 1 for a string or one array of token ids, else the array's length.
    pub inputs: u64,
    /// Elements of `messages`, or of `input` where it is an array of items.
    pub messages: u64,
    /// Elements of `tools` and `functions`.
    pub tools: u64,
    /// How much content.
    pub content: Content,
    /// `user`.
    pub user: Option<String>,
    /// `safety_identifier`.
    pub safety_identifier: Option<String>,
    /// `metadata.user_id`, where it is a string.
    pub metadata_user_id: Option<String>,
    /// `litellm_metadata.user`, where it is a string.
    pub litellm_metadata_user: Option<String>,
    /// Strings of `metadata.tags` and `tags`, where they are arrays.
    pub tags: Vec<String>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// What concerns the gateway alone: `litellm_metadata`, `tags`, `mock_response` and the array `metadata.tags` as members with their commas,
    /// or `metadata` where it holds nothing else.
    pub ours: Vec<Span>,
}
