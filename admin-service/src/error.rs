//! Every refusal of the API, and the one place that gives each its status and LiteLLM's shape.
//!
//! Decides: status, `type`, `param` and the sentence that the caller reads. Leaves to the modules which refusal it is. Failure stance: what went
//! wrong inside is logged once, here, under a correlation id; the caller reads the id and nothing of the cause.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::request::Problem;
use crate::store::{Passing, StoreError};

pub mod refusal;

pub use refusal::{
    AccessRefusal, BudgetRefusal, GrantRefusal, InvitationRefusal, KeyRefusal, ModelRefusal,
    OrganizationRefusal, Refusal, RequestRefusal, SignInRefusal, SpendRefusal, TeamRefusal,
    UserRefusal,
};

/// Why a request is not answered as asked.
#[derive(Debug)]
pub enum ApiError {
    /// A rule said no.
    Refused(Refusal),
    /// Body or query do not have the shape: every problem found.
    Invalid(Vec<Problem>),
    /// The database did not do it.
    Store(StoreError),
    /// Something that must not happen; the text is for the log only.
    Broken(String),
}

impl ApiError {
    /// What the caller reads of it, where it is told inside an answer about several things. What is nobody's fault is no such thing.
    pub fn sentence(self) -> Result<String, Self> {
        match self {
            Self::Refused(refusal) => Ok(refusal.sentence()),
            Self::Invalid(problems) => {
                let all = problems.iter().map(Problem::to_json).collect::<Vec<_>>();
                Ok(Value::Array(all).to_string())
            }
            Self::Store(_) | Self::Broken(_) => Err(self),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}

impl ApiError {
    /// The sentence for whoever asked for several things at once; the error itself where it is none of theirs.
    pub fn reason(self) -> Result<String, Self> {
        match self {
            Self::Refused(refusal) => Ok(refusal.sentence()),
            Self::Invalid(problems) => {
                let all = problems.iter().map(|problem| problem.msg.as_str());
                Ok(all.collect::<Vec<_>>().join("; "))
            }
            other @ (Self::Store(_) | Self::Broken(_)) => Err(other),
        }
    }
}

impl Passing for ApiError {
    fn is_passing(&self) -> bool {
        match self {
            // A row that another transaction made in between is found when the work is repeated, and refused in words.
            Self::Store(error) => error.is_passing() || matches!(error, StoreError::Duplicate(_)),
            Self::Refused(_) | Self::Invalid(_) | Self::Broken(_) => false,
        }
    }
}

/// The shapes in which LiteLLM says no.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `{"error":{"message","type","param","code"}}`.
    Error {
        /// `error.type`.
        kind: &'static str,
        /// `error.param`.
        param: Option<String>,
        /// `error.message`.
        message: String,
    },
    /// `{"detail": …}`.
    Detail(Value),
}

/// A refusal as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Wire {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub shape: Shape,
}

impl Wire {
    /// `{"error":…}` with a type.
    pub fn error(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            shape: Shape::Error {
                kind,
                param: None,
                message: message.into(),
            },
        }
    }

    /// The same, naming the parameter at fault.
    pub fn param(
        status: StatusCode,
        kind: &'static str,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let shape = Shape::Error {
            kind,
            param: Some(param.into()),
            message: message.into(),
        };
        Self { status, shape }
    }

    /// LiteLLM prints a Python dictionary into the message where its handlers raise one.
    pub fn python(status: StatusCode, kind: &'static str, key: &str, message: &str) -> Self {
        let quote = if message.contains('\'') { '"' } else { '\'' };
        Self::error(
            status,
            kind,
            format!("{{'{key}': {quote}{message}{quote}}}"),
        )
    }

    /// `{"detail": "…"}`.
    pub fn detail(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            shape: Shape::Detail(Value::String(message.into())),
        }
    }

    /// `{"detail": {"error": "…"}}`.
    pub fn detail_error(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            shape: Shape::Detail(json!({ "error": message.into() })),
        }
    }
}

impl IntoResponse for Wire {
    fn into_response(self) -> Response {
        let body = match self.shape {
            Shape::Error {
                kind,
                param,
                message,
            } => json!({"error": {
                "message": message, "type": kind, "param": param,
                "code": self.status.as_u16().to_string(),
            }}),
            Shape::Detail(detail) => json!({ "detail": detail }),
        };
        (self.status, Json(body)).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => {
                let after = refusal.retry_after();
                let mut response = refusal.wire().into_response();
                if let Some(seconds) = after {
                    let seconds = HeaderValue::from(seconds);
                    response.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                response
            }
            Self::Invalid(problems) => {
                let detail: Vec<Value> = problems.iter().map(Problem::to_json).collect();
                (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    Json(json!({ "detail": detail })),
                )
                    .into_response()
            }
            Self::Store(StoreError::Repeated) => {
                Self::from(RequestRefusal::IdempotencyPending).into_response()
            }
            Self::Store(StoreError::Unavailable(why) | StoreError::Full(why)) => {
                let id = logged("the database is unavailable", &why);
                let mut response = internal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no_db_connection",
                    "The database is not available at the moment. Nothing was changed; try again.",
                    &id,
                );
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Self::Store(
                error @ (StoreError::Duplicate(_) | StoreError::Corrupt(_) | StoreError::Failed(_)),
            ) => broken(&error.to_string()),
            Self::Broken(why) => broken(&why),
        }
    }
}

fn broken(why: &str) -> Response {
    let id = logged("a request failed inside", why);
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    internal(
        status,
        "internal_server_error",
        "Internal server error",
        &id,
    )
}

fn logged(what: &'static str, why: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    tracing::error!(correlation_id = %id, why, "{what}");
    id
}

fn internal(status: StatusCode, kind: &'static str, message: &str, id: &str) -> Response {
    let mut response = Wire::error(status, kind, message).into_response();
    if let Ok(id) = HeaderValue::from_str(id) {
        response
            .headers_mut()
            .insert("x-tollkeeper-correlation-id", id);
    }
    response
}
