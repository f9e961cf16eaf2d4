//! Scopes that begin with something spent elsewhere.

use std::collections::BTreeMap;

use super::{ScopeKey, ScopeState, retention, scopes as rows};
use crate::store::outbox::signed;
use crate::store::{StoreError, Tx};

/// Scopes that begin with something spent that has no rows here: what an import brings. What was charged to them already is added to.
pub async fn begin_with(
    tx: &mut Tx,
    scopes: &BTreeMap<ScopeKey, ScopeState>,
) -> Result<(), StoreError> {
    let mut begun = scopes.clone();
    let names = scopes.keys().cloned().collect();
    for (scope, known) in rows::read(tx.connection(), &names).await? {
        if let Some(state) = begun.get_mut(&scope) {
            state.go_on_from(&known);
        }
    }
    rows::write(tx, &begun).await?;
    let sums = scopes.iter().map(|(scope, state)| {
        let object = (scope.kind.as_str().to_owned(), scope.object_id.clone());
        (object, signed(state.total.get()))
    });
    retention::without_rows(tx, &sums.collect()).await
}
