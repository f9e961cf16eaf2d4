//! One change of a team's row by whoever administers it, as several routes make it.

use serde_json::Value;

use super::rights::{self, Standing};
use super::shown;
use crate::app::App;
use crate::error::{ApiError, TeamRefusal};
use crate::policy::{Authorized, Writes};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::teams::{self, TeamRow};
use crate::store::{Change, Tx};

/// What is changed.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Whether it is blocked.
    Block(bool),
    /// Models that it has too.
    AddModels(Vec<String>),
    /// Models that it has no more.
    DeleteModels(Vec<String>),
    /// What its members may do with keys.
    Permissions(Vec<String>),
}

/// The entry of a list of models that allows none: an empty list allows all.
const NONE: &str = "no-default-models";

impl Edit {
    const fn action(&self) -> &'static str {
        match self {
            Self::Block(true) => "blocked",
            Self::Block(false) => "unblocked",
            Self::AddModels(_) | Self::DeleteModels(_) | Self::Permissions(_) => "updated",
        }
    }

    /// The field of `/team/update` that says the same, where an admin of the team needs leave to edit it.
    const fn field(&self) -> Option<&'static str> {
        match self {
            Self::AddModels(_) | Self::DeleteModels(_) => Some("models"),
            Self::Block(_) | Self::Permissions(_) => None,
        }
    }

    fn apply(&self, team: &mut TeamRow) {
        match self {
            Self::Block(blocked) => team.blocked = *blocked,
            Self::AddModels(models) => {
                team.models.retain(|model| model != NONE);
                for model in models {
                    if !team.models.contains(model) {
                        team.models.push(model.clone());
                    }
                }
            }
            Self::DeleteModels(models) => {
                let had_some = !team.models.is_empty();
                team.models.retain(|model| !models.contains(model));
                if had_some && team.models.is_empty() {
                    team.models.push(NONE.to_owned());
                }
            }
            Self::Permissions(permissions) => team.team_member_permissions.clone_from(permissions),
        }
    }
}

/// Makes the change; answers the row.
pub(super) async fn edit<R: Writes>(
    app: &App,
    by: &Authorized<R>,
    team_id: String,
    edit: Edit,
    ignored: &[String],
) -> Result<Answer, ApiError> {
    let change = EditTeam {
        app,
        by,
        team_id,
        edit,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let body = shown(&mut *app.store.read().await?, app, &done.value).await?;
    Ok(Answer::new(Value::Object(body))
        .ignoring(ignored)
        .published(published))
}

struct EditTeam<'a, R> {
    app: &'a App,
    by: &'a Authorized<R>,
    team_id: String,
    edit: Edit,
}

impl<R: Writes> Change for EditTeam<'_, R> {
    type Answer = TeamRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<TeamRow, ApiError> {
        let found = teams::lock(tx, &self.team_id).await?;
        let before = found.ok_or_else(|| TeamRefusal::TeamUpdateMissing(self.team_id.clone()))?;
        let standing = rights::must_administer(tx.connection(), self.by, &before).await?;
        if let (Standing::Team, Some(field)) = (standing, self.edit.field()) {
            super::update::editable([field], &self.app.settings().team_admin_editable_fields())?;
        }
        let mut team = before.clone();
        self.edit.apply(&mut team);
        if team.models != before.models {
            rights::within_organization(tx.connection(), self.by, Some(&before), &team).await?;
        }
        teams::update_as(tx, self.by, self.edit.action(), &before, &mut team).await?;
        Ok(team)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(models: &[&str], edit: &Edit) -> Vec<String> {
        let mut team = TeamRow::new("t");
        team.models = models.iter().map(|model| (*model).to_owned()).collect();
        edit.apply(&mut team);
        team.models
    }

    #[test]
    fn a_team_that_lost_its_last_model_has_none_and_not_all() {
        let delete = Edit::DeleteModels(vec!["a".into()]);
        assert_eq!(after(&["a"], &delete), [NONE]);
        assert_eq!(after(&["a", "b"], &delete), ["b"]);
        assert!(
            after(&[], &delete).is_empty(),
            "all is not a list to take from"
        );
        let add = Edit::AddModels(vec!["a".into(), "a".into()]);
        assert_eq!(after(&[NONE], &add), ["a"]);
    }
}
