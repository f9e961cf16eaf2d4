//! Crossings of soft budgets, and of shares of budgets, marked once.
//!
//! Decides: when a crossing is new. A soft budget is marked once in each budget window (and anew when it is changed), a share of a budget once
//! in 24 hours. Failure stance: a mark and what is told by mail are written in the transaction that writes the spend, so a repeat of the
//! batch, or a crash, marks nothing twice and forgets nothing.

use std::collections::BTreeMap;

use contract::money::NanoUsd;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::parts::{LONGEST, padded, tuples};
use super::{ScopeKey, ScopeState};
use crate::domain::temporary_budget;
use crate::settings::CustomerDefault;
use crate::store::budgets::Temporary;
use crate::store::mail_events::{self, MailKind};
use crate::store::outbox::{
    Kind, member_object, parse_member_object, placeholders, signed, unsigned,
};
use crate::store::row;
use crate::store::{StoreError, Tx};

mod named;

/// Metadata of a key, team or user: share of the budget in percent → addresses to tell.
const ALERT_EMAILS: &str = "max_budget_alert_emails";
/// The share that is told where nothing says which.
const SHARE: u64 = 80;
/// A share is told once in this time.
const AGAIN_US: u64 = 86_400_000_000;
/// The mark of a soft budget.
const SOFT: &str = "soft";

const KEYS: &str = "SELECT k.key_id AS object_id, b.soft_budget, COALESCE(k.max_budget, b.max_budget) AS max_budget, \
     k.metadata, k.key_alias AS alias FROM virtual_keys k LEFT JOIN budgets b ON b.budget_id = k.budget_id \
     WHERE (b.soft_budget IS NOT NULL OR COALESCE(k.max_budget, b.max_budget) IS NOT NULL) AND k.key_id IN";
const USERS: &str = "SELECT user_id AS object_id, CAST(NULL AS BIGINT) AS soft_budget, max_budget, metadata, \
     user_alias AS alias FROM users WHERE max_budget IS NOT NULL AND user_id IN";
const TEAMS: &str = "SELECT team_id AS object_id, soft_budget, max_budget, metadata, team_alias AS alias FROM teams \
     WHERE (soft_budget IS NOT NULL OR max_budget IS NOT NULL) AND team_id IN";
const ORGANIZATIONS: &str = "SELECT o.organization_id AS object_id, b.soft_budget, b.max_budget, o.metadata, \
     o.organization_alias AS alias FROM organizations o JOIN budgets b ON b.budget_id = o.budget_id \
     WHERE (b.soft_budget IS NOT NULL OR b.max_budget IS NOT NULL) AND o.organization_id IN";
const MEMBERS: &str = "SELECT m.team_id, m.user_id, b.soft_budget, b.max_budget, b.temp_budget_increase, \
     b.temp_budget_expiry, '{}' AS metadata, \
     CAST(NULL AS TEXT) AS alias FROM team_members m JOIN budgets b ON b.budget_id = m.budget_id \
     WHERE (b.soft_budget IS NOT NULL OR b.max_budget IS NOT NULL) AND (m.team_id, m.user_id) IN (VALUES";
/// What a scope is watched for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Watched {
    soft: Option<NanoUsd>,
    max: Option<NanoUsd>,
    /// Share in percent → addresses.
    shares: BTreeMap<u64, Value>,
    alias: Option<String>,
}

/// A crossing.
#[derive(Clone, Debug, PartialEq)]
struct Crossed {
    kind: MailKind,
    mark: String,
    threshold: NanoUsd,
    share: Option<(u64, Value)>,
}

impl Watched {
    fn read(row: &AnyRow, now_us: u64) -> Result<Self, StoreError> {
        let metadata: Value = row::json(row, "metadata")?;
        let max = row::number(row, "max_budget")?.map(NanoUsd::saturating);
        let shares = metadata.get(ALERT_EMAILS).and_then(Value::as_object);
        let shares = shares.into_iter().flatten().filter_map(|(share, emails)| {
            let share = share.parse::<u64>().ok()?;
            (1..=100).contains(&share).then(|| (share, emails.clone()))
        });
        let mut shares = shares.collect::<BTreeMap<_, _>>();
        if shares.is_empty() {
            shares.insert(SHARE, Value::Null);
        }
        let mut watched = Self {
            soft: row::number(row, "soft_budget")?.map(NanoUsd::saturating),
            max,
            shares,
            alias: row.try_get("alias")?,
        };
        watched.raise(temporary_budget::increase(&metadata, now_us).unwrap_or_default());
        Ok(watched)
    }

