//! The budget windows of scopes, as their rows say now: the ledger assigns an event to a window by the same rule as the scripts.

use std::collections::{BTreeMap, BTreeSet};

use contract::window::BudgetWindow;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::ScopeKey;
use super::parts::{LONGEST, padded, tuples};
use super::scopes::KINDS;
use crate::domain::budget_window::{BudgetDuration, WindowRules};
use crate::store::outbox::{Kind, member_object, parse_member_object, placeholders, unsigned};
use crate::store::{StoreError, Tx};

const KEYS: &str = "SELECT k.key_id AS object_id, \
     COALESCE(k.budget_duration, b.budget_duration) AS budget_duration, \
     COALESCE(k.budget_anchor, b.budget_anchor) AS budget_anchor \
     FROM virtual_keys k LEFT JOIN budgets b ON b.budget_id = k.budget_id \
     WHERE COALESCE(k.max_budget, b.max_budget) IS NOT NULL AND k.key_id IN";
const USERS: &str = "SELECT user_id AS object_id, budget_duration, budget_anchor FROM users \
     WHERE max_budget IS NOT NULL AND user_id IN";
const TEAMS: &str = "SELECT team_id AS object_id, budget_duration, budget_anchor FROM teams \
     WHERE max_budget IS NOT NULL AND team_id IN";
const MEMBERS: &str = "SELECT m.team_id, m.user_id, b.budget_duration, b.budget_anchor \
     FROM team_members m JOIN budgets b ON b.budget_id = m.budget_id \
     WHERE b.max_budget IS NOT NULL AND (m.team_id, m.user_id) IN (VALUES";

const ORGANIZATIONS: &str = "SELECT o.organization_id AS object_id, b.budget_duration, b.budget_anchor \
     FROM organizations o JOIN budgets b ON b.budget_id = o.budget_id \
     WHERE b.max_budget IS NOT NULL AND o.organization_id IN";

const CUSTOMERS: &str = "SELECT c.user_id AS object_id, b.budget_duration, b.budget_anchor \
     FROM customers c JOIN budgets b ON b.budget_id = c.budget_id \
     WHERE b.max_budget IS NOT NULL AND c.user_id IN";

/// Budget windows by scope. A scope without a budget, or without a row, has one window for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(BTreeMap<(Kind, String), Window>);

/// The window of one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Window {
    /// By given boundaries.
    Given(BudgetWindow),
    /// By the rule itself, however far apart the events of a batch are.
    Rule {
        duration: BudgetDuration,
        anchor_us: u64,
        rules: WindowRules,
    },
}

impl Windows {
    /// Windows of given scopes.
    pub fn of(windows: impl IntoIterator<Item = ((Kind, String), BudgetWindow)>) -> Self {
        let given = windows
            .into_iter()
            .map(|(scope, window)| (scope, Window::Given(window)));
        Self(given.collect())
    }

    /// When the window of `scope` that `at_ms` is in began.
    pub fn start(&self, scope: &ScopeKey, at_ms: u64) -> u64 {
        let window = self.0.get(&(scope.kind, scope.object_id.clone()));
        match window {
            None => 0,
            Some(Window::Given(window)) => window.start(at_ms),
            Some(Window::Rule {
                duration,
                anchor_us,
                rules,
            }) => duration.start_ms(*anchor_us, at_ms, rules).unwrap_or(0),
        }
    }
}

/// The windows of `scopes`, in a transaction.
pub async fn of(
    tx: &mut Tx,
    scopes: &BTreeSet<ScopeKey>,
    rules: &WindowRules,
) -> Result<Windows, StoreError> {
    read(tx.connection(), scopes, rules).await
}

/// The windows of `scopes`.
pub(super) async fn read(
    connection: &mut AnyConnection,
    scopes: &BTreeSet<ScopeKey>,
    rules: &WindowRules,
) -> Result<Windows, StoreError> {
    let mut windows = BTreeMap::new();
    for kind in KINDS {
        let objects = scopes.iter().filter(|scope| scope.kind == kind);
        let objects = objects
            .map(|scope| scope.object_id.clone())
            .collect::<Vec<_>>();
        for objects in objects.chunks(LONGEST) {
            for row in select(connection, kind, &padded(objects)).await? {
                let object_id = match kind {
                    Kind::Member => member_object(row.try_get("team_id")?, row.try_get("user_id")?),
                    _ => row.try_get("object_id")?,
                };
                let window = window(&row, rules)?;
                windows.insert((kind, object_id), window);
            }
        }
    }
    Ok(Windows(windows))
}

async fn select(
    connection: &mut AnyConnection,
    kind: Kind,
    objects: &[String],
) -> Result<Vec<AnyRow>, StoreError> {
    let (statement, values) = match kind {
        Kind::Member => {
            let mut values = Vec::with_capacity(objects.len() * 2);
            for object in objects {
                let (team, user) = parse_member_object(object)?;
                values.extend([team, user]);
            }
            (format!("{MEMBERS} {})", tuples(objects.len(), 2)), values)
        }
        Kind::Key | Kind::User | Kind::Team | Kind::Organization | Kind::Customer => {
            let select = match kind {
                Kind::Key => KEYS,
                Kind::User => USERS,
                Kind::Organization => ORGANIZATIONS,
                Kind::Customer => CUSTOMERS,
                _ => TEAMS,
            };
            (
                format!("{select} ({})", placeholders(1, objects.len())),
                objects.to_vec(),
            )
        }
        Kind::Catalogue | Kind::Correction | Kind::Scope => return Ok(Vec::new()),
    };
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for value in values {
        query = query.bind(value);
    }
    Ok(query.fetch_all(connection).await?)
}

fn window(row: &AnyRow, rules: &WindowRules) -> Result<Window, StoreError> {
    let Some(text) = row.try_get::<Option<String>, _>("budget_duration")? else {
        return Ok(Window::Given(BudgetWindow::Lifetime));
    };
    let duration = BudgetDuration::parse_stored(&text)
        .ok_or_else(|| StoreError::Corrupt(format!("budget_duration = {text:?}")))?;
    let anchor_us = row
        .try_get::<Option<i64>, _>("budget_anchor")?
        .map_or(0, unsigned);
    Ok(Window::Rule {
        duration,
        anchor_us,
        rules: rules.clone(),
    })
}
