//! Models: those of the file and those of the database, their prices, and groups of them.

use serde_json::{Value, json};

use crate::catalogue::price_fields;
use crate::routes::shape::Times;
use crate::store::models::ModelRow;
use crate::store::row::Object;
use contract::records::ModelRecord;

mod access;
mod assigned_groups;
mod fields;
mod group_info;
mod groups;
mod info;
mod list;
mod write;

pub use assigned_groups::{
    ASSIGNED_GROUP, ASSIGNED_GROUPS, all as groups_all, change as groups_change,
    create as groups_create, info as groups_info, remove as groups_remove,
};
pub use group_info::{GROUP_INFO, GROUP_QUERY, group_info};
pub use groups::{
    GROUP, GROUP_CHANGED, GROUP_DELETED, GROUPS, delete_group, group, list_groups, new_group,
    update_group,
};
pub use info::{INFO, INFO_QUERY, INFO_V2, INFO_V2_QUERY, info, info_v2};
pub use list::{LIST_QUERY, LISTED, MODEL, list, one};
pub use write::{DELETED, WRITTEN, delete, new, patch, update};

/// `model_info` of an answer: what the entry says, and what is known of the model.
fn info_of(stated: &Object, record: Option<&ModelRecord>, id: &str, db: bool) -> Object {
    let mut info = Object::new();
    if let Some(record) = record {
        info.insert("key".into(), json!(record.name));
        info.insert("litellm_provider".into(), json!(record.provider));
        info.insert("mode".into(), json!(record.mode));
        info.insert("max_input_tokens".into(), json!(record.max_input_tokens));
        info.insert("max_output_tokens".into(), json!(record.max_output_tokens));
        info.insert("max_tokens".into(), json!(record.max_output_tokens));
        info.extend(record.price.as_ref().map(price_fields).unwrap_or_default());
    }
    info.extend(stated.clone());
    info.insert("id".into(), json!(id));
    info.insert("db_model".into(), json!(db));
    info
}

/// A model of the database as the answers to changes show it.
fn row(model: &ModelRow) -> Value {
    let mut info = model.info.clone();
    info.insert("id".into(), json!(model.model_id));
    info.insert("db_model".into(), json!(true));
    json!({
        "model_id": model.model_id,
        "model_name": model.model_name,
        "litellm_params": model.params,
        "model_info": info,
        "blocked": model.blocked,
        "created_at": Times::Z.print(model.created_at),
        "created_by": model.created_by,
        "updated_at": Times::Z.print(model.updated_at),
        "updated_by": model.updated_by,
    })
}
