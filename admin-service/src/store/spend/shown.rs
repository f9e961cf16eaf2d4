//! What an object has spent, as its answers show it: in the current budget window, and ever.

use std::collections::{BTreeMap, BTreeSet};

use contract::money::NanoUsd;
use contract::redis_key::Partition;
use sqlx::AnyConnection;

use super::{ScopeKey, scopes, windows};
use crate::domain::budget_window::WindowRules;
use crate::store::StoreError;
use crate::store::outbox::Kind;

/// What an object has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// LiteLLM's `spend`: in the current budget window.
    pub spend: NanoUsd,
    /// LiteLLM's `total_spend`: ever.
    pub total: NanoUsd,
    /// When it was last charged, Redis time in ms: LiteLLM's `last_active`.
    pub last_ms: u64,
}

/// What these objects of a kind have spent, by object id as the outbox names it; absent ones have spent nothing.
pub async fn spent(
    connection: &mut AnyConnection,
    kind: Kind,
    object_ids: &[String],
    now_ms: u64,
    rules: &WindowRules,
) -> Result<BTreeMap<String, Spent>, StoreError> {
    let key = |object_id: &String| ScopeKey {
        kind,
        object_id: object_id.clone(),
        partition: Partition(0),
    };
    let asked = object_ids.iter().map(key).collect::<BTreeSet<_>>();
    let windows = windows::read(connection, &asked, rules).await?;
    let mut all: BTreeMap<String, Spent> = BTreeMap::new();
    for (scope, state) in scopes::read(connection, &asked).await? {
        let began = windows.start(&scope, now_ms);
        let sum = all.entry(scope.object_id).or_default();
        // A window that has ended since the last charge shows nothing spent, as the next admission will find it.
        let ended = state.window_end_ms > 0 && state.window_end_ms <= now_ms;
        if state.window_start_ms >= began && !ended {
            sum.spend = add(sum.spend, state.spent);
        }
        sum.total = add(sum.total, state.total);
        sum.last_ms = sum.last_ms.max(state.last_ms);
    }
    Ok(all)
}

fn add(sum: NanoUsd, more: NanoUsd) -> NanoUsd {
    sum.checked_add(more).unwrap_or(NanoUsd::MAX)
}
