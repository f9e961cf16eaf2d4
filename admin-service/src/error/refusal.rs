//! The refusals. Their statuses and sentences are in `wire`; the sentences that clients match on are LiteLLM's.

mod wire;

pub use wire::python_list;

/// A rule that said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credential in any form.
    NoCredential,
    /// `Authorization` without scheme.
    MalformedCredential,
    /// Two credentials of one request differ.
    CredentialsDisagree,
    /// Not `sk-…`; carries the value with its middle masked.
    NotAVirtualKey(String),
    /// A key that nobody has.
    UnknownKey,
    /// The caller's key is blocked.
    KeyBlocked,
    /// The caller's user is blocked.
    UserBlocked(String),
    /// The caller's team is blocked.
    TeamBlocked(String),
    /// The caller's key expired.
    KeyExpired {
        /// `sk-...abcd`.
        display: String,
        /// When.
        expired: String,
        /// Now.
        now: String,
    },
    /// The caller's key may not call this route.
    RouteNotAllowed {
        /// What it may call.
        allowed: Vec<String>,
        /// The route.
        route: String,
    },
    /// The role may not call this route.
    OnlyProxyAdmin {
        /// The route.
        route: String,
        /// The role.
        role: &'static str,
        /// The user, masked.
        user: String,
    },
    /// A viewing role tried to write.
    ViewerMayNot {
        /// The role.
        role: &'static str,
        /// The route.
        route: String,
    },
    /// Only the master key may call this route.
    OnlyMasterKey(String),
    /// The session ended, by itself or by its user.
    SessionOver,
    /// A page of another site made a browser ask.
    OtherSite,
    /// Name or password are wrong.
    BadCredentials,
    /// Too many failed sign-ins; for how many seconds there may be none.
    SignInsBlocked {
        /// Seconds.
        seconds: u64,
    },
    /// Too many sign-ins at once.
    TooManySignIns,
    /// Passwords sign nobody in: the identity provider does.
    OnlySso,
    /// The identity provider lacks settings.
    SsoIncomplete(String),
    /// Only admins use the pages; the role.
    PagesForAdmins(String),
    /// Only a session ends this way.
    NotASession,
    /// Only a session that a password began changes it.
    NotAPasswordSession,
    /// The current password is another one.
    WrongPassword,
    /// A password that the policy refuses; what it lacks.
    WeakPassword(String),

    /// An invitation for nobody.
    InvitationUserMissing,
    /// Only admins invite; the role.
    InvitationForAdmins(&'static str),
    /// No such invitation.
    InvitationMissing,
    /// No such link.
    LinkMissing,
    /// The link's time is over.
    LinkExpired,
    /// The link was used.
    LinkUsed,
    /// No onboarding token.
    OnboardingMissing,
    /// An onboarding token of another link, or none.
    OnboardingInvalid,
    /// The link is another user's.
    OnboardingOther {
        /// Who was named.
        got: String,
        /// Whose it is.
        expected: String,
    },

    /// No such path.
    NoRoute,
    /// A path that this product does not serve although LiteLLM does; says what.
    NotServed(&'static str),
    /// The path has no such method.
    NoMethod,
    /// The body is no JSON; the parser's words.
    BadJson(String),
    /// An `Idempotency-Key` that is none.
    IdempotencyKey,
    /// An `Idempotency-Key` that another request has.
    IdempotencyMismatch,
    /// The request of this `Idempotency-Key` is not answered yet, or its answer was lost.
    IdempotencyPending,
    /// The body is larger than allowed.
    BodyTooLarge(usize),

    /// `/key/info` of a key that is not there.
    KeyInfoMissing,
    /// A write to a key that is not there.
    KeyMissing,
    /// None of the keys to delete is there.
    NoKeysFound,
    /// The key belongs to somebody else.
    NotYourKeyInfo(&'static str),
    /// The key is not the caller's to delete.
    NotYourKeyToDelete,
    /// The key is not the caller's to give another value.
    NotYourKeyToRegenerate,
    /// `/key/regenerate` that names no key.
    NoKeyToRegenerate,
    /// The master key is no key of the database.
    MasterKeyIsConfigured,
    /// `grace_period`.
    BadGracePeriod(String),
    /// `rotation_interval`.
    BadRotationInterval(String),
    /// `/key/bulk_update` by somebody who is no admin.
    BulkUpdateIsForAdmins,
    /// `/key/bulk_update` of nothing.
    NoKeysToUpdate,
    /// More keys in one request than are taken.
    TooManyKeys(usize),
    /// `/v2/key/info` of nothing.
    NoKeysAsked,
    /// `reset_to` below zero.
    ResetBelowZero,
    /// `reset_to` above what was spent.
    ResetAboveSpend {
        /// What was asked.
        asked: String,
        /// What was spent.
        spent: String,
    },
    /// `/team/permissions_bulk_update` that names teams and means all, or neither.
    WhichTeams {
        /// Whether both were said.
        both: bool,
    },
    /// Teams that are not there.
    TeamsMissing(Vec<String>),
    /// `expires` of `/key/list` that is no filter.
    BadExpiresFilter(String),
    /// No group of this id.
    AssignedGroupMissing(String),
    /// A group of this name is there.
    AssignedGroupExists(String),
    /// A group for teams that are not there.
    UnknownTeams(Vec<String>),
    /// A service account without team.
    ServiceAccountWithoutTeam,
    /// The role may not make keys without team.
    PersonalKeysRestricted {
        /// The roles that may.
        allowed: Vec<String>,
        /// The caller's.
        role: &'static str,
    },
    /// The role in the team may not make keys of it.
    TeamRoleMayNotMakeKeys {
        /// The roles that may.
        allowed: Vec<String>,
        /// The caller's.
        role: String,
    },
    /// `key_generation_settings` requires this field.
    RequiredParam(String),
    /// More budget than `self_serve_budget_policy` leaves to an owner.
    SelfServeBudget(&'static str),
    /// Somebody else's keys.
    NotYourKeys,
    /// A key without user has no list.
    NoUserForList,
    /// Only admins; names route and caller.
    AdminsOnly {
        /// The route, with what of it.
        what: String,
        /// The role.
        role: &'static str,
        /// The user.
        user: String,
        /// Whether the sentence is raised inside a handler that wraps it.
        wrapped: bool,
    },
    /// A key for somebody else.
    KeyForOther {
        /// Whose.
        asked: String,
        /// The caller.
        own: String,
    },
    /// Only proxy admins may set this field of a key.
    AdminOnlyField(&'static str),
    /// A custom key without `sk-`.
    KeyFormat,
    /// A custom key that is too short.
    KeyTooShort,
    /// A custom key with a character that no virtual key has, or too long.
    KeyCharacters,
    /// A key of this value exists.
    KeyExists,
    /// An alias that another key has.
    AliasExists(String),
    /// More than the caller has.
    MoreThanOwn {
        /// The field.
        field: &'static str,
        /// What was asked.
        asked: String,
        /// What the caller has.
        own: String,
    },
    /// The key would belong to nobody there is; only proxy admins make such keys.
    OwnerMissing {
        /// `user_id` or `team_id`.
        field: &'static str,
        /// Who.
        id: String,
    },
    /// Above `upperbound_key_generate_params`.
    AboveBound {
        /// The field.
        field: &'static str,
        /// What was asked.
        asked: String,
        /// The bound.
        bound: String,
    },
    /// An unknown team, named by somebody who is no admin.
    TeamMissingForKey(String),
    /// The caller is not in the team.
    NotInTeam {
        /// The caller.
        user: String,
        /// The team.
        team: String,
    },
    /// A team member without this permission.
    TeamPermission {
        /// The route.
        route: &'static str,
        /// LiteLLM's name of it.
        name: &'static str,
        /// What the member may.
        permitted: Vec<String>,
        /// The team.
        team: String,
    },
    /// A budget row that is not there.
    BudgetMissing(String),
    /// `/budget/new` of an id that exists.
    BudgetExists(String),
    /// `/budget/update` without id.
    BudgetIdMissing,
    /// `/budget/info` of no ids.
    NoBudgetsNamed,
    /// `/budget/update` or `/budget/settings` of a row that is not there.
    BudgetUnknown(String),
    /// A budget row to delete that an organization cannot be without.
    BudgetOfOrganization(String),
    /// A customer of this id exists.
    CustomerExists(String),
    /// A customer that is not there.
    CustomerMissing {
        /// Who.
        id: String,
        /// The parameter that named them.
        param: &'static str,
    },
    /// Customers to delete that are not there.
    CustomersMissing(Vec<String>),
    /// Limits and a budget row in one request.
    BudgetNamedAndMade,
    /// A tag of this name exists.
    TagExists(String),
    /// A tag that is not there.
    TagMissing(String),
    /// A model that could not be served: where and why.
    BadModel(String),
    /// A model of this id exists.
    ModelExists(String),
    /// `/model/update` without `model_info.id`.
    ModelIdMissing,
    /// A model of the database that is not there, named by a body or query.
    ModelMissing(String),
    /// The same, named by the path.
    ModelNotFound(String),
    /// A model that is not served, or not to this caller.
    ModelNotListed(String),
    /// A group of models without name.
    GroupWithoutName,
    /// A group of models of this name exists.
    GroupExists(String),
    /// A group of models that is not there.
    GroupMissing(String),
    /// A group names a model that is not served.
    GroupOfUnknownModel(String),
    /// There is no cache.
    NoCache,
    /// What another handler wraps into `error` is raised as `detail` here.
    InDetail(Box<Refusal>),
    /// `status` of `/key/list`.
    BadKeyStatus,
    /// A sort column that is not there.
    BadSort(&'static str),
    /// An entry of the audit log that is not there.
    AuditMissing(String),
    /// A key's spend is kept by the ledger.
    SpendIsKept,

    /// `duration`.
    BadDuration,
    /// `budget_duration`.
    BadBudgetDuration(String),
    /// A budget below zero.
    NegativeBudget {
        /// The field.
        field: &'static str,
        /// What was sent.
        got: String,
    },
    /// A budget that no number of nano-dollars can hold.
    BudgetTooLarge(&'static str),

    /// A user of this e-mail address exists.
    EmailExists(String),
    /// A user of this id exists.
    UserExists(String),
    /// A user of this id at the identity provider exists.
    SsoUserExists(String),
    /// `/user/info` of a user that is not there.
    UserMissing(String),
    /// Somebody else's user.
    NotYourUser {
        /// Whose.
        asked: String,
        /// The caller.
        own: String,
    },
    /// A write to a user that is not there.
    UserUpdateMissing(String),
    /// `/v2/user/info` of a user that is not there.
    UserInfoMissing(String),
    /// Only admins list users.
    UserListForAdmins,
    /// A role that the caller may not give.
    RoleForAdmins(String),
    /// A field of a user that this caller may not set.
    UserFieldForAdmins(&'static str),
    /// An organization that is not there.
    UserOrganizationMissing(String),
    /// More users in one request than may be.
    TooManyUsers(usize),
    /// Neither users nor changes for all of them.
    NoBulkUpdate,
    /// A user to delete that is not there.
    UserDeleteMissing(String),
    /// A team named in `teams` that is not there.
    UserTeamMissing(String),

    /// A team of this id exists.
    TeamExists(String),
    /// `/team/info` of a team that is not there.
    TeamInfoMissing(String),
    /// A write to a team that is not there.
    TeamUpdateMissing(String),
    /// A team to delete that is not there.
    TeamDeleteMissing(String),
    /// A team to add a member to that is not there.
    MemberTeamMissing(String),
    /// The caller is not in the team it asks about.
    NotYourTeam {
        /// The caller.
        user: String,
        /// The team.
        team: String,
    },
    /// Neither proxy admin nor admin of the team.
    NotTeamAdmin {
        /// The route.
        route: String,
        /// The team.
        team: String,
    },
    /// A team admin may not edit the team.
    TeamAdminMayNotEdit,
    /// The member is in the team already.
    MemberExists {
        /// The member that was sent.
        member: String,
        /// The members there are.
        existing: String,
    },
    /// The user is in the team already, said of one of many.
    AlreadyMember(String),
    /// Somebody who is no member of the team.
    NotAMember,
    /// Other people's teams, asked for by somebody who is no admin; the role.
    OnlyAdminsListTeams(&'static str),
    /// More members in one request than are taken.
    TooManyMembers(usize),
    /// Fields of a team that its admins may not edit.
    TeamAdminMayNotEditFields {
        /// What was sent.
        fields: Vec<String>,
        /// What may be.
        editable: Vec<String>,
    },
    /// A sort order other than `asc` and `desc`.
    BadSortOrder,
    /// Path and body name different teams.
    TeamsDisagree,
    /// A value for a key, on a proxy that makes all values itself.
    KeyIsChosen,
    /// Team admins remove no members on this proxy.
    TeamAdminMayNotRemove,

    /// More than the owner (the team, the organization) has.
    BeyondOwner {
        /// The field.
        field: &'static str,
        /// What was asked.
        asked: String,
        /// What the owner has.
        own: String,
    },
    /// An organization that is not there.
    OrganizationMissing(String),
    /// An organization of this id exists.
    OrganizationExists(String),
    /// An organization to delete that is not there.
    OrganizationDeleteMissing(String),
    /// The caller is not in the organization it asks about.
    NotYourOrganization {
        /// The caller.
        user: String,
        /// The organization.
        organization: String,
    },
    /// The member is in the organization already.
    OrganizationMemberExists {
        /// The user.
        user: String,
        /// The organization.
        organization: String,
    },
    /// A budget row that others share, and limits for it, in one request.
    BudgetAndLimits,
    /// A user whom only proxy admins take into an organization.
    NotYourUserToTake(String),
    /// Somebody who is no member of the organization.
    NotInOrganization {
        /// The user.
        user: String,
        /// The organization.
        organization: String,
    },

    /// Spend by day without its days.
    DatesMissing,
    /// A report by day without its days; LiteLLM says it in another shape there.
    ReportDatesMissing,
    /// The spend of somebody else.
    OwnSpendOnly,
    /// The spend of an organization that the caller does not administer.
    NotYourOrganizationSpend(String),
    /// More ids than one request may name.
    TooManyNamed(&'static str, usize),
    /// An export in a format that there is not.
    BadExportFormat,
    /// A report by what none is made by.
    BadGroup,
    /// `/spend/calculate` without what it needs.
    NothingToPrice,
    /// `/spend/calculate` of a model without messages.
    MessagesMissing,
    /// A model without a known price.
    PriceUnknown(String),
    /// A request that is not in the log, or not the caller's.
    SpendLogMissing(String),
}
