//! The replies that the filter gives in the upstream's place. Decides status, LiteLLM's `type`, wording and headers of every refusal, in one
//! match; why a request is refused was decided before. Nothing internal is shown: no record, no Redis error, no other owner's data.

mod denial;

use serde_json::{Value, json};

use super::limit_text::python_time;
use super::refusal::{ModelList, Refusal, Unavailable};
use crate::effect::Effect;
use crate::metric::Metric;

/// A refusal before it is bytes.
struct Shape {
    status: u16,
    kind: &'static str,
    param: Option<String>,
    message: String,
    /// `x-tollkeeper-refusal`.
    reason: &'static str,
    metric: Metric,
    /// Whether LiteLLM answers `{"detail": …}` here; then both shapes are sent, for its clients and for OpenAI's.
    detail: bool,
    headers: Vec<(&'static str, String)>,
}

/// The reply to a request that is refused, and its count.
pub(crate) fn refuse(refusal: &Refusal, effects: &mut Vec<Effect>) {
    let shape = shape(refusal);
    effects.push(Effect::Measure(shape.metric, 1));
    let mut body = json!({"error": {
        "message": shape.message,
        "type": shape.kind,
        "param": shape.param,
        "code": shape.status.to_string(),
    }});
    if shape.detail
        && let Value::Object(body) = &mut body
    {
        body.insert("detail".to_owned(), Value::String(shape.message));
    }
    let mut headers = vec![(
        "x-tollkeeper-refusal".to_owned(),
        shape.reason.as_bytes().to_vec(),
    )];
    headers.extend(
        shape
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes())),
    );
    json_reply(shape.status, headers, &body, effects);
}

/// A reply with a JSON body.
pub(crate) fn json_reply(
    status: u16,
    mut headers: Vec<(String, Vec<u8>)>,
    body: &Value,
    effects: &mut Vec<Effect>,
) {
    headers.insert(0, ("content-type".to_owned(), b"application/json".to_vec()));
    effects.push(Effect::Reply {
        status,
        headers,
        body: body.to_string().into_bytes(),
    });
}

impl Shape {
    fn new(
        status: u16,
        kind: &'static str,
        reason: &'static str,
        metric: Metric,
        message: String,
    ) -> Self {
        Self {
            status,
            kind,
            param: None,
            message,
            reason,
            metric,
            detail: false,
            headers: Vec::new(),
        }
    }

    fn credential(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(401, kind, reason, Metric::RefusedCredential, message.into())
    }

    fn permission(kind: &'static str, reason: &'static str, message: String) -> Self {
        Self::new(403, kind, reason, Metric::RefusedPermission, message)
    }

    fn request(status: u16, reason: &'static str, message: String) -> Self {
        Self::new(
            status,
            "invalid_request_error",
            reason,
            Metric::RefusedRequest,
            message,
        )
    }

