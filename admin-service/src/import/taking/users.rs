//! Users and their passwords.

use super::spent::Budget;
use super::{Ended, Work};
use crate::import::values::{flag, text};
use crate::routes::imported;
use crate::sign_in::password::is_imported;
use crate::store::outbox::Kind;
use crate::store::row::Object;
use crate::store::{Tx, passwords, users};

impl Work<'_> {
    pub(super) async fn user(&mut self, tx: &mut Tx, row: &Object) -> Result<(), Ended> {
        let Some(id) = self.name(row, "user_id") else {
            return Ok(());
        };
        let there = users::find(tx.connection(), users::Which::Id(&id))
            .await?
            .is_some();
        if !self.is_new(there) {
            return Ok(());
        }
        let mut notes = Vec::new();
        let mut user = imported::user(row, tx.now_us(), self.import.rules, &mut notes)?;
        if let Some(email) = &user.user_email {
            let other = users::find(tx.connection(), users::Which::Email(email)).await?;
            if let Some(other) = other {
                notes.push(format!(
                    "its address is that of {} and is left out",
                    other.user_id
                ));
                user.user_email = None;
            }
        }
        if let Some(sso) = &user.sso_user_id {
            let other = users::find(tx.connection(), users::Which::Sso(sso)).await?;
            if let Some(other) = other {
                notes.push(format!(
                    "its sso_user_id is that of {} and is left out",
                    other.user_id
                ));
                user.sso_user_id = None;
            }
        }
        let budget = Budget::of_row(&user.limits, row);
        self.begin(tx, (Kind::User, &id), row, &budget);
        users::insert(tx, &self.by, &mut user).await?;
        if let Some(hash) = text(row, "password") {
            if flag(row, "password_reset_required") {
                notes.push("its password was to be replaced: invite it anew".to_owned());
            } else if is_imported(&hash) {
                passwords::put(tx, &self.by, &id, &hash).await?;
            } else {
                notes.push("its password is kept in an unknown form: invite it anew".to_owned());
            }
        }
        self.notes(&format!("user {id}"), notes);
        Ok(())
    }
}
