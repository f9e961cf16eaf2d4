//! Organizations.

use crate::openapi::schema::{Of, one};
use crate::policy::Action as A;
use crate::request::{
    NEW_ORGANIZATION, ORG_MEMBER_ADD, ORG_MEMBER_DELETE, ORG_MEMBER_UPDATE, ORGANIZATION_IDS,
    ORGANIZATIONS, PATCH_ORGANIZATION, UPDATE_ORGANIZATION,
};
use crate::router::row::{Row, delete, get, patch, post};
use crate::routes::organizations as org;

static ONE: Of = one(&org::ORGANIZATION);
static MEMBER: Of = one(&org::MEMBERSHIP);

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    vec![
        post(  A::OrganizationNew,    "/organization/new",    "new_organization",    org::new).body(NEW_ORGANIZATION).json(one(&org::CREATED)),
        patch( A::OrganizationUpdate, "/organization/update", "update_organization", org::update).body(UPDATE_ORGANIZATION).also(&[404]).json(ONE),
        patch( A::OrganizationUpdate, "/v2/organization/{organization_id}", "patch_organization_v2", org::patch).body(PATCH_ORGANIZATION).also(&[404]).json(ONE),
        delete(A::OrganizationDelete, "/organization/delete", "delete_organization", org::delete).body(ORGANIZATION_IDS).also(&[404]).json(org::ORGANIZATIONS),
        get(   A::OrganizationList,   "/organization/list",   "list_organization",   org::list_all).query(org::LIST_QUERY).json(org::ORGANIZATIONS),
        get(   A::OrganizationInfo,   "/organization/info",   "info_organization",   org::info).query(org::INFO_QUERY).also(&[404]).json(ONE),
        post(  A::OrganizationInfo,   "/organization/info",   "deprecated_info_organization", org::infos).body(ORGANIZATIONS).json(org::ORGANIZATIONS),
        post(  A::OrganizationMemberAdd,    "/organization/member_add",    "organization_member_add",    org::member_add).body(ORG_MEMBER_ADD).also(&[404, 409]).json(one(&org::MEMBERS_ADDED)),
        patch( A::OrganizationMemberUpdate, "/organization/member_update", "organization_member_update", org::member_update).body(ORG_MEMBER_UPDATE).also(&[404]).json(MEMBER),
        delete(A::OrganizationMemberDelete, "/organization/member_delete", "organization_member_delete", org::member_delete).body(ORG_MEMBER_DELETE).also(&[404]).json(MEMBER),
    ]
}
