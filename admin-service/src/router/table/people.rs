//! People: users, invitations, sessions.

use crate::openapi::schema::{WHOLE, one};
use crate::policy::Action as A;
use crate::request::{
    BULK_UPDATE, CLAIM, INVITATION_DELETE, INVITATION_NEW, INVITATION_UPDATE, LOGIN, NEW_USER,
    PASSWORD_CHANGE, UPDATE_USER, USER_IDS,
};
use crate::router::row::Access::Public;
use crate::router::row::{Row, get, post};
use crate::routes::{invitations, onboarding, session, users};

#[rustfmt::skip]
pub(super) fn users() -> Vec<Row> {
    vec![
        post(A::UserNew,       "/user/new",                 "new_user",          users::new).body(NEW_USER).also(&[404, 409]).json(one(&users::CREATED)),
        post(A::UserUpdate,    "/user/update",              "user_update",       users::update).body(UPDATE_USER).also(&[404, 409]).json(one(&users::UPDATED)),
        post(A::UserDelete,    "/user/delete",              "delete_user",       users::delete).body(USER_IDS).also(&[404]).json(WHOLE),
        post(A::UserBulkUpdate, "/user/bulk_update",        "bulk_user_update",  users::bulk_update).body(BULK_UPDATE).json(one(&users::BULK_UPDATED)),
        get( A::UserInfo,      "/user/info",                "user_info",         users::info).query(users::INFO_QUERY).also(&[404]).json(one(&users::INFO)),
        get( A::UserInfo,      "/v2/user/info",             "user_info_v2",      users::flat).query(users::INFO_QUERY).also(&[404]).json(one(&users::FLAT)),
        get( A::UserList,      "/user/list",                "get_users",         users::list).query(users::LIST_QUERY).json(one(&users::LISTED)),
        get( A::UserFilter,    "/user/filter/ui",           "ui_view_users",     users::filter).query(users::FILTER_QUERY).json(users::FOUND),
        get( A::UserSeats,     "/user/available_users",     "available_enterprise_users", users::seats).json(one(&users::SEATS)),
        get( A::UserRoles,     "/user/available_roles",     "user_available_roles", users::available_roles).json(one(&users::ROLES)),
    ]
}

#[rustfmt::skip]
pub(super) fn invitations() -> Vec<Row> {
    vec![
        post(A::InvitationNew, "/invitation/new",           "new_invitation",    invitations::new).body(INVITATION_NEW).json(one(&invitations::INVITATION)),
        get( A::InvitationInfo, "/invitation/info",         "invitation_info",   invitations::info).query(invitations::INFO_QUERY).json(one(&invitations::INVITATION)),
        post(A::InvitationUpdate, "/invitation/update",     "invitation_update", invitations::update).body(INVITATION_UPDATE).json(one(&invitations::INVITATION)),
        post(A::InvitationDelete, "/invitation/delete",     "invitation_delete", invitations::delete).body(INVITATION_DELETE).json(one(&invitations::INVITATION)),
        get( Public,           "/onboarding/get_token",     "onboarding",        onboarding::get_token).query(onboarding::LINK_QUERY).also(&[401, 429, 503]).json(one(&onboarding::TRADED)),
        post(Public,           "/onboarding/claim_token",   "claim_onboarding_link", onboarding::claim_token).body(CLAIM).also(&[401, 403, 429, 503]).json(one(&onboarding::CLAIMED)),
    ]
}

#[rustfmt::skip]
pub(super) fn sessions() -> Vec<Row> {
    vec![
        post(Public,           "/login",                    "login",             session::login_form).form(LOGIN).also(&[401, 403, 429, 503]).redirects(),
        post(Public,           "/v2/login",                 "login_v2",          session::login).body(LOGIN).also(&[401, 403, 429, 503]).json(one(&session::BEGUN)),
        post(A::SessionLogout, "/session/logout",           "logout_session",    session::logout).json(one(&session::ENDED)),
        get( Public,           "/logout",                   "logout",            session::leave).also(&[503]).redirects(),
        post(A::PasswordChange, "/user/password/change",    "change_password",   session::change).body(PASSWORD_CHANGE).also(&[429]).json(one(&session::CHANGED)),
        get( A::UiSettings,    "/sso/get/ui_settings",      "get_ui_settings",   session::ui_settings).json(one(&session::UI_SETTINGS)),
        get( A::SsoReadiness,  "/sso/readiness",            "sso_readiness",     session::readiness).json(one(&session::READINESS)),
        get( Public,           "/.well-known/litellm-ui-config", "get_ui_config", session::ui_config).json(one(&session::UI_CONFIG)),
    ]
}
