//! A key's row as JSON: in the audit log, and for keys that were deleted.

use contract::id::Rev;
use contract::money::NanoUsd;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{KeyRow, Rotation};
use crate::store::StoreError;
use crate::store::row::{LimitColumns, Object};

/// The row, money in nano-dollars and times in microseconds as stored.
pub(super) fn of(row: &KeyRow) -> Value {
    json!({
        "key_id": row.key_id, "rev": row.rev.get(), "token": row.token, "key_name": row.key_name,
        "key_alias": row.key_alias, "user_id": row.user_id, "team_id": row.team_id,
        "organization_id": row.organization_id,
        "key_type": row.key_type, "models": row.models, "aliases": row.aliases,
        "allowed_routes": row.allowed_routes, "blocked": row.blocked, "expires": row.expires,
        "max_budget": row.limits.max_budget.map(NanoUsd::get),
        "max_parallel_requests": row.limits.max_parallel_requests,
        "tpm_limit": row.limits.tpm_limit, "rpm_limit": row.limits.rpm_limit,
        "budget_duration": row.limits.budget_duration, "budget_anchor": row.limits.budget_anchor,
        "auto_rotate": row.rotation.auto, "rotation_interval": row.rotation.interval,
        "rotation_count": row.rotation.count, "last_rotation_at": row.rotation.last_at,
        "key_rotation_at": row.rotation.next_at,
        "budget_id": row.budget_id, "permissions": row.permissions, "metadata": row.metadata,
        "extra": row.extra, "created_at": row.created_at, "created_by": row.created_by,
        "updated_at": row.updated_at, "updated_by": row.updated_by,
        "settings_updated_at": row.settings_updated_at,
    })
}

/// The row of a snapshot.
pub(super) fn read(map: &Object) -> Result<KeyRow, StoreError> {
    let nano: Option<u64> = field(map, "max_budget")?;
    Ok(KeyRow {
        key_id: field(map, "key_id")?,
        rev: Rev::new(field(map, "rev")?).unwrap_or_default(),
        token: field(map, "token")?,
        key_name: field(map, "key_name")?,
        key_alias: field(map, "key_alias")?,
        user_id: field(map, "user_id")?,
        team_id: field(map, "team_id")?,
        organization_id: field(map, "organization_id")?,
        key_type: field(map, "key_type")?,
        models: field(map, "models")?,
        aliases: field(map, "aliases")?,
        allowed_routes: field(map, "allowed_routes")?,
        blocked: field(map, "blocked")?,
        expires: field(map, "expires")?,
        limits: LimitColumns {
            max_budget: nano.map(NanoUsd::saturating),
            max_parallel_requests: field(map, "max_parallel_requests")?,
            tpm_limit: field(map, "tpm_limit")?,
            rpm_limit: field(map, "rpm_limit")?,
            budget_duration: field(map, "budget_duration")?,
            budget_anchor: field(map, "budget_anchor")?,
        },
        rotation: Rotation {
            auto: field(map, "auto_rotate")?,
            interval: field(map, "rotation_interval")?,
            count: field::<Option<u64>>(map, "rotation_count")?.unwrap_or(0),
            last_at: field(map, "last_rotation_at")?,
            next_at: field(map, "key_rotation_at")?,
            unclaimed: false,
        },
        budget_id: field(map, "budget_id")?,
        refresh_at: None,
        permissions: field(map, "permissions")?,
        metadata: field(map, "metadata")?,
        extra: field(map, "extra")?,
        created_at: field(map, "created_at")?,
        created_by: field(map, "created_by")?,
        updated_at: field(map, "updated_at")?,
        updated_by: field(map, "updated_by")?,
        settings_updated_at: field(map, "settings_updated_at")?,
    })
}

fn field<T: DeserializeOwned>(map: &Object, name: &str) -> Result<T, StoreError> {
    let value = map.get(name).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value)
        .map_err(|error| StoreError::Corrupt(format!("deleted_keys.snapshot.{name}: {error}")))
}
