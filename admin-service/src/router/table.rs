//! The routes.

use super::row::Access::Public;
use super::row::{Row, get, post};
use crate::openapi::schema::{TEXT, one};
use crate::policy::Action as A;
use crate::request::{
    GENERATE_KEY, KEY_NAME, KEY_NAMES, MEMBER_ADD, NEW_TEAM, TEAM_IDS, UPDATE_KEY, UPDATE_TEAM,
};
use crate::routes::{health, keys, teams};

mod budgets;
mod customers;
mod models;
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
        post(A::KeyUpdate,     "/key/update",               "update_key_fn",     keys::update).body(UPDATE_KEY).also(&[404]).json(one(&keys::UPDATED)),
        post(A::KeyDelete,     "/key/delete",               "delete_key_fn",     keys::delete).body(KEY_NAMES).also(&[404]).json(one(&keys::DELETED)),
        post(A::KeyBlock,      "/key/block",                "block_key",         keys::block).body(KEY_NAME).also(&[404]).json(one(&keys::KEY)),
        post(A::KeyUnblock,    "/key/unblock",              "unblock_key",       keys::unblock).body(KEY_NAME).also(&[404]).json(one(&keys::KEY)),
        get( A::KeyInfo,       "/key/info",                 "info_key_fn",       keys::info).query(keys::INFO_QUERY).also(&[404]).json(one(&keys::INFO)),
        get( A::KeyList,       "/key/list",                 "list_keys",         keys::list).query(keys::LIST_QUERY).json(one(&keys::LISTED)),
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
