//! Rows of LiteLLM as rows of this service: every field where the API would put it.

use serde_json::{Map, Value};

use super::{keys, teams, users};
use crate::domain::budget_window::{BudgetDuration, WindowRules};
use crate::error::ApiError;
use crate::import::micros;
use crate::request::{Body, Field, GENERATE_KEY, NEW_TEAM, NEW_USER, Step};
use crate::store::keys::KeyRow;
use crate::store::row::LimitColumns;
use crate::store::teams::TeamRow;
use crate::store::users::UserRow;

/// Fields that say what a request does, not what the row is, or that are counted elsewhere.
const LEFT: [&str; 8] = [
    "spend",
    "duration",
    "key",
    "password",
    "teams",
    "members_with_roles",
    "admins",
    "members",
];

/// What a row says of the fields of `table`. What is empty says nothing; what has not the type is left out and named.
fn body(
    row: &Map<String, Value>,
    table: &'static [Field],
    notes: &mut Vec<String>,
) -> Result<Body, ApiError> {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    let mut map: Map<String, Value> = row
        .iter()
        .filter(|(name, value)| says(value) && !LEFT.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let wrong = map
        .get("budget_duration")
        .filter(|text| BudgetDuration::parse(text.as_str().unwrap_or_default()).is_none());
    if let Some(wrong) = wrong {
        notes.push(format!(
            "budget_duration {wrong} is none: the budget never starts anew"
        ));
        map.remove("budget_duration");
    }
    match Body::from_map(map.clone(), table) {
        Err(ApiError::Invalid(problems)) => {
            for problem in problems {
                if let Some(Step::Name(field)) = problem.loc.get(1) {
                    notes.push(format!("{field} is left out: {}", problem.msg));
                    map.remove(field);
                }
            }
            Body::from_map(map, table)
        }
        other => other,
    }
}

/// Has the windows of a budget go on where LiteLLM's would: a count of days ends when LiteLLM says.
pub(crate) fn anchor(limits: &mut LimitColumns, row: &Map<String, Value>, now_us: u64) {
    const DAY_US: u64 = 86_400_000_000;
    let Some(duration) = limits
        .budget_duration
        .as_deref()
        .and_then(BudgetDuration::parse)
    else {
        return;
    };
    let began = micros(row.get("created_at")).unwrap_or(now_us);
    let resets = micros(row.get("budget_reset_at"));
    limits.budget_anchor = Some(match (duration, resets) {
        (BudgetDuration::Days(days), Some(resets)) => {
            resets.saturating_sub(u64::from(days) * DAY_US)
        }
        _ => began,
    });
}

/// A key. Its hash is its name in LiteLLM.
pub(crate) fn key(
    row: &Map<String, Value>,
    now_us: u64,
    rules: &WindowRules,
    notes: &mut Vec<String>,
) -> Result<KeyRow, ApiError> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut key = KeyRow {
        key_id: uuid::Uuid::new_v4().to_string(),
        token: text("token").unwrap_or_default(),
        key_name: text("key_name").unwrap_or_else(|| "sk-...".to_owned()),
        ..KeyRow::default()
    };
    keys::apply(&mut key, body(row, GENERATE_KEY, notes)?, now_us, rules)?;
    key.expires = micros(row.get("expires"));
    key.created_at = micros(row.get("created_at")).unwrap_or(0);
    anchor(&mut key.limits, row, now_us);
    key.refresh_at = keys::refresh_at(&key, now_us, rules);
    key.created_by = text("created_by");
    key.updated_by = text("updated_by");
    Ok(key)
}

/// A user.
pub(crate) fn user(
    row: &Map<String, Value>,
    now_us: u64,
    rules: &WindowRules,
    notes: &mut Vec<String>,
) -> Result<UserRow, ApiError> {
    let id = row.get("user_id").and_then(Value::as_str);
    let mut user = UserRow::new(id.unwrap_or_default());
    let mut body = body(row, NEW_USER, notes)?;
    body.take("user_id");
    user.created_at = micros(row.get("created_at")).unwrap_or(0);
    users::apply(&mut user, body, now_us, rules)?;
    anchor(&mut user.limits, row, now_us);
    let own = user.limits.refresh_at(now_us, rules);
    user.refresh_at = [user.refresh_at, own].into_iter().flatten().min();
    Ok(user)
}

/// A team.
pub(crate) fn team(
    row: &Map<String, Value>,
    now_us: u64,
    rules: &WindowRules,
    notes: &mut Vec<String>,
) -> Result<TeamRow, ApiError> {
    let id = row.get("team_id").and_then(Value::as_str);
    let mut team = TeamRow::new(id.unwrap_or_default());
    let mut body = body(row, NEW_TEAM, notes)?;
    body.take("team_id");
    team.created_at = micros(row.get("created_at")).unwrap_or(0);
    teams::apply(&mut team, body, now_us, rules)?;
    anchor(&mut team.limits, row, now_us);
    let own = team.limits.refresh_at(now_us, rules);
    team.refresh_at = [team.refresh_at, own].into_iter().flatten().min();
    Ok(team)
}