    /// Adds a temporary increase to the budget.
    fn raise(&mut self, increase: NanoUsd) {
        self.max = self
            .max
            .map(|max| max.checked_add(increase).unwrap_or(NanoUsd::MAX));
    }

    /// What a scope that spent so much has crossed.
    fn crossed(&self, spent: NanoUsd) -> Vec<Crossed> {
        let mut all = Vec::new();
        if let Some(soft) = self.soft.filter(|soft| spent >= *soft) {
            all.push(Crossed {
                kind: MailKind::SoftBudgetCrossed,
                mark: SOFT.to_owned(),
                threshold: soft,
                share: None,
            });
        }
        if let Some(max) = self.max.filter(|max| spent < *max) {
            let reached = |share: u64| {
                u128::from(spent.get()) * 100 >= u128::from(max.get()) * u128::from(share)
            };
            let shares = self.shares.iter().filter(|(share, _)| reached(**share));
            all.extend(shares.map(|(share, emails)| Crossed {
                kind: MailKind::BudgetAlert,
                mark: format!("share:{share}"),
                threshold: max,
                share: Some((*share, emails.clone())),
            }));
        }
        all
    }
}

/// Marks what these scopes, and these tags, have crossed, and has it told.
pub(super) async fn mark(
    tx: &mut Tx,
    scopes: &BTreeMap<ScopeKey, ScopeState>,
    tags: &BTreeMap<String, i64>,
    default: &CustomerDefault,
) -> Result<(), StoreError> {
    for kind in [
        Kind::Key,
        Kind::User,
        Kind::Team,
        Kind::Member,
        Kind::Organization,
    ] {
        let spent = spent_by(scopes, kind);
        let objects = spent.keys().cloned().collect::<Vec<_>>();
        for objects in objects.chunks(LONGEST) {
            for (object_id, watched) in watched(tx, kind, objects).await? {
                let Some(state) = spent.get(&object_id) else {
                    continue;
                };
                note(tx, (kind.as_str(), &object_id), &watched, state).await?;
            }
        }
    }
    named::mark(tx, scopes, tags, default).await
}

/// The scopes of a kind that have spent anything.
fn spent_by(scopes: &BTreeMap<ScopeKey, ScopeState>, kind: Kind) -> BTreeMap<String, ScopeState> {
    let spent = scopes
        .iter()
        .filter(|(scope, state)| scope.kind == kind && state.spent > NanoUsd::ZERO);
    let spent = spent.map(|(scope, state)| (scope.object_id.clone(), *state));
    spent.collect()
}

/// Marks what `object` (kind and id) has crossed, once, and has it told.
async fn note(
    tx: &mut Tx,
    object: (&str, &str),
    watched: &Watched,
    state: &ScopeState,
) -> Result<(), StoreError> {
    for crossed in watched.crossed(state.spent) {
        if is_new(tx, object, &crossed, state.window_start_ms).await? {
            let payload = payload(object, watched, &crossed, state);
            mail_events::add(tx, crossed.kind, object.1, &payload).await?;
        }
    }
    Ok(())
}

