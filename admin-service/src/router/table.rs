//! The routes.

use super::row::Access::Public;
use super::row::{Row, get, patch, post};
use crate::openapi::schema::{TEXT, one};
use crate::policy::Action as A;
use crate::request::{
    BULK_MEMBER_ADD, BULK_UPDATE_KEYS, GENERATE_KEY, KEY_NAME, KEY_NAMES, KEYS_ASKED, MEMBER_ADD,
    MEMBER_DELETE, MEMBER_UPDATE, NEW_TEAM, PATCH_TEAM, REGENERATE_KEY, RESET_SPEND, TEAM_ID,
    TEAM_IDS, TEAM_KEYS_UPDATE, TEAM_MODELS, TEAM_PERMISSIONS, TEAM_PERMISSIONS_BULK, UPDATE_KEY,
    UPDATE_TEAM,
};
use crate::routes::{health, keys, teams};

mod budgets;
mod customers;
mod models;
mod organizations;
mod people;
mod settings;
mod spend;

/// All of them.
pub fn rows() -> Vec<Row> {
    [
        keys(),
        people::users(),
        people::invitations(),
        people::sessions(),
        teams(),
        budgets::rows(),
        organizations::rows(),
        customers::rows(),
        models::rows(),
        spend::rows(),
        settings::rows(),
        service(),
    ]
    .concat()
}

// Each row: who may, the path, LiteLLM's name, what does it, what it reads and what it answers.

#[rustfmt::skip]
fn keys() -> Vec<Row> {
    vec![
        post(A::KeyGenerate,   "/key/generate",             "generate_key_fn",   keys::generate).body(GENERATE_KEY).also(&[404, 409]).json(one(&keys::CREATED)),
        post(A::KeyServiceAccount, "/key/service-account/generate", "generate_service_account_key_fn", keys::service_account).body(GENERATE_KEY).also(&[404, 409]).json(one(&keys::CREATED)),
        post(A::KeyUpdate,     "/key/update",               "update_key_fn",     keys::update).body(UPDATE_KEY).also(&[404]).json(one(&keys::UPDATED)),
        post(A::KeyBulkUpdate, "/key/bulk_update",          "bulk_update_keys",  keys::bulk_update).body(BULK_UPDATE_KEYS).json(one(&keys::BULK_UPDATED)),
        post(A::KeyTeamBulkUpdate, "/team/key/bulk_update", "bulk_update_team_keys", keys::team_bulk_update).body(TEAM_KEYS_UPDATE).also(&[404]).json(one(&keys::BULK_UPDATED)),
        post(A::KeyRegenerate, "/key/regenerate",           "regenerate_key_fn", keys::regenerate).query(keys::REGENERATE_QUERY).body(REGENERATE_KEY).also(&[404, 409]).json(one(&keys::CREATED)),
        post(A::KeyRegenerate, "/key/{key}/regenerate",     "regenerate_key_fn", keys::regenerate_named).body(REGENERATE_KEY).also(&[404, 409]).json(one(&keys::CREATED)),
        post(A::KeyResetSpend, "/key/{key}/reset_spend",    "reset_key_spend_fn", keys::reset_spend).body(RESET_SPEND).also(&[404]).json(one(&keys::RESET)),
        post(A::KeyDelete,     "/key/delete",               "delete_key_fn",     keys::delete).body(KEY_NAMES).also(&[404]).json(one(&keys::DELETED)),
        post(A::KeyBlock,      "/key/block",                "block_key",         keys::block).body(KEY_NAME).also(&[404]).json(one(&keys::KEY)),
        post(A::KeyUnblock,    "/key/unblock",              "unblock_key",       keys::unblock).body(KEY_NAME).also(&[404]).json(one(&keys::KEY)),
        get( A::KeyInfo,       "/key/info",                 "info_key_fn",       keys::info).query(keys::INFO_QUERY).also(&[404]).json(one(&keys::INFO)),
        post(A::KeyInfoV2,     "/v2/key/info",              "info_key_fn_v2",    keys::info_v2).body(KEYS_ASKED).json(one(&keys::INFO_V2)),
        get( A::KeyList,       "/key/list",                 "list_keys",         keys::list).query(keys::LIST_QUERY).json(one(&keys::LISTED)),
        get( A::KeyAliases,    "/key/aliases",              "key_aliases",       keys::aliases).query(keys::ALIASES_QUERY).json(one(&keys::ALIASES)),
        post(A::KeyHealth,     "/key/health",               "key_health",        keys::health).json(one(&keys::HEALTH)),
    ]
}

