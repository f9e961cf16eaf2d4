//! Models, their groups, tags, and the cache that is not there.

use crate::openapi::schema::{ANY, Of, list, map, one};
use crate::policy::Action as A;
use crate::request::{
    CHANGE_ASSIGNED_GROUP, MODEL_ID, NEW_ASSIGNED_GROUP, NEW_GROUP, NEW_MODEL, TAG, TAG_NAME,
    TAG_NAMES, UPDATE_GROUP, UPDATE_MODEL,
};
use crate::router::row::{Row, delete, get, patch, post, put};
use crate::routes::{cache, models, tags};

static A_TAG: Of = one(&tags::TAG);
static A_GROUP: Of = one(&models::ASSIGNED_GROUP);

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    vec![
        get(   A::ModelList,   "/models",                   "model_list",        models::list).query(models::LIST_QUERY).json(one(&models::LISTED)),
        get(   A::ModelList,   "/v1/models",                "model_list",        models::list).query(models::LIST_QUERY).json(one(&models::LISTED)),
        get(   A::ModelList,   "/models/{*model_id}",       "model_info",        models::one).also(&[404]).json(one(&models::MODEL)),
        get(   A::ModelList,   "/v1/models/{*model_id}",    "model_info",        models::one).also(&[404]).json(one(&models::MODEL)),
        get(   A::ModelInfo,   "/model/info",               "model_info_v1",     models::info).query(models::INFO_QUERY).json(one(&models::INFO)),
        get(   A::ModelInfo,   "/v1/model/info",            "model_info_v1",     models::info).query(models::INFO_QUERY).json(one(&models::INFO)),
        get(   A::ModelInfo,   "/v2/model/info",            "model_info_v2",     models::info_v2).query(models::INFO_V2_QUERY).json(one(&models::INFO_V2)),
        get(   A::ModelInfo,   "/model_group/info",         "model_group_info",  models::group_info).query(models::GROUP_QUERY).json(one(&models::GROUP_INFO)),
        post(  A::ModelNew,    "/model/new",                "add_new_model",     models::new).body(NEW_MODEL).json(one(&models::WRITTEN)),
        post(  A::ModelUpdate, "/model/update",             "update_model",      models::update).body(UPDATE_MODEL).json(one(&models::WRITTEN)),
        patch( A::ModelUpdate, "/model/{model_id}/update",  "patch_model",       models::patch).body(UPDATE_MODEL).also(&[404]).json(one(&models::WRITTEN)),
        post(  A::ModelDelete, "/model/delete",             "delete_model",      models::delete).body(MODEL_ID).json(one(&models::DELETED)),
        post(  A::AccessGroupNew,    "/access_group/new",                    "create_model_group", models::new_group).body(NEW_GROUP).also(&[409]).json(one(&models::GROUP_CHANGED)),
        get(   A::AccessGroupInfo,   "/access_group/list",                   "list_access_groups", models::list_groups).json(one(&models::GROUPS)),
        get(   A::AccessGroupInfo,   "/access_group/{access_group}/info",    "get_access_group_info", models::group).also(&[404]).json(one(&models::GROUP)),
        put(   A::AccessGroupUpdate, "/access_group/{access_group}/update",  "update_access_group", models::update_group).body(UPDATE_GROUP).also(&[404]).json(one(&models::GROUP_CHANGED)),
        delete(A::AccessGroupDelete, "/access_group/{access_group}/delete",  "delete_access_group", models::delete_group).also(&[404]).json(one(&models::GROUP_DELETED)),
        post(  A::AccessGroupNew,    "/v1/access_group",                     "create_access_group", models::groups_create).body(NEW_ASSIGNED_GROUP).also(&[409]).created(A_GROUP),
        get(   A::AccessGroupInfo,   "/v1/access_group",                     "list_access_groups",  models::groups_all).json(models::ASSIGNED_GROUPS),
        get(   A::AccessGroupInfo,   "/v1/access_group/{access_group_id}",   "get_access_group",    models::groups_info).also(&[404]).json(A_GROUP),
        put(   A::AccessGroupUpdate, "/v1/access_group/{access_group_id}",   "update_access_group", models::groups_change).body(CHANGE_ASSIGNED_GROUP).also(&[404, 409]).json(A_GROUP),
        delete(A::AccessGroupDelete, "/v1/access_group/{access_group_id}",   "delete_access_group", models::groups_remove).also(&[404]).nothing(),
        post(  A::TagNew,      "/tag/new",                  "new_tag",           tags::new).body(TAG).json(one(&tags::WRITTEN)),
        post(  A::TagUpdate,   "/tag/update",               "update_tag",        tags::update).body(TAG).also(&[404]).json(one(&tags::WRITTEN)),
        post(  A::TagInfo,     "/tag/info",                 "info_tag",          tags::info).body(TAG_NAMES).also(&[404]).json(map(&A_TAG)),
        get(   A::TagDistinct, "/tag/distinct",             "get_distinct_user_agent_tags", tags::distinct).json(one(&tags::DISTINCT)),
        get(   A::TagList,     "/tag/list",                 "list_tags",         tags::list).query(tags::LIST_QUERY).json(list(&A_TAG)),
        post(  A::TagDelete,   "/tag/delete",               "delete_tag",        tags::delete).body(TAG_NAME).also(&[404]).json(one(&tags::DELETED)),
        get(   A::CachePing,   "/cache/ping",               "cache_ping",        cache::ping).also(&[503]).json(ANY),
    ]
}