async fn watched(
    tx: &mut Tx,
    kind: Kind,
    objects: &[String],
) -> Result<Vec<(String, Watched)>, StoreError> {
    let objects = padded(objects);
    let (statement, values) = if kind == Kind::Member {
        let mut values = Vec::with_capacity(objects.len() * 2);
        for object in &objects {
            let (team, user) = parse_member_object(object)?;
            values.extend([team, user]);
        }
        (format!("{MEMBERS} {})", tuples(objects.len(), 2)), values)
    } else {
        let select = match kind {
            Kind::Key => KEYS,
            Kind::User => USERS,
            Kind::Team => TEAMS,
            _ => ORGANIZATIONS,
        };
        let places = placeholders(1, objects.len());
        (format!("{select} ({places})"), objects)
    };
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for value in values {
        query = query.bind(value);
    }
    let now_us = tx.now_us();
    let rows = query.fetch_all(tx.connection()).await?;
    rows.iter()
        .map(|row| {
            let object_id = match kind {
                Kind::Member => member_object(row.try_get("team_id")?, row.try_get("user_id")?),
                _ => row.try_get("object_id")?,
            };
            let mut watched = Watched::read(row, now_us)?;
            if kind == Kind::Member
                && let Some(temporary) = Temporary::read(row)?
            {
                watched.raise(temporary.at(now_us));
            }
            Ok((object_id, watched))
        })
        .collect()
}

/// Writes the mark down; answers whether it was not there.
async fn is_new(
    tx: &mut Tx,
    (kind, object_id): (&str, &str),
    crossed: &Crossed,
    window_start_ms: u64,
) -> Result<bool, StoreError> {
    let now_us = tx.now_us();
    let old = sqlx::query(
        "SELECT window_start_ms, threshold, marked_at FROM budget_marks \
         WHERE kind = $1 AND object_id = $2 AND mark = $3",
    )
    .bind(kind.to_owned())
    .bind(object_id.to_owned())
    .bind(crossed.mark.clone())
    .fetch_optional(tx.connection())
    .await?;
    if let Some(old) = old {
        let number = |column: &str| Ok::<_, StoreError>(unsigned(old.try_get(column)?));
        let same = number("window_start_ms")? == window_start_ms
            && number("threshold")? == crossed.threshold.get();
        let lately = number("marked_at")?.saturating_add(AGAIN_US) > now_us;
        let known = match crossed.share {
            None => same,
            Some(_) => lately,
        };
        if known {
            return Ok(false);
        }
    }
    sqlx::query(
        "INSERT INTO budget_marks (kind, object_id, mark, window_start_ms, threshold, marked_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, object_id, mark) DO UPDATE SET \
         window_start_ms = excluded.window_start_ms, threshold = excluded.threshold, \
         marked_at = excluded.marked_at",
    )
    .bind(kind.to_owned())
    .bind(object_id.to_owned())
    .bind(crossed.mark.clone())
    .bind(signed(window_start_ms))
    .bind(signed(crossed.threshold.get()))
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    Ok(true)
}

fn payload(
    (kind, object_id): (&str, &str),
    watched: &Watched,
    crossed: &Crossed,
    state: &ScopeState,
) -> Value {
    let dollars = |amount: Option<NanoUsd>| amount.map(|amount| amount.to_string());
    let (share, emails) = match &crossed.share {
        None => (None, Value::Null),
        Some((share, emails)) => (Some(*share), emails.clone()),
    };
    json!({
        "scope": kind,
        "id": object_id,
        "alias": watched.alias,
        "spend": state.spent.to_string(),
        "soft_budget": dollars(watched.soft),
        "max_budget": dollars(watched.max),
        "percent": share,
        "emails": emails,
        "window_start_ms": state.window_start_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_crossed_at_its_amount_and_its_share_until_it_is_spent() {
        let watched = Watched {
            soft: NanoUsd::new(50),
            max: NanoUsd::new(100),
            shares: [(80, Value::Null), (95, json!(["a@x.com"]))].into(),
            alias: None,
        };
        let marks = |spent| {
            let all = watched.crossed(NanoUsd::saturating(spent));
            all.into_iter()
                .map(|crossed| crossed.mark)
                .collect::<Vec<_>>()
        };
        assert_eq!(marks(49), [""; 0]);
        assert_eq!(marks(50), ["soft"]);
        assert_eq!(marks(79), ["soft"]);
        assert_eq!(marks(80), ["soft", "share:80"]);
        assert_eq!(marks(95), ["soft", "share:80", "share:95"]);
        assert_eq!(marks(100), ["soft"]);
    }
}
