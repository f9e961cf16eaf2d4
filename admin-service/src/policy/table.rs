//! The policy. A row says everything about one action: add one, and the action, its proof's type and its line of the golden table are there.
//!
//! Columns: the groups by which a key's `allowed_routes` may name it; the verdicts for proxy admin, proxy admin viewer, internal user, internal
//! user viewer and nobody's role (a key without user, a user without role); then what being admin of a team, member of a team or admin of an
//! organization adds to it.

use super::{Act, Reach, Relation, Rule, Verdict, Writes};

const ANY: Verdict = Verdict::May(Reach::Any);
const OWN: Verdict = Verdict::May(Reach::Own);
const REL: Verdict = Verdict::ByRelation;
const ADMIN: Verdict = Verdict::OnlyProxyAdmin;
const VIEW: Verdict = Verdict::ViewerMayNot;
const PERMIT: Verdict = Verdict::WithSpendPermission;
const MASTER: Verdict = Verdict::OnlyMasterKey;

const NONE: Relation = Relation::Nothing;
const TEAM: Relation = Relation::Team;
const PERM: Relation = Relation::Permitted;
const ORG: Relation = Relation::Organization;
const OWNS: Relation = Relation::OrganizationAsOwn;

const MANAGE: &[&str] = &["management_routes"];
const MANAGE_INFO: &[&str] = &["management_routes", "info_routes"];
const MODELS: &[&str] = &["info_routes", "llm_api_routes"];
const INFO: &[&str] = &["info_routes"];
const SPEND: &[&str] = &["spend_tracking_routes", "management_routes"];
const GLOBAL: &[&str] = &["global_spend_tracking_routes"];

