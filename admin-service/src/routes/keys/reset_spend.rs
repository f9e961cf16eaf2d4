//! `POST /key/{key}/reset_spend`.

use axum::body::Bytes;
use axum::extract::{Path, State};
use contract::id::KeyId;
use contract::money::NanoUsd;
use contract::redis_key::RecordId;
use serde_json::{Value, json};

use super::{PUBLISH_WAIT, grant, ownership};
use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::{ApiError, KeyRefusal, RequestRefusal};
use crate::openapi::schema::{NUMBER, NUMBER_OR_NULL, Record, TEXT, TEXT_OR_NULL};
use crate::policy::{Authorized, KeyResetSpend};
use crate::request::{Body, Field, Problem, RESET_SPEND, Type};
use crate::routes::answer::Answer;
use crate::routes::shape::{Times, dollars, maybe_dollars};
use crate::store::audit::{self, record};
use crate::store::keys::{self, KeyRow, token_of};
use crate::store::outbox::Kind;
use crate::store::row::LimitColumns;
use crate::store::spend::{Reset, reset};
use crate::store::{Change, Tx};

/// The answer.
pub static RESET: Record = Record::new(
    "KeySpendReset",
    &[
        ("key_hash", TEXT),
        ("spend previous_spend", NUMBER),
        ("max_budget", NUMBER_OR_NULL),
        ("budget_reset_at", TEXT_OR_NULL),
    ],
);

/// Sets back what a key has spent in its budget window, and empties its further windows; requests in flight are charged as ever.
pub async fn reset_spend(
    State(app): State<App>,
    by: Authorized<KeyResetSpend>,
    Path(named): Path<String>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let body = Body::parse(&bytes, RESET_SPEND)?;
    let to = amount(body.get("reset_to").cloned().unwrap_or_default())?;
    let settings = app.settings();
    let change = ResetSpend {
        by: &by,
        token: token_of(&named),
        to,
        rules: &settings.windows,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let (key, limits, before) = done.value;
    let reset_at = limits.reset_at(app.store.clock().now_us(), &settings.windows);
    Ok(Answer::new(json!({
        "key_hash": key.token,
        "spend": dollars(to),
        "previous_spend": dollars(before),
        "max_budget": maybe_dollars(limits.max_budget),
        "budget_reset_at": Times::Z.maybe(reset_at),
    }))
    .ignoring(&body.ignored)
    .published(published))
}

/// The amount of `reset_to`.
pub(in crate::routes) fn amount(value: Value) -> Result<NanoUsd, ApiError> {
    const FIELD: Field = Field::required("reset_to", Type::Number);
    if value.is_boolean() {
        let msg = "Value error, reset_to must be a number, not a boolean";
        return Err(Problem::body("value_error", FIELD.name, msg).into());
    }
    let number = FIELD.read(value).map_err(ApiError::Invalid)?.to_string();
    if number.starts_with('-') {
        return Err(KeyRefusal::ResetBelowZero.into());
    }
    NanoUsd::parse(&number).map_err(|_| RequestRefusal::BudgetTooLarge("reset_to").into())
}

struct ResetSpend<'a> {
    by: &'a Authorized<KeyResetSpend>,
    token: String,
    to: NanoUsd,
    rules: &'a WindowRules,
}

impl Change for ResetSpend<'_> {
    /// The key, its limits, and what it had spent.
    type Answer = (KeyRow, LimitColumns, NanoUsd);
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Self::Answer, ApiError> {
        let found = keys::lock(tx, keys::Which::Token(&self.token)).await?;
        let key = found.ok_or(KeyRefusal::KeyMissing)?;
        if !self.by.is_admin() {
            ownership::may_reset_spend(tx.connection(), &self.by.caller, &key).await?;
        }
        let done = reset(tx, self.by, Kind::Key, &key.key_id, self.to, self.rules).await?;
        let before = match done {
            Reset::From(before) => before,
            Reset::Less(spent) => {
                let (asked, spent) = (self.to.to_string(), spent.to_string());
                return Err(KeyRefusal::ResetAboveSpend { asked, spent }.into());
            }
        };
        // As in LiteLLM, further windows begin at nothing whatever `reset_to` is: a key that was set back is not stuck on its day's budget.
        let own = RecordId::key(&KeyId::new(key.key_id.as_str()));
        for duration in grant::further::windows(&key).durations() {
            let window = own.window(duration);
            let none = NanoUsd::ZERO;
            reset(tx, self.by, Kind::Scope, window.as_str(), none, self.rules).await?;
        }
        let change = audit::Change {
            action: "updated",
            table: audit::KEYS,
            object_id: &key.token,
            before: Some(json!({"spend": before.get()})),
            after: Some(json!({"spend": self.to.get()})),
        };
        record(tx, self.by, change).await?;
        let limits = grant::limits_of(tx.connection(), &key).await?;
        Ok((key, limits, before))
    }
}
