//! `POST /customer/delete`.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::error::refusal::python_list;
use crate::error::{ApiError, BudgetRefusal};
use crate::openapi::schema::{Record, TEXT, WHOLE};
use crate::policy::{Authorized, CustomerDelete};
use crate::request::{Body, USER_IDS};
use crate::routes::answer::Answer;
use crate::routes::keys::PUBLISH_WAIT;
use crate::store::{Change, Tx, customers};

/// What [`delete`] answers.
pub static DELETED: Record = Record::new(
    "DeletedCustomers",
    &[("deleted_customers", WHOLE), ("message", TEXT)],
);

/// Deletes customers, all that are named or none.
pub async fn delete(
    State(app): State<App>,
    by: Authorized<CustomerDelete>,
    bytes: Bytes,
) -> Result<Answer, ApiError> {
    let mut body = Body::parse(&bytes, USER_IDS)?;
    let named = body.texts("user_ids").value().unwrap_or_default();
    let mut user_ids = named.clone();
    user_ids.sort();
    user_ids.dedup();
    let delete = Delete {
        by: &by,
        user_ids: &user_ids,
    };
    let done = app.store.write(&delete).await?;
    let published = app.store.wait_published(&done.outbox, PUBLISH_WAIT).await;
    let message = format!(
        "Successfully deleted customers with ids: {}",
        python_list(&named)
    );
    Ok(
        Answer::new(json!({"deleted_customers": user_ids.len(), "message": message}))
            .ignoring(&body.ignored)
            .published(published),
    )
}

struct Delete<'a> {
    by: &'a Authorized<CustomerDelete>,
    user_ids: &'a [String],
}

impl Change for Delete<'_> {
    type Answer = ();
    type Error = ApiError;

    async fn apply(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let mut missing = Vec::new();
        for user_id in self.user_ids {
            match customers::lock(tx, user_id).await? {
                Some(row) => customers::delete(tx, self.by, &row).await?,
                None => missing.push(user_id.clone()),
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(BudgetRefusal::CustomersMissing(missing).into())
        }
    }
}
