//! A change of settings: rows, audit rows, what must be published, in one transaction; then this service's own snapshot.

use serde_json::Value;

use crate::app::App;
use crate::config::ConfigError;
use crate::error::ApiError;
use crate::policy::{Authorized, Writes};
use crate::request::Problem;
use crate::routes::keys::PUBLISH_WAIT;
use crate::settings::Settings;
use crate::store::settings::{desired_windows, lock, publish, put};
use crate::store::{Change, Tx};

/// Names of rows and their values; `null` takes a row back.
pub(super) type Edits = Vec<(String, Value)>;

/// Applies what `edit` makes of the settings in force. Answers what is in force then, and whether the gateways know.
pub(super) async fn change<R: Writes, E>(
    app: &App,
    by: &Authorized<R>,
    edit: &E,
) -> Result<(Settings, bool), ApiError>
where
    E: Fn(&Settings) -> Result<Edits, ApiError> + Sync,
{
    let done = app.store.write(&Put { app, by, edit }).await?;
    app.live.refresh(&app.store).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    Ok((done.value, published))
}

struct Put<'a, R, E> {
    app: &'a App,
    by: &'a Authorized<R>,
    edit: &'a E,
}

impl<R: Writes, E> Change for Put<'_, R, E>
where
    E: Fn(&Settings) -> Result<Edits, ApiError> + Sync,
{
    type Answer = Settings;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Settings, ApiError> {
        let mut rows = lock(tx).await?;
        let file = self.app.live.file();
        // What is stored may have become wrong by a changed file: then the last good snapshot is what is changed.
        let before =
            Settings::read(&file, &rows).unwrap_or_else(|_| Settings::clone(&self.app.settings()));
        for (name, value) in (self.edit)(&before)? {
            put(tx, self.by, &mut rows, &name, value).await?;
        }
        let after = Settings::read(&file, &rows).map_err(|error| wrong(&error))?;
        if let Some(windows) = desired_windows(&file, &rows) {
            publish(tx, &mut rows, &before, &after, windows).await?;
        }
        Ok(Settings::read(&file, &rows).map_err(|error| wrong(&error))?)
    }
}

/// A value that has the type but not the meaning, by the last name of its path.
fn wrong(error: &ConfigError) -> Problem {
    let field = error.path.rsplit('.').next().unwrap_or_default();
    let msg = format!("Value error, {}", error.expected);
    Problem::body("value_error", field, msg)
}