#[rustfmt::skip]
fn teams() -> Vec<Row> {
    vec![
        post(A::TeamNew,       "/team/new",                 "new_team",          teams::new).body(NEW_TEAM).also(&[404, 409]).json(one(&teams::TEAM)),
        post(A::TeamUpdate,    "/team/update",              "update_team",       teams::update).body(UPDATE_TEAM).also(&[404]).json(one(&teams::UPDATED)),
        post(A::TeamDelete,    "/team/delete",              "delete_team",       teams::delete).body(TEAM_IDS).also(&[404]).json(one(&teams::DELETED)),
        post(A::TeamMemberAdd, "/team/member_add",          "team_member_add",   teams::member_add).body(MEMBER_ADD).also(&[404]).json(one(&teams::MEMBERS_ADDED)),
        get( A::TeamInfo,      "/team/info",                "team_info",         teams::info).query(teams::INFO_QUERY).also(&[404]).json(one(&teams::INFO)),
        patch(A::TeamUpdate,   "/team/{team_id}",           "patch_team",        teams::patch).body(PATCH_TEAM).also(&[404]).json(one(&teams::TEAM)),
        get( A::TeamList,      "/team/list",                "list_team",         teams::list).query(teams::LIST_QUERY).json(teams::LISTED),
        get( A::TeamList,      "/v2/team/list",             "list_team_v2",      teams::list_v2).query(teams::PAGE_QUERY).json(one(&teams::PAGE)),
        get( A::TeamAvailable, "/team/available",           "list_available_teams", teams::available).json(teams::AVAILABLE),
        post(A::TeamBlock,     "/team/block",               "block_team",        teams::block).body(TEAM_ID).also(&[404]).json(one(&teams::TEAM)),
        post(A::TeamUnblock,   "/team/unblock",             "unblock_team",      teams::unblock).body(TEAM_ID).also(&[404]).json(one(&teams::TEAM)),
        post(A::TeamBulkMemberAdd, "/team/bulk_member_add", "bulk_team_member_add", teams::bulk_member_add).body(BULK_MEMBER_ADD).also(&[404]).json(one(&teams::BULK_ADDED)),
        post(A::TeamMemberUpdate, "/team/member_update",    "team_member_update", teams::member_update).body(MEMBER_UPDATE).also(&[404]).json(one(&teams::MEMBER_UPDATED)),
        post(A::TeamMemberDelete, "/team/member_delete",    "team_member_delete", teams::member_delete).body(MEMBER_DELETE).also(&[404]).json(one(&teams::TEAM)),
        post(A::TeamModelAdd,  "/team/model/add",           "team_model_add",    teams::model_add).body(TEAM_MODELS).also(&[404]).json(one(&teams::TEAM)),
        post(A::TeamModelDelete, "/team/model/delete",      "team_model_delete", teams::model_delete).body(TEAM_MODELS).also(&[404]).json(one(&teams::TEAM)),
        get( A::TeamPermissionsList, "/team/permissions_list", "team_member_permissions", teams::permissions_list).query(teams::PERMISSIONS_QUERY).also(&[404]).json(one(&teams::PERMISSIONS)),
        post(A::TeamPermissionsUpdate, "/team/permissions_update", "update_team_member_permissions", teams::permissions_update).body(TEAM_PERMISSIONS).also(&[404]).json(one(&teams::TEAM)),
        post(A::TeamPermissionsBulkUpdate, "/team/permissions_bulk_update", "bulk_update_team_member_permissions", teams::permissions_bulk_update).body(TEAM_PERMISSIONS_BULK).also(&[404]).json(one(&teams::PERMISSIONS_APPENDED)),
        get( A::TeamMemberSelf, "/team/{team_id}/members/me", "team_member_me",  teams::me).also(&[404]).json(one(&teams::OWN_MEMBERSHIP)),
        post(A::TeamMemberResetBudget, "/team/{team_id}/member/{user_id}/reset_budget", "team_member_reset_budget", teams::reset_budget).also(&[404]).json(one(&teams::BUDGET_RESET)),
        post(A::TeamMemberResetSpend, "/team/{team_id}/member/{user_id}/reset_spend", "reset_team_member_spend", teams::reset_spend).body(RESET_SPEND).also(&[404]).json(one(&teams::SPEND_RESET)),
    ]
}

#[rustfmt::skip]
fn service() -> Vec<Row> {
    vec![
        get( A::HealthDetails, "/health",                   "health_endpoint",   health::health).json(one(&health::HEALTH)),
        get( A::HealthDetails, "/health/backlog",           "health_backlog",    health::backlog).json(one(&health::BACKLOG)),
        get( Public,           "/health/liveliness",        "health_liveliness", health::alive).json(TEXT),
        get( Public,           "/health/liveness",          "health_liveliness", health::alive).json(TEXT),
        get( Public,           "/health/readiness",         "health_readiness",  health::ready).also(&[503]).json(one(&health::READY)),
        get( A::HealthDetails, "/health/readiness/details", "health_readiness_details", health::ready_details).json(one(&health::READY_DETAILS)),
        get( A::ServiceMetrics, "/metrics",                 "metrics",           health::metrics).other(health::PROMETHEUS),

        get( Public,           "/routes",                   "get_routes",        super::routes).json(one(&super::ROUTES)),
        get( Public,           "/test",                     "test_endpoint",     super::test).json(one(&super::TESTED)),
        get( Public,           "/openapi.json",             "openapi",           super::document).json(crate::openapi::schema::OBJECT),
    ]
}
