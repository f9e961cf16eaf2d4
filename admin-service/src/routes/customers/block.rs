//! `POST /customer/block` and `POST /customer/unblock`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use super::{CUSTOMER, shown};
use crate::app::App;
use crate::error::ApiError;
use crate::openapi::schema::{Of, Record, TEXTS, list, one};
use crate::policy::{Authorized, CustomerBlock, CustomerUnblock, Writes};
use crate::request::{Body, USER_IDS};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::customers::{self, CustomerRow};
use crate::store::{Change, Tx};

static A_CUSTOMER: Of = one(&CUSTOMER);
/// What [`block`] answers.
pub static BLOCKED: Record =
    Record::new("BlockedCustomers", &[("blocked_users", list(&A_CUSTOMER))]);
/// What [`unblock`] answers.
pub static UNBLOCKED: Record = Record::new("UnblockedCustomers", &[("blocked_users", TEXTS)]);

/// Ids that [`unblock`] answers at most.
const STILL_BLOCKED: u32 = 1_000;

/// Blocks customers, those too that nobody has seen yet.
pub async fn block(
    State(app): State<App>,
    by: Authorized<CustomerBlock>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, USER_IDS)?;
    let user_ids = named(&mut body);
    let change = SetBlocked {
        by: &by,
        user_ids: &user_ids,
        blocked: true,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let blocked = shown(&mut *app.store.read().await?, &app, &done.value).await?;
    Ok(Answer::new(json!({ "blocked_users": blocked }))
        .ignoring(&body.ignored)
        .published(published))
}

/// Unblocks customers; answers those who still are blocked.
pub async fn unblock(
    State(app): State<App>,
    by: Authorized<CustomerUnblock>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, USER_IDS)?;
    let user_ids = named(&mut body);
    let change = SetBlocked {
        by: &by,
        user_ids: &user_ids,
        blocked: false,
    };
    let done = app.store.write(&change).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let blocked = customers::blocked(&mut *app.store.read().await?, STILL_BLOCKED).await?;
    Ok(Answer::new(json!({ "blocked_users": blocked }))
        .ignoring(&body.ignored)
        .published(published))
}

fn named(body: &mut Body) -> Vec<String> {
    let mut user_ids = body.texts("user_ids").value().unwrap_or_default();
    user_ids.sort();
    user_ids.dedup();
    user_ids
}

struct SetBlocked<'a, R> {
    by: &'a Authorized<R>,
    user_ids: &'a [String],
    blocked: bool,
}

impl<R: Writes> Change for SetBlocked<'_, R> {
    type Answer = Vec<CustomerRow>;
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<Vec<CustomerRow>, ApiError> {
        let mut all = Vec::with_capacity(self.user_ids.len());
        for user_id in self.user_ids {
            let row = match customers::lock(tx, user_id).await? {
                Some(before) => {
                    let mut row = before.clone();
                    row.blocked = self.blocked;
                    let action = if self.blocked { "blocked" } else { "unblocked" };
                    customers::update(tx, self.by, action, &before, &mut row).await?;
                    row
                }
                // Somebody without a row is not blocked.
                None if !self.blocked => continue,
                None => {
                    let mut row = CustomerRow::new(user_id);
                    row.blocked = true;
                    customers::insert(tx, self.by, &mut row).await?;
                    row
                }
            };
            all.push(row);
        }
        Ok(all)
    }
}
