//! An answer with what its caller should also know, in headers.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::openapi::schema::Told;

/// The header that names fields which nobody knows.
pub const IGNORED: &str = "x-tollkeeper-ignored-fields";

/// The header of a list that stops at a bound and has no page after it.
pub const TRUNCATED: Told = (
    "x-tollkeeper-truncated",
    "how many the answer has, where there are more: the newest of them",
);

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    body: Body,
    headers: HeaderMap,
}

#[derive(Debug)]
enum Body {
    Value(Value),
    /// JSON that is written already.
    Written(Vec<u8>),
    /// None at all.
    Nothing,
}

impl Answer {
    /// An answer with this body.
    pub fn new(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body: Body::Value(body),
            headers: HeaderMap::new(),
        }
    }

    /// An answer that is written at once: a large one would take many times its size as a [`Value`].
    pub fn written(body: &impl Serialize) -> Result<Self, ApiError> {
        let written =
            serde_json::to_vec(body).map_err(|error| ApiError::Broken(error.to_string()))?;
        Ok(Self {
            status: StatusCode::OK,
            body: Body::Written(written),
            headers: HeaderMap::new(),
        })
    }

    /// It was done, and there is nothing to say.
    pub fn nothing() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: Body::Nothing,
            headers: HeaderMap::new(),
        }
    }

    /// Another status of success than 200.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Names the fields that nobody knows.
    #[must_use]
    pub fn ignoring(self, fields: &[String]) -> Self {
        self.naming(IGNORED, fields.iter().map(String::as_str))
    }

    /// Names the fields that are kept and echoed but bind nobody.
    #[must_use]
    pub fn unenforced<'a>(self, fields: impl Iterator<Item = &'a str>) -> Self {
        self.naming("x-tollkeeper-unenforced-fields", fields)
    }

    /// Says that the change is stored but has not reached the gateways.
    #[must_use]
    pub fn published(mut self, published: bool) -> Self {
        if !published {
            let told = HeaderValue::from_static(
                "stored; not published yet, gateways follow when Redis answers",
            );
            self.headers.insert("x-tollkeeper-warning", told);
        }
        self
    }

    /// Says something that its caller should know.
    #[must_use]
    pub fn warning(mut self, told: &'static str) -> Self {
        self.headers
            .insert("x-tollkeeper-warning", HeaderValue::from_static(told));
        self
    }

    /// Says that the answer has only so many, the newest.
    #[must_use]
    pub fn truncated(mut self, shown: usize) -> Self {
        self.headers.insert(TRUNCATED.0, HeaderValue::from(shown));
        self
    }

    /// Keeps a secret out of caches.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self
    }

    fn naming<'a>(mut self, name: &'static str, fields: impl Iterator<Item = &'a str>) -> Self {
        if let Some(value) = listing(fields) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// These names as a header's value; `None`: there are none. A field's name comes from the caller: what no header can hold is shown as `?`.
pub fn listing<'a>(fields: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let shown = fields
        .map(|field| {
            let visible = |letter: char| {
                if letter.is_ascii_graphic() && letter != ',' {
                    letter
                } else {
                    '?'
                }
            };
            field.chars().take(64).map(visible).collect::<String>()
        })
        .take(32)
        .collect::<Vec<_>>()
        .join(",");
    HeaderValue::from_str(&shown)
        .ok()
        .filter(|value| !value.is_empty())
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self.body {
            Body::Value(body) => (self.status, self.headers, Json(body)).into_response(),
            Body::Written(body) => {
                const JSON: [(header::HeaderName, &str); 1] =
                    [(header::CONTENT_TYPE, "application/json")];
                (self.status, JSON, self.headers, body).into_response()
            }
            Body::Nothing => (self.status, self.headers).into_response(),
        }
    }
}
