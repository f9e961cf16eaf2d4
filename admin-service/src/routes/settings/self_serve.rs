//! The rest of the self-serve settings, which LiteLLM has in its file only: here they may be set while the service runs. `null` gives a
//! setting back to the file.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::change::{Edits, change};
use super::tables::{SELF_SERVE, described, idle, section_of};
use super::{changed, set};
use crate::app::App;
use crate::error::ApiError;
use crate::policy::{Authorized, SettingsRead, SettingsWrite};
use crate::request::Body;
use crate::routes::answer::Answer;
use crate::settings::{FileSettings, Settings};

fn value<'a>(settings: &'a Settings, name: &str) -> Option<&'a Value> {
    match section_of(name) {
        "general_settings" => settings.general.get(name),
        _ => settings.litellm.get(name),
    }
}

fn values(settings: &Settings) -> Map<String, Value> {
    set(SELF_SERVE.iter().map(|field| {
        let value = value(settings, field.name).cloned();
        (field.name, value.unwrap_or(Value::Null))
    }))
}

/// `GET /get/self_serve_settings`.
pub async fn self_serve(State(app): State<App>, _by: Authorized<SettingsRead>) -> Answer {
    let (settings, file) = (app.settings(), app.live.file());
    let source = set(SELF_SERVE.iter().map(|field| {
        let source = source(&file, &settings, field.name);
        (field.name, json!(source))
    }));
    let about =
        "Defaults and bounds of what people make for themselves, and when budgets start anew";
    Answer::new(json!({
        "values": values(&settings),
        "field_schema": described(about, SELF_SERVE),
        "source": source,
    }))
}

fn source(file: &FileSettings, settings: &Settings, name: &str) -> &'static str {
    let of_file = match section_of(name) {
        "general_settings" => file.general.get(name),
        _ => file.litellm.get(name),
    };
    match value(settings, name) {
        None => "unset",
        now if now == of_file => "config",
        Some(_) => "db",
    }
}

/// `PATCH /update/self_serve_settings`.
pub async fn update_self_serve(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, SELF_SERVE)?;
    let ignored = std::mem::take(&mut body.ignored);
    let sent = body.rest();
    let edit = |_: &Settings| -> Result<Edits, ApiError> {
        let rows = sent.iter().map(|(name, value)| {
            let row = format!("{}.{name}", section_of(name));
            (row, value.clone())
        });
        Ok(rows.collect())
    };
    let (after, published) = change(&app, &by, &edit).await?;
    let message = "Self-serve settings updated successfully";
    Ok(changed(message, &values(&after))
        .ignoring(&ignored)
        .unenforced(idle(&sent).into_iter())
        .published(published))
}
