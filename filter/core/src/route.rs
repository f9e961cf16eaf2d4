//! Which requests the filter knows. Deny by default: a path that the table lacks goes nowhere, so no spelling of a metered path can slip past
//! metering. Decides nothing about who may call a route.

/// What a metered request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
}

impl Api {
    /// LiteLLM's `call_type` in the spend log.
    pub const fn call_type(self) -> &'static str {
        match self {
            Self::ChatCompletions => "acompletion",
            Self::Completions => "atext_completion",
            Self::Embeddings => "aembedding",
            Self::Responses => "aresponses",
        }
    }
}

/// What to do with a method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Authenticate, admit, send upstream, meter, settle.
    Metered {
        /// The path of the table.
        path: &'static str,
        /// What it speaks.
        api: Api,
    },
    /// Authenticate and answer from the key's record.
    ListModels {
        /// The path of the table.
        path: &'static str,
    },
    /// The path is known, the method is not; this one would be.
    WrongMethod(&'static str),
    /// Nothing we know.
    Unknown,
}

enum Target {
    Metered(Api),
    ListModels,
}

const TABLE: &[(&str, &str, Target)] = &[
    (
        "POST",
        "/v1/chat/completions",
        Target::Metered(Api::ChatCompletions),
    ),
    (
        "POST",
        "/chat/completions",
        Target::Metered(Api::ChatCompletions),
    ),
    ("POST", "/v1/completions", Target::Metered(Api::Completions)),
    ("POST", "/completions", Target::Metered(Api::Completions)),
    ("POST", "/v1/embeddings", Target::Metered(Api::Embeddings)),
    ("POST", "/embeddings", Target::Metered(Api::Embeddings)),
    ("POST", "/v1/responses", Target::Metered(Api::Responses)),
    ("POST", "/responses", Target::Metered(Api::Responses)),
    ("GET", "/v1/models", Target::ListModels),
    ("GET", "/models", Target::ListModels),
];

impl Route {
    /// Looks up exactly `path` (without query); no spelling is normalised here, Envoy has done what may be done.
    pub fn of(method: &[u8], path: &[u8]) -> Self {
        let Some((expected, path, target)) =
            TABLE.iter().find(|(_, known, _)| known.as_bytes() == path)
        else {
            return Self::Unknown;
        };
        if expected.as_bytes() != method {
            return Self::WrongMethod(expected);
        }
        match target {
            Target::Metered(api) => Self::Metered { path, api: *api },
            Target::ListModels => Self::ListModels { path },
        }
    }
}

/// A `:path` without its query, and the query.
pub fn split_query(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => match path.split_at_checked(at) {
            Some((path, query)) => (path, query.get(1..)),
            None => (path, None),
        },
        None => (path, None),
    }
}
