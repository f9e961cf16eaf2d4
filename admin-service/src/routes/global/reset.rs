//! `POST /global/spend/reset`: keys and teams begin anew, for the master key alone.

use std::collections::BTreeMap;

use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::json;

use crate::app::App;
use crate::domain::budget_window::WindowRules;
use crate::error::ApiError;
use crate::openapi::schema::{Record, TEXT};
use crate::policy::{Authorized, GlobalSpendReset};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::audit::{self, record};
use crate::store::outbox::Kind;
use crate::store::reports::spent_after;
use crate::store::spend::{Reset, reset as take_back};
use crate::store::{Change, Tx};

/// The answer.
pub static RESET: Record = Record::new("GlobalSpendReset", &[("message status", TEXT)]);

/// Objects of one transaction: the ledger waits meanwhile.
const BATCH: u32 = 100;

/// What is set back: kinds of objects, the pattern of their names, and the table that the audit log names. Further windows are scopes of
/// their own, which their owner's name begins.
const WHAT: [(Kind, &str, &str); 4] = [
    (Kind::Key, "%", audit::KEYS),
    (Kind::Scope, "k:%~w:%", audit::KEYS),
    (Kind::Team, "%", audit::TEAMS),
    (Kind::Scope, "t:%~w:%", audit::TEAMS),
];

/// Sets back what every key and team has spent in its budget windows. What they ever spent, and every report, stays.
pub async fn reset(
    State(app): State<App>,
    by: Authorized<GlobalSpendReset>,
) -> Result<Answer, ApiError> {
    let settings = app.settings();
    // Rows of the outbox are published in their order: who waits for the last waited for all.
    let mut last = Vec::new();
    for (kind, pattern, table) in WHAT {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let some = ResetSome {
                by: &by,
                kind,
                pattern,
                table,
                after: from,
                rules: &settings.windows,
            };
            let done = app.store.write(&some).await?;
            if !done.outbox.is_empty() {
                last = done.outbox;
            }
            after = done.value;
        }
    }
    let published = app.store.wait_published(&last, PUBLISH_WAIT).await;
    Ok(Answer::new(json!({
        "message": "Spend for all API Keys and Teams reset successfully",
        "status": "success",
    }))
    .published(published))
}

struct ResetSome<'a> {
    by: &'a Authorized<GlobalSpendReset>,
    kind: Kind,
    pattern: &'static str,
    table: &'static str,
    after: String,
    rules: &'a WindowRules,
}

impl Change for ResetSome<'_> {
    /// The last object, if there may be more.
    type Answer = Option<String>;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Option<String>, ApiError> {
        let connection = tx.connection();
        let objects = spent_after(connection, self.kind, self.pattern, &self.after, BATCH).await?;
        let mut before = BTreeMap::new();
        for object in &objects {
            let done = take_back(tx, self.by, self.kind, object, NanoUsd::ZERO, self.rules).await?;
            if let Reset::From(spent) = done {
                before.insert(object, spent.get());
            }
        }
        if !before.is_empty() {
            let change = audit::Change {
                action: "updated",
                table: self.table,
                object_id: "*",
                before: Some(json!({ "spend": before })),
                after: Some(json!({"spend": 0})),
            };
            record(tx, self.by, change).await?;
        }
        let full = objects.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
        Ok(objects.into_iter().next_back().filter(|_| full))
    }
}
