//! Settings over the API. What is set here lives in the database, wins over the file, and is in force at once in every service.
//!
//! Each group is a table of fields: the same table says what a form is told about a field, which type it has, and what the document lists.

use axum::body::Bytes;
use axum::extract::State;
use contract::money::NanoUsd;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{OBJECT, Record, TEXT, map};
use crate::policy::{
    Authorized, SettingsRead, SettingsWrite, SsoSettingsRead, UiSettingsRead, Writes,
};
use crate::request::{Body, Field};
use crate::routes::answer::Answer;
use crate::routes::shape::dollars;
use crate::settings::{Settings, UI_ROW};

mod change;
mod email;
mod self_serve;
mod sso;
mod tables;

pub use email::{EVENT_SETTINGS, EVENTS, EVENTS_CHANGED, events, reset_events, update_events};
pub use self_serve::{self_serve, update_self_serve};
pub use tables::{DEFAULT_TEAM, INTERNAL_USER, SELF_SERVE, SSO, UI};

use change::{Edits, change};
use tables::{described, idle};

/// Values and what they mean.
pub static SHOWN: Record = Record::new("Settings", &[("values field_schema", OBJECT)]);
/// The same, and where each value comes from.
pub static SOURCED: Record = Record::new(
    "SourcedSettings",
    &[("values field_schema", OBJECT), ("source", map(&TEXT))],
);
/// The same, as single sign-on names it.
pub static PROVEN: Record = Record::new(
    "SsoSettings",
    &[("values field_schema", OBJECT), ("provenance", map(&TEXT))],
);
/// What a change answers.
pub static CHANGED: Record = Record::new(
    "SettingsChanged",
    &[("message status", TEXT), ("settings", OBJECT)],
);

pub use sso::{sso, update_sso};

const USERS_ROW: &str = "litellm_settings.default_internal_user_params";
const TEAMS_ROW: &str = "litellm_settings.default_team_params";

/// What a changed group answers.
fn changed(message: &str, settings: &Map<String, Value>) -> Answer {
    Answer::new(json!({"message": message, "status": "success", "settings": settings}))
}

