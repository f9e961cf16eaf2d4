//! Settings of single sign-on. What is secret is sealed before it is stored, and shown as stars: stars sent back change nothing.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::change::{Edits, change};
use super::tables::{SSO, described, idle};
use super::{SsoReader, changed, merged};
use crate::app::App;
use crate::error::ApiError;
use crate::policy::{Authorized, SettingsWrite};
use crate::request::Body;
use crate::routes::answer::Answer;
use crate::settings::{SSO_ROW, Settings};

/// What stands for a secret.
const STARS: &str = "*****";
/// A setting of the file that the form of single sign-on shows too: there is one, wherever it is set.
const ACCESS: &str = "ui_access_mode";
const ACCESS_ROW: &str = "general_settings.ui_access_mode";

fn is_secret(name: &str) -> bool {
    name.ends_with("_secret")
}

fn stored(settings: &Settings) -> Map<String, Value> {
    let stored = settings.stored.get(SSO_ROW).and_then(Value::as_object);
    stored.cloned().unwrap_or_default()
}

/// The values in force, the environment's where the database has none, and where each comes from.
fn values(app: &App, settings: &Settings) -> (Map<String, Value>, Map<String, Value>) {
    let stored = stored(settings);
    let (mut values, mut provenance) = (Map::new(), Map::new());
    for field in SSO {
        let name = field.name;
        if name == ACCESS {
            if let Some(value) = settings.general.get(name) {
                let of_file = app.live.file().general.get(name) == Some(value);
                values.insert(name.to_owned(), value.clone());
                provenance.insert(
                    name.to_owned(),
                    json!(if of_file { "config" } else { "db" }),
                );
            }
            continue;
        }
        let from_environment = app.config.sso.get(name).map(|value| json!(value));
        let (value, from) = match (stored.get(name), from_environment) {
            (Some(value), _) => (value.clone(), "db"),
            (None, Some(value)) => (value, "env"),
            (None, None) if name == "generic_scope" => (json!("openid email profile"), "default"),
            (None, None) => continue,
        };
        let shown = if is_secret(name) { json!(STARS) } else { value };
        values.insert(name.to_owned(), shown);
        provenance.insert(name.to_owned(), json!(from));
    }
    (values, provenance)
}

/// `GET /get/sso_settings`.
pub async fn sso(State(app): State<App>, _by: SsoReader) -> Answer {
    let (values, provenance) = values(&app, &app.settings());
    let about = "Identity providers by which people sign in";
    let schema = described(about, SSO);
    Answer::new(json!({"values": values, "field_schema": schema, "provenance": provenance}))
}

/// `PATCH /update/sso_settings`.
pub async fn update_sso(
    State(app): State<App>,
    by: Authorized<SettingsWrite>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, SSO)?;
    let ignored = std::mem::take(&mut body.ignored);
    let mut sent = body.rest();
    sent.retain(|name, value| !(is_secret(name) && value == STARS));
    for (name, value) in &mut sent {
        if let (true, Some(secret)) = (is_secret(name), value.as_str()) {
            let sealed = app.config.secrets.seal(name, secret);
            *value = json!({ "sealed": sealed.map_err(ApiError::Broken)? });
        }
    }
    let access = sent.remove(ACCESS);
    let edit = |now: &Settings| -> Result<Edits, ApiError> {
        let row = Value::Object(merged(&stored(now), &sent));
        let access = access
            .iter()
            .map(|mode| (ACCESS_ROW.to_owned(), mode.clone()));
        Ok([(SSO_ROW.to_owned(), row)]
            .into_iter()
            .chain(access)
            .collect())
    };
    let (after, published) = change(&app, &by, &edit).await?;
    let (values, _) = values(&app, &after);
    Ok(changed("SSO settings updated successfully", &values)
        .ignoring(&ignored)
        .unenforced(idle(&sent).into_iter())
        .published(published))
}
