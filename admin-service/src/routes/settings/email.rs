//! Which events somebody is told of by mail.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::change::{Edits, change};
use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{self, FLAG, Record, TEXT, one};
use crate::policy::{Authorized, SettingsRead, SettingsWrite};
use crate::request::{Body, Field, Problem, Type};
use crate::routes::answer::Answer;
use crate::settings::{MAIL_EVENTS, MAIL_ROW, Settings};

/// All events.
pub static EVENTS: Record = Record::new("MailEvents", &[("settings", schema::list(&one(&EVENT)))]);
static EVENT: Record = Record::new("MailEvent", &[("event", TEXT), ("enabled", FLAG)]);
/// What a change answers.
pub static EVENTS_CHANGED: Record = Record::new("MailEventsChanged", &[("message", TEXT)]);

/// `PATCH /email/event_settings`.
pub const EVENT_SETTINGS: &[Field] = &[Field::required("settings", Type::List)];

/// `GET /email/event_settings`.
pub async fn events(State(app): State<App>, _by: Authorized<SettingsRead>) -> Answer {
    let settings = app.settings();
    let events = MAIL_EVENTS
        .iter()
        .map(|(event, _)| json!({"event": event, "enabled": settings.mails(event)}));
    Answer::new(json!({"settings": events.collect::<Vec<_>>()}))
}

/// `PATCH /email/event_settings`: the events that it names.
pub async fn update_events(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, EVENT_SETTINGS)?;
    let ignored = std::mem::take(&mut body.ignored);
    let mut sent = Map::new();
    for item in body.take("settings").value().iter().flat_map(items) {
        let named = item.get("event").and_then(Value::as_str);
        let known = named.filter(|name| MAIL_EVENTS.iter().any(|(event, _)| event == name));
        let Some(event) = known else {
            let all = MAIL_EVENTS
                .map(|(event, _)| format!("'{event}'"))
                .join(", ");
            let msg = format!("Input should be {all}");
            return Err(Problem::body("enum", "settings", msg).into());
        };
        let Some(enabled) = item.get("enabled").and_then(Value::as_bool) else {
            let msg = "Input should be a valid boolean";
            return Err(Problem::body("bool_type", "settings", msg).into());
        };
        sent.insert(event.to_owned(), json!(enabled));
    }
    let edit = |now: &Settings| -> Result<Edits, ApiError> {
        let stored = now.stored.get(MAIL_ROW).and_then(Value::as_object);
        let mut events = stored.cloned().unwrap_or_default();
        events.extend(sent.clone());
        Ok(vec![(MAIL_ROW.to_owned(), Value::Object(events))])
    };
    change(&app, &by, &edit).await?;
    let message = "Email event settings updated successfully";
    Ok(Answer::new(json!({ "message": message })).ignoring(&ignored))
}

fn items(list: &Value) -> Vec<Value> {
    list.as_array().cloned().unwrap_or_default()
}

/// `POST /email/event_settings/reset`.
pub async fn reset_events(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
) -> Result<Answer, ApiError> {
    let edit =
        |_: &Settings| -> Result<Edits, ApiError> { Ok(vec![(MAIL_ROW.to_owned(), Value::Null)]) };
    change(&app, &by, &edit).await?;
    let message = "Email event settings reset to defaults";
    Ok(Answer::new(json!({ "message": message })))
}
