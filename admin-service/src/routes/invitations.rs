//! Invitations.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::error::{ApiError, InvitationRefusal};
use crate::openapi::schema::{FLAG, Record, TEXT, TEXT_OR_NULL};
use crate::policy::{
    Authorized, InvitationDelete, InvitationInfo, InvitationNew, InvitationUpdate, Writes,
};
use crate::request::{Body, INVITATION_DELETE, INVITATION_NEW, INVITATION_UPDATE, Param, Query};
use crate::routes::answer::Answer;
use crate::routes::shape::Times;
use crate::store::invitations::{self, InvitationRow};
use crate::store::mail_events::{self, MailKind};
use crate::store::users::{self, UserRow};
use crate::store::{Change, Tx};

mod scope;

/// An invitation as answers show it.
pub static INVITATION: Record = Record::new(
    "Invitation",
    &[
        (
            "id user_id expires_at created_at created_by updated_at updated_by",
            TEXT,
        ),
        ("is_accepted", FLAG),
        ("accepted_at", TEXT_OR_NULL),
    ],
);

/// The query of `/invitation/info`.
pub const INFO_QUERY: &[Param] = &[Param::required("invitation_id")];

/// How long an invitation lasts: seven days, to the second.
const LASTS_US: u64 = 7 * 86_400 * 1_000_000;

/// `POST /invitation/new`: invites a user; older invitations of the same user end.
pub async fn new(
    State(app): State<App>,
    by: Authorized<InvitationNew>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, INVITATION_NEW)?;
    let user_id = body.text("user_id").value().unwrap_or_default();
    let done = app.store.write(&New { by: &by, user_id }).await?;
    Ok(Answer::new(shown(&done.value))
        .ignoring(&body.ignored)
        .secret())
}

/// `GET /invitation/info`.
pub async fn info(
    State(app): State<App>,
    _by: Authorized<InvitationInfo>,
    RawQuery(query): RawQuery,
) -> Result<Answer, ApiError> {
    let mut query = Query::parse(query.as_deref(), INFO_QUERY);
    let id = query.required("invitation_id");
    query.finish()?;
    let found = invitations::find(&mut *app.store.read().await?, &id).await?;
    let row = found.ok_or(InvitationRefusal::InvitationMissing)?;
    Ok(Answer::new(shown(&row)).secret())
}

/// `POST /invitation/update`: says whether it is accepted.
pub async fn update(
    State(app): State<App>,
    by: Authorized<InvitationUpdate>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, INVITATION_UPDATE)?;
    let id = body.text("invitation_id").value().unwrap_or_default();
    let accepted = body.flag("is_accepted").value().unwrap_or(false);
    let change = Update {
        by: &by,
        id,
        accepted,
    };
    let done = app.store.write(&change).await?;
    Ok(Answer::new(shown(&done.value))
        .ignoring(&body.ignored)
        .secret())
}

/// `POST /invitation/delete`.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<InvitationDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, INVITATION_DELETE)?;
    let id = body.text("invitation_id").value().unwrap_or_default();
    let done = app.store.write(&Delete { by: &by, id }).await?;
    Ok(Answer::new(shown(&done.value))
        .ignoring(&body.ignored)
        .secret())
}

/// Invites a user whose row is locked.
pub(super) async fn invite<R: Writes>(
    tx: &mut Tx,
    by: &Authorized<R>,
    user: &UserRow,
) -> Result<InvitationRow, ApiError> {
    let mut row = InvitationRow {
        id: Uuid::new_v4().to_string(),
        user_id: user.user_id.clone(),
        is_accepted: false,
        accepted_at: None,
        expires_at: 0,
        created_at: 0,
        created_by: String::new(),
        updated_at: 0,
        updated_by: String::new(),
    };
    invitations::insert(tx, by, &mut row, LASTS_US).await?;
    Ok(row)
}

/// Has somebody told by mail that they are invited: whatever sends mail takes the link of their newest invitation, which the event does not hold.
pub(super) async fn tell(
    tx: &mut Tx,
    user: &UserRow,
    invitation: &InvitationRow,
) -> Result<(), ApiError> {
    let payload = json!({
        "user_id": user.user_id, "user_email": user.user_email,
        "invited_by": invitation.created_by, "expires_at": invitation.expires_at,
    });
    Ok(mail_events::add(tx, MailKind::Invitation, &user.user_id, &payload).await?)
}

fn shown(row: &InvitationRow) -> Value {
    json!({
        "id": row.id,
        "user_id": row.user_id,
        "is_accepted": row.is_accepted,
        "accepted_at": Times::Z.maybe(row.accepted_at),
        "expires_at": Times::Z.print(row.expires_at),
        "created_at": Times::Z.print(row.created_at),
        "created_by": row.created_by,
        "updated_at": Times::Z.print(row.updated_at),
        "updated_by": row.updated_by,
    })
}

struct New<'a> {
    by: &'a Authorized<InvitationNew>,
    user_id: String,
}

impl Change for New<'_> {
    type Answer = InvitationRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<InvitationRow, ApiError> {
        let found = users::lock(tx, users::Which::Id(&self.user_id)).await?;
        if !self.by.is_admin() {
            scope::check(tx, &self.by.caller, found.as_ref()).await?;
        }
        let user = found.ok_or(InvitationRefusal::InvitationUserMissing)?;
        let invitation = invite(tx, self.by, &user).await?;
        tell(tx, &user, &invitation).await?;
        Ok(invitation)
    }
}

struct Update<'a> {
    by: &'a Authorized<InvitationUpdate>,
    id: String,
    accepted: bool,
}

impl Change for Update<'_> {
    type Answer = InvitationRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<InvitationRow, ApiError> {
        let found = invitations::lock(tx, &self.id).await?;
        let mut row = found.ok_or(InvitationRefusal::InvitationMissing)?;
        // A link that was used stays used: what was accepted is never open again.
        let accepted = row.is_accepted || self.accepted;
        invitations::accept(tx, self.by, &mut row, accepted).await?;
        Ok(row)
    }
}

struct Delete<'a> {
    by: &'a Authorized<InvitationDelete>,
    id: String,
}

impl Change for Delete<'_> {
    type Answer = InvitationRow;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<InvitationRow, ApiError> {
        let found = invitations::lock(tx, &self.id).await?;
        let row = found.ok_or(InvitationRefusal::InvitationMissing)?;
        invitations::delete(tx, self.by, &row).await?;
        Ok(row)
    }
}