    fn param(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn with_detail(mut self) -> Self {
        self.detail = true;
        self
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one match shows status and wording of every refusal"
)]
fn shape(refusal: &Refusal) -> Shape {
    match refusal {
        Refusal::NoKey => {
            Shape::credential("auth_error", "no_key", "Authentication Error, No api key passed in.")
        }
        Refusal::MalformedKey => Shape::credential(
            "auth_error",
            "malformed_key",
            "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.",
        ),
        Refusal::NotAVirtualKey { shown } => Shape::credential(
            "auth_error",
            "not_a_virtual_key",
            format!("LiteLLM Virtual Key expected. Received={shown}, expected to start with 'sk-'."),
        ),
        Refusal::UnknownKey => Shape::credential(
            "token_not_found_in_db",
            "unknown_key",
            "Authentication Error, Invalid API key provided.",
        )
        .param("key"),
        Refusal::ConflictingKeys => Shape::new(
            400,
            "invalid_request_error",
            "conflicting_keys",
            Metric::RefusedCredential,
            "The request carries several credentials that differ; expected one, or the same one everywhere.".to_owned(),
        ),
        Refusal::KeyBlocked => Shape::credential(
            "auth_error",
            "key_blocked",
            "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
        ),
        Refusal::KeyExpired { expires_ms, now_ms, shown } => Shape::credential(
            "expired_key",
            "key_expired",
            format!(
                "Authentication Error - Expired Key. Key Expiry time {} and current time {}",
                python_time(*expires_ms),
                python_time(*now_ms)
            ),
        )
        .param(shown),
        Refusal::TeamBlocked { team } => Shape::credential(
            "auth_error",
            "team_blocked",
            format!("Authentication Error, Team={team} is blocked. Update via `/team/unblock` if you're an admin."),
        ),
        Refusal::UserBlocked { user } => Shape::credential(
            "auth_error",
            "user_blocked",
            format!("Authentication Error, User={user} is blocked. Update via `/user/unblock` if you're an admin."),
        ),
        Refusal::CustomerBlocked { customer } => Shape::permission(
            "auth_error",
            "customer_blocked",
            format!(
                "User blocked from making LLM API Calls. User={}. Unblock it via `/customer/unblock` if you're an admin.",
                shortened(customer)
            ),
        ),
        Refusal::OwnerGone => Shape::credential(
            "auth_error",
            "owner_gone",
            "Authentication Error, the user, team, membership or organization of this key was deleted.",
        ),
        Refusal::UnknownRoute => {
            Shape::new(404, "not_found_error", "unknown_route", Metric::RefusedRoute, "Not Found".to_owned())
                .with_detail()
        }
        Refusal::WrongMethod { expected } => Shape::new(
            405,
            "invalid_request_error",
            "wrong_method",
            Metric::RefusedRoute,
            "Method Not Allowed".to_owned(),
        )
        .header("allow", *expected)
        .with_detail(),
        Refusal::RouteNotAllowed { allowed, route } => Shape::permission(
            "auth_error",
            "route_not_allowed",
            format!(
                "Virtual key is not allowed to call this route. Only allowed to call routes: [{}]. Tried to call route: {route}",
                allowed.iter().map(|route| format!("'{route}'")).collect::<Vec<_>>().join(", ")
            ),
        )
        .with_detail(),
        Refusal::RoleMayNotCall => Shape::permission(
            "auth_error",
            "role_may_not_call",
            "user not allowed to access this OpenAI routes, role= proxy_admin_viewer".to_owned(),
        )
        .with_detail(),
        Refusal::MasterMayNotCall => Shape::permission(
            "auth_error",
            "master_may_not_call",
            "The master key is not allowed to call models; expected a virtual key.".to_owned(),
        ),
        Refusal::ModelNotAllowed { model, by } => {
            let (kind, reason) = match by {
                ModelList::Key => ("key_model_access_denied", "model_not_allowed_for_key"),
                ModelList::Team => ("team_model_access_denied", "model_not_allowed_for_team"),
                ModelList::Member => ("team_model_access_denied", "model_not_allowed_for_member"),
                ModelList::Organization => ("org_model_access_denied", "model_not_allowed_for_organization"),
                ModelList::User => ("user_model_access_denied", "model_not_allowed_for_user"),
                ModelList::Customer => ("customer_model_access_denied", "model_not_allowed_for_customer"),
            };
            let message = format!(
                "The requested model '{}' is not available for this API key, or the model name is invalid. Check the models available to you and try again.",
                shortened(model)
            );
            Shape::permission(kind, reason, message).param("model")
        }
        Refusal::UnknownModel { model } => {
            let model = shortened(model);
            let message = format!(
                "litellm.BadRequestError: You passed in model={model}. There are no healthy deployments for this model\n\nLiteLLM: model group '{model}' failed with the error above. No fallback was attempted."
            );
            Shape::request(400, "unknown_model", message)
        }
        Refusal::UnknownPrice { model } => Shape::request(
            400,
            "unknown_price",
            format!("The price of model '{}' is not known, and a budget applies to this request.", shortened(model)),
        )
        .param("model"),
        Refusal::NoOutputCap { field } => Shape::request(
            400,
            "no_output_cap",
            format!("Expected '{field}' in the request: this gateway serves no request without an output limit."),
        )
        .param(field),
        Refusal::TooMuchAsked => Shape::request(
            400,
            "too_much_asked",
            "The request asks for more output than can be counted; expected a smaller limit or fewer choices.".to_owned(),
        ),
        Refusal::TooManyScopes => Shape::request(
            400,
            "too_many_scopes",
            "The request counts in more limits than can be checked at once; expected fewer tags.".to_owned(),
        ),
        Refusal::NoModel => {
            Shape::request(400, "no_model", "Expected the field 'model' in the request body.".to_owned())
                .param("model")
        }
        Refusal::Body(error) => {
            Shape::request(error.status(), "invalid_body", error.to_string()).param(error.param())
        }
        Refusal::BodyTooLarge { limit } => Shape::request(
            413,
            "invalid_body",
            format!("Request body is too large: expected at most {limit} bytes."),
        )
        .param("request_body"),
        Refusal::ContentEncoding => Shape::request(
            415,
            "content_encoding",
            "Expected a request body without content-encoding; compressed bodies are not accepted.".to_owned(),
        ),
        Refusal::Denied(denied) => denial::shape(denied),
        Refusal::Unavailable(why) => unavailable(*why),
    }
}

/// Client-chosen text in a message stays short.
fn shortened(text: &str) -> &str {
    text.char_indices()
        .nth(200)
        .map_or(text, |(at, _)| text.get(..at).unwrap_or(text))
}

fn unavailable(why: Unavailable) -> Shape {
    let (reason, message) = match why {
        Unavailable::Store => (
            "store_failed",
            "The limiter's store does not answer. Try again shortly.",
        ),
        Unavailable::NotReady => (
            "not_ready",
            "The limiter is being restored. Try again shortly.",
        ),
        Unavailable::WentBack => (
            "store_went_back",
            "The limiter's store is out of date. Try again shortly.",
        ),
        Unavailable::Full => (
            "backlog_full",
            "Too many requests wait to be settled. Try again shortly.",
        ),
        Unavailable::TooManyTries => (
            "store_slow",
            "The limiter could not decide in time. Try again shortly.",
        ),
    };
    Shape::new(
        503,
        "limiter_unavailable",
        reason,
        Metric::Unavailable,
        message.to_owned(),
    )
    .header("retry-after", "1")
}

#[cfg(test)]
mod tests;