/// `values` with what `body` says: a field that it clears is gone, one that it does not name stays.
fn merged(values: &Map<String, Value>, body: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = values.clone();
    for (name, value) in body {
        if value.is_null() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}

/// A group that is one mapping.
struct Group {
    row: &'static str,
    fields: &'static [Field],
    values: fn(&Settings) -> Map<String, Value>,
    done: &'static str,
}

impl Group {
    async fn update<R: Writes>(
        &self,
        app: &App,
        by: &Authorized<R>,
        bytes: &Bytes,
    ) -> Result<Answer, ApiError> {
        let mut body = Body::parse(bytes, self.fields)?;
        let ignored = std::mem::take(&mut body.ignored);
        let sent = body.rest();
        let edit = |now: &Settings| -> Result<Edits, ApiError> {
            let value = Value::Object(merged(&(self.values)(now), &sent));
            Ok(vec![(self.row.to_owned(), value)])
        };
        let (after, published) = change(app, by, &edit).await?;
        Ok(changed(self.done, &(self.values)(&after))
            .ignoring(&ignored)
            .unenforced(idle(&sent).into_iter())
            .published(published))
    }
}

const USERS: Group = Group {
    row: USERS_ROW,
    fields: INTERNAL_USER,
    values: user_values,
    done: "Internal user settings updated successfully",
};
const TEAMS: Group = Group {
    row: TEAMS_ROW,
    fields: DEFAULT_TEAM,
    values: team_values,
    done: "Default team settings updated successfully",
};
const UI_GROUP: Group = Group {
    row: UI_ROW,
    fields: UI,
    values: ui_values,
    done: "UI settings updated successfully.",
};

fn money(amount: Option<NanoUsd>) -> Value {
    amount.map_or(Value::Null, dollars)
}

/// What is set, without what is not.
fn set(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    let set = pairs.into_iter().filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn user_values(settings: &Settings) -> Map<String, Value> {
    let users = &settings.user_defaults;
    let available = Some(&users.available_teams).filter(|teams| !teams.is_empty());
    set([
        ("user_role", json!(users.user_role)),
        ("max_budget", money(users.max_budget)),
        ("budget_duration", json!(users.budget_duration)),
        ("models", json!(users.models)),
        ("teams", json!(users.teams)),
        ("available_teams", json!(available)),
    ])
}

fn team_values(settings: &Settings) -> Map<String, Value> {
    let teams = &settings.team_defaults;
    set([
        ("models", json!(teams.models)),
        ("max_budget", money(teams.max_budget)),
        ("budget_duration", json!(teams.budget_duration)),
        ("tpm_limit", json!(teams.tpm_limit)),
        ("rpm_limit", json!(teams.rpm_limit)),
        (
            "team_member_permissions",
            json!(teams.team_member_permissions),
        ),
        ("organization_id", json!(teams.organization_id)),
    ])
}

/// What the interface's settings are where nobody set them.
fn ui_defaults() -> Map<String, Value> {
    let flags = UI
        .iter()
        .filter(|field| matches!(field.of, crate::request::Type::Flag))
        .map(|field| (field.name, json!(false)));
    let mut defaults = set(flags);
    defaults.insert("usage_default_time_range".into(), json!("last_7_days"));
    defaults.insert("team_admin_editable_team_fields".into(), json!([]));
    defaults
}

fn ui_values(settings: &Settings) -> Map<String, Value> {
    let mut values = ui_defaults();
    if let Some(Value::Object(stored)) = settings.stored.get(UI_ROW) {
        values.extend(stored.clone());
    }
    values
}

/// `GET /get/internal_user_settings`.
pub async fn internal_user(State(app): State<App>, _by: Authorized<SettingsRead>) -> Answer {
    let about =
        "What a new user has where the request that makes it, or their first sign-in, says nothing";
    let values = user_values(&app.settings());
    Answer::new(json!({"values": values, "field_schema": described(about, INTERNAL_USER)}))
}

/// `PATCH /update/internal_user_settings`.
pub async fn update_internal_user(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    USERS.update(&app, &by, &bytes).await
}

/// `GET /get/default_team_settings`.
pub async fn default_team(State(app): State<App>, _by: Authorized<SettingsRead>) -> Answer {
    let about = "What a new team has where the request that makes it says nothing; `models` only for teams that single sign-on makes";
    let values = team_values(&app.settings());
    Answer::new(json!({"values": values, "field_schema": described(about, DEFAULT_TEAM)}))
}

/// `PATCH /update/default_team_settings`.
pub async fn update_default_team(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    TEAMS.update(&app, &by, &bytes).await
}

/// `GET /get/ui_settings`.
pub async fn ui(State(app): State<App>, _by: Authorized<UiSettingsRead>) -> Answer {
    let settings = app.settings();
    let values = ui_values(&settings);
    let stored = settings.stored.get(UI_ROW).and_then(Value::as_object);
    let source: Map<String, Value> = UI
        .iter()
        .map(|field| {
            let in_database = stored.is_some_and(|stored| stored.contains_key(field.name));
            let source = match (in_database, values.contains_key(field.name)) {
                (true, _) => "db",
                (false, true) => "default",
                (false, false) => "unset",
            };
            (field.name.to_owned(), json!(source))
        })
        .collect();
    let about = "What the interface shows and lets people do";
    Answer::new(json!({"values": values, "field_schema": described(about, UI), "source": source}))
}

/// `PATCH /update/ui_settings`.
pub async fn update_ui(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    UI_GROUP.update(&app, &by, &bytes).await
}

/// Who may read settings of single sign-on reads them through here.
pub(super) type SsoReader = Authorized<SsoSettingsRead>;