policy! {
    //                                    admin viewer user  u.viewer none   team admin, team member, organization admin
    /// Makes a key.
    KeyGenerate: Writes, MANAGE,         [ANY,  VIEW,  OWN,   ADMIN, ADMIN], [TEAM, PERM, OWNS];
    /// Makes a key of a team that belongs to no user.
    KeyServiceAccount: Writes, MANAGE,   [ANY,  VIEW,  REL,   ADMIN, ADMIN], [TEAM, PERM, OWNS];
    /// Changes a key.
    KeyUpdate: Writes, MANAGE,           [ANY,  VIEW,  OWN,   ADMIN, ADMIN], [TEAM, PERM, OWNS];
    /// Changes several keys.
    KeyBulkUpdate: Writes, MANAGE,       [ANY,  VIEW,  REL,   ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes several keys of a team.
    KeyTeamBulkUpdate: Writes, MANAGE,   [ANY,  VIEW,  REL,   ADMIN, ADMIN], [TEAM, PERM, OWNS];
    /// Gives a key another value.
    KeyRegenerate: Writes, MANAGE,       [ANY,  VIEW,  OWN,   ADMIN, ADMIN], [TEAM, PERM, OWNS];
    /// Sets back what a key has spent.
    KeyResetSpend: Writes, MANAGE,       [ANY,  VIEW,  REL,   ADMIN, ADMIN], [TEAM, NONE, OWNS];
    /// Deletes keys.
    KeyDelete: Writes, MANAGE,           [ANY,  VIEW,  OWN,   ADMIN, ADMIN], [TEAM, PERM, OWNS];
    /// Blocks a key.
    KeyBlock: Writes, MANAGE,            [ANY,  VIEW,  REL,   ADMIN, ADMIN], [TEAM, NONE, OWNS];
    /// Unblocks a key.
    KeyUnblock: Writes, MANAGE,          [ANY,  VIEW,  REL,   ADMIN, ADMIN], [TEAM, NONE, OWNS];
    /// Reads a key.
    KeyInfo, MANAGE_INFO,                [ANY,  ANY,   OWN,   OWN,   OWN],   [TEAM, NONE, OWNS];
    /// Reads several keys.
    KeyInfoV2, MANAGE_INFO,              [ANY,  ANY,   OWN,   OWN,   OWN],   [TEAM, NONE, OWNS];
    /// Lists keys.
    KeyList, MANAGE_INFO,                [ANY,  ANY,   OWN,   OWN,   REL],   [TEAM, NONE, NONE];
    /// Lists aliases.
    KeyAliases, MANAGE,                  [ANY,  ANY,   OWN,   OWN,   REL],   [TEAM, NONE, NONE];
    /// Asks whether the key that asks works.
    KeyHealth, MANAGE_INFO,              [OWN,  OWN,   OWN,   OWN,   OWN],   [NONE, NONE, NONE];

    /// Makes a user.
    UserNew: Writes, MANAGE,             [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Changes a user.
    UserUpdate: Writes, MANAGE,          [ANY,  OWN,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes users.
    UserDelete: Writes, MANAGE,          [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Reads a user.
    UserInfo, MANAGE_INFO,               [ANY,  ANY,   OWN,   OWN,   REL],   [TEAM, NONE, ORG];
    /// Lists users.
    UserList, MANAGE,                    [ANY,  ANY,   REL,   REL,   REL],   [NONE, NONE, ORG];
    /// Changes many users.
    UserBulkUpdate: Writes, MANAGE,      [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads the roles there are.
    UserRoles, MANAGE,                   [ANY,  ANY,   ANY,   ANY,   ANY],   [NONE, NONE, NONE];
    /// Finds users by id or address.
    UserFilter, MANAGE_INFO,             [ANY,  ANY,   REL,   REL,   ADMIN], [TEAM, NONE, ORG];
    /// Counts users.
    UserSeats, MANAGE,                   [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes one's own password.
    PasswordChange: Writes, MANAGE,      [OWN,  OWN,   OWN,   OWN,   REL],   [NONE, NONE, NONE];

    /// Invites a user.
    InvitationNew: Writes, MANAGE,       [ANY,  VIEW,  REL,   REL,   ADMIN], [TEAM, NONE, ORG];
    /// Reads an invitation.
    InvitationInfo, MANAGE,              [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes an invitation.
    InvitationUpdate: Writes, MANAGE,    [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes an invitation.
    InvitationDelete: Writes, MANAGE,    [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Ends one's own session.
    SessionLogout: Writes, MANAGE,       [OWN,  OWN,   OWN,   OWN,   REL],   [NONE, NONE, NONE];
    /// Reads what pages must know.
    UiSettings, MANAGE_INFO,             [ANY,  ANY,   ANY,   ANY,   ANY],   [NONE, NONE, NONE];
    /// Reads whether an identity provider is configured.
    SsoReadiness, MANAGE_INFO,           [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Makes a team.
    TeamNew: Writes, MANAGE,             [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Changes a team.
    TeamUpdate: Writes, MANAGE,          [ANY,  VIEW,  REL,   REL,   ADMIN], [PERM, NONE, ORG];
    /// Deletes teams.
    TeamDelete: Writes, MANAGE,          [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Adds members.
    TeamMemberAdd: Writes, MANAGE,       [ANY,  VIEW,  OWN,   OWN,   ADMIN], [TEAM, NONE, ORG];
    /// Reads a team.
    TeamInfo, MANAGE_INFO,               [ANY,  ANY,   OWN,   OWN,   REL],   [TEAM, TEAM, ORG];
    /// Blocks a team.
    TeamBlock: Writes, MANAGE, [ANY, VIEW, ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Unblocks a team.
    TeamUnblock: Writes, MANAGE, [ANY, VIEW, ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Adds many members.
    TeamBulkMemberAdd: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Changes a member's role and limits.
    TeamMemberUpdate: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Removes a member.
    TeamMemberDelete: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Gives a member the team's limits again.
    TeamMemberResetBudget: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Sets back what a member has spent in the team.
    TeamMemberResetSpend: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Adds models to a team.
    TeamModelAdd: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [PERM, NONE, ORG];
    /// Takes models from a team.
    TeamModelDelete: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [PERM, NONE, ORG];
    /// Changes what members may do with keys.
    TeamPermissionsUpdate: Writes, MANAGE, [ANY, VIEW, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Gives the members of many teams further permissions.
    TeamPermissionsBulkUpdate: Writes, MANAGE, [ANY, VIEW, ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads what members may do with keys.
    TeamPermissionsList, MANAGE, [ANY, ANY, REL, REL, ADMIN], [TEAM, NONE, ORG];
    /// Lists teams.
    TeamList, MANAGE_INFO, [ANY, ANY, OWN, OWN, REL], [NONE, NONE, ORG];
    /// Lists the teams that the caller may join.
    TeamAvailable, MANAGE_INFO, [ANY, ANY, OWN, OWN, OWN], [NONE, NONE, NONE];
    /// Reads the caller's own membership.
    TeamMemberSelf, MANAGE_INFO, [ANY, ANY, OWN, OWN, REL], [TEAM, TEAM, NONE];

    /// Makes a budget row.
    BudgetNew: Writes, MANAGE,           [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes a budget row.
    BudgetUpdate: Writes, MANAGE,        [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes a budget row.
    BudgetDelete: Writes, MANAGE,        [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads budget rows.
    BudgetInfo, MANAGE,                  [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Lists budget rows.
    BudgetList, MANAGE,                  [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads a budget row for a form.
    BudgetSettings, MANAGE,              [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Makes a customer.
    CustomerNew: Writes, MANAGE,         [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes a customer.
    CustomerUpdate: Writes, MANAGE,      [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes customers.
    CustomerDelete: Writes, MANAGE,      [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Blocks customers.
    CustomerBlock: Writes, MANAGE,       [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Unblocks customers.
    CustomerUnblock: Writes, MANAGE,     [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads a customer.
    CustomerInfo, MANAGE,                [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Lists customers.
    CustomerList, MANAGE,                [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Lists models in the shape of their API.
    ModelList, MODELS,                   [ANY,  ANY,   OWN,   OWN,   OWN],   [TEAM, TEAM, NONE];
    /// Reads models with their prices.
    ModelInfo, MANAGE_INFO,              [ANY,  ANY,   OWN,   OWN,   OWN],   [TEAM, TEAM, NONE];
    /// Adds a model.
    ModelNew: Writes, MANAGE,            [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes a model.
    ModelUpdate: Writes, MANAGE,         [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes a model.
    ModelDelete: Writes, MANAGE,         [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Makes a group of models.
    AccessGroupNew: Writes, MANAGE,      [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes a group of models.
    AccessGroupUpdate: Writes, MANAGE,   [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes a group of models.
    AccessGroupDelete: Writes, MANAGE,   [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads groups of models.
    AccessGroupInfo, MANAGE,             [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Makes a tag.
    TagNew: Writes, MANAGE,              [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes a tag.
    TagUpdate: Writes, MANAGE,           [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes a tag.
    TagDelete: Writes, MANAGE,           [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads tags.
    TagInfo, MANAGE,                     [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Lists tags; what they have spent, to those who may see everybody's.
    TagList, MANAGE,                     [ANY,  ANY,   OWN,   OWN,   ADMIN], [NONE, NONE, NONE];

    /// Reads which tags requests had.
    TagDistinct, MANAGE,                 [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Asks for a cache.
    CachePing, MANAGE,                   [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Makes an organization.
    OrganizationNew: Writes, MANAGE,     [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes an organization.
    OrganizationUpdate: Writes, MANAGE,  [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Deletes organizations.
    OrganizationDelete: Writes, MANAGE,  [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads an organization.
    OrganizationInfo, MANAGE_INFO,       [ANY,  ANY,   OWN,   OWN,   REL],   [NONE, NONE, ORG];
    /// Lists organizations.
    OrganizationList, MANAGE_INFO,       [ANY,  ANY,   OWN,   OWN,   OWN],   [NONE, NONE, ORG];
    /// Adds members to an organization.
    OrganizationMemberAdd: Writes, MANAGE,    [ANY, VIEW, ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Changes a member of an organization.
    OrganizationMemberUpdate: Writes, MANAGE, [ANY, VIEW, ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];
    /// Removes a member from an organization.
    OrganizationMemberDelete: Writes, MANAGE, [ANY, VIEW, ADMIN, ADMIN, ADMIN], [NONE, NONE, ORG];

    /// Reads the spend log.
    SpendLogs, SPEND,                    [ANY,  ANY,   OWN,   OWN,   OWN],   [TEAM, PERM, ORG];
    /// Reports what a team spent.
    TeamSpendReport, SPEND,              [ANY,  ANY,   OWN,   OWN,   ADMIN], [TEAM, NONE, ORG];
    /// Reports what an organization spent.
    OrganizationSpendReport, SPEND,      [ANY,  ANY,   REL,   REL,   ADMIN], [NONE, NONE, ORG];
    /// Lists keys, users and tags by what they spent; reports what a key or a user spent.
    SpendReports, SPEND,                 [ANY,  ANY,   OWN,   OWN,   ADMIN], [NONE, NONE, NONE];
    /// Asks what a request would cost.
    SpendCalculate, SPEND,               [ANY,  ANY,   ANY,   ANY,   ADMIN], [NONE, NONE, NONE];
    /// Reads what everybody spent.
    GlobalSpend, GLOBAL,                 [ANY,  ANY,   PERMIT, PERMIT, PERMIT], [NONE, NONE, NONE];
    /// Sets back what keys and teams have spent.
    GlobalSpendReset: Writes, GLOBAL,    [MASTER, MASTER, MASTER, MASTER, MASTER], [NONE, NONE, NONE];
    /// Reads how many requests there were.
    GlobalActivity, GLOBAL,              [ANY,  ANY,   OWN,   ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads how many requests failed.
    GlobalExceptions, GLOBAL,            [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads what users did by day.
    UserActivity, MANAGE,                [ANY,  ANY,   OWN,   OWN,   OWN],   [NONE, NONE, NONE];
    /// Reads what teams did by day.
    TeamActivity, MANAGE,                [ANY,  ANY,   OWN,   OWN,   ADMIN], [TEAM, PERM, ORG];
    /// Reads what organizations did by day.
    OrganizationActivity, MANAGE,        [ANY,  ANY,   REL,   REL,   ADMIN], [NONE, NONE, ORG];
    /// Reads what customers did by day.
    CustomerActivity, MANAGE,            [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads what was done under tags by day.
    TagActivity, MANAGE,                 [ANY,  ANY,   OWN,   OWN,   ADMIN], [NONE, NONE, NONE];

    /// Reads settings.
    SettingsRead, MANAGE,                [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Changes settings.
    SettingsWrite: Writes, MANAGE,       [ANY,  VIEW,  ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads settings of single sign-on, secrets hidden.
    SsoSettingsRead, MANAGE,             [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads what the interface shows and lets people do.
    UiSettingsRead, MANAGE_INFO,         [ANY,  ANY,   ANY,   ANY,   ANY],   [NONE, NONE, NONE];
    /// Reads the audit log.
    AuditRead, MANAGE,                   [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];

    /// Reads the service's figures.
    ServiceMetrics, INFO,                [ANY,  ANY,   ADMIN, ADMIN, ADMIN], [NONE, NONE, NONE];
    /// Reads the service's state.
    HealthDetails, INFO,                 [ANY,  ANY,   ANY,   ANY,   ANY],   [NONE, NONE, NONE];
}
