//! What somebody may be told by mail. A row is written in the transaction of what happened, so nothing is told that did not happen; whatever
//! sends mail takes rows up later. Nothing here sends. An event that the settings leave out is not written: who turns it on later is not told
//! of the past.

use serde_json::Value;

use super::outbox::{signed, time_ordered_id};
use super::{StoreError, Tx, settings};
use crate::settings::{MAIL_ROW, mails};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// Somebody is invited; the subject is the user.
    Invitation,
    /// A key was made for a user; the subject is the `key_id`.
    KeyCreated,
    /// A key was replaced by another; the subject is the `key_id`.
    KeyRotated,
    /// Spend crossed a soft budget; the subject is the scope's object.
    SoftBudgetCrossed,
    /// Spend comes close to a budget; the subject is the scope's object.
    BudgetAlert,
}

impl MailKind {
    /// The kind as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::KeyCreated => "key_created",
            Self::KeyRotated => "key_rotated",
            Self::SoftBudgetCrossed => "soft_budget_crossed",
            Self::BudgetAlert => "budget_alert",
        }
    }

    /// Its name in the settings: one of [`crate::settings::MAIL_EVENTS`].
    pub const fn event(self) -> &'static str {
        match self {
            Self::Invitation => "New User Invitation",
            Self::KeyCreated => "Virtual Key Created",
            Self::KeyRotated => "Virtual Key Rotated",
            Self::SoftBudgetCrossed => "Soft Budget Crossed",
            Self::BudgetAlert => "Max Budget Alert",
        }
    }
}

/// Notes that `kind` happened to `subject_id`, unless the settings say that nobody is told of it. `payload` says what a mail would, without any secret: a mail that needs one reads it when it
/// is sent.
pub async fn add(
    tx: &mut Tx,
    kind: MailKind,
    subject_id: &str,
    payload: &Value,
) -> Result<(), StoreError> {
    // As it is in this transaction, not as the last snapshot of the settings had it.
    let stored = settings::value(tx.connection(), MAIL_ROW).await?;
    if !mails(stored.as_ref(), kind.event()) {
        return Ok(());
    }
    let now_us = tx.now_us();
    sqlx::query(
        "INSERT INTO mail_events (id, kind, subject_id, payload, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(time_ordered_id(now_us))
    .bind(kind.as_str())
    .bind(subject_id.to_owned())
    .bind(payload.to_string())
    .bind(signed(now_us))
    .execute(tx.connection())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::MailKind as M;
    use crate::settings::MAIL_EVENTS;

    #[test]
    fn every_kind_is_an_event_of_the_settings() {
        for kind in [
            M::Invitation,
            M::KeyCreated,
            M::KeyRotated,
            M::SoftBudgetCrossed,
            M::BudgetAlert,
        ] {
            let known = MAIL_EVENTS.iter().any(|(event, _)| *event == kind.event());
            assert!(known, "{kind:?}");
        }
    }
}
