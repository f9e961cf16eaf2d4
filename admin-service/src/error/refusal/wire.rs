//! The refusals, each with its status, shape and sentence.

use axum::http::StatusCode;

use super::Refusal;
use crate::error::{Shape, Wire};

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const CONFLICT: StatusCode = StatusCode::CONFLICT;

const INVALID: &str = "invalid_request_error";
const AUTH: &str = "auth_error";
const BAD_REQUEST: &str = "bad_request_error";
const MISSING: &str = "not_found_error";

impl Refusal {
    /// After how many seconds the same request may be answered otherwise.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::SignInsBlocked { seconds } => Some(*seconds),
            Self::TooManySignIns => Some(1),
            _ => None,
        }
    }

    /// Status and body.
    #[expect(clippy::too_many_lines, reason = "one row for every refusal")]
    pub fn wire(self) -> Wire {
        match self {
            Self::NoCredential => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, No api key passed in.",
            ),
            Self::MalformedCredential => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.",
            ),
            Self::CredentialsDisagree => Wire::error(
                BAD,
                INVALID,
                "The request carries several credentials that differ. Send one, or the same in all.",
            ),
            Self::NotAVirtualKey(masked) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "LiteLLM Virtual Key expected. Received={masked}, expected to start with 'sk-'."
                ),
            ),
            Self::UnknownKey => Wire::param(
                UNAUTHORIZED,
                "token_not_found_in_db",
                "key",
                "Authentication Error, Invalid API key provided.",
            ),
            Self::KeyBlocked => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
            ),
            Self::UserBlocked(user) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, User={user} is blocked. Ask a proxy admin to unblock it."
                ),
            ),
            Self::TeamBlocked(team) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, Team={team} is blocked. Update via `/team/unblock` if you're an admin."
                ),
            ),
            Self::KeyExpired {
                display,
                expired,
                now,
            } => Wire::param(
                UNAUTHORIZED,
                "expired_key",
                display,
                format!(
                    "Authentication Error - Expired Key. Key Expiry time {expired} and current time {now}"
                ),
            ),
            Self::RouteNotAllowed { allowed, route } => Wire::detail(
                FORBIDDEN,
                format!(
                    "Virtual key is not allowed to call this route. Only allowed to call routes: {}. \
                     Tried to call route: {route}",
                    python_list(&allowed)
                ),
            ),
            Self::OnlyProxyAdmin { route, role, user } => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, Only proxy admin can be used to generate, delete, update info \
                     for new keys/users/teams. Route={route}. Your role={role}. Your user_id={user}"
                ),
            ),
            Self::ViewerMayNot { role, route } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "user not allowed to access this route, role= {role}. Trying to access: {route}"
                ),
            ),
            Self::OnlyMasterKey(route) => Wire::error(
                UNAUTHORIZED,
                AUTH,
                format!(
                    "Authentication Error, Tried to access route={route}, which is only for MASTER KEY"
                ),
            ),
            Self::SessionOver => Wire::error(
                UNAUTHORIZED,
                AUTH,
                "Authentication Error, the session is over. Sign in again.",
            ),
            Self::OtherSite => Wire::error(
                FORBIDDEN,
                AUTH,
                "A session changes things from pages of this service only: the request says neither \
                 `sec-fetch-site: same-origin` nor an `origin` that is this service's.",
            ),
            Self::BadCredentials => Wire::param(
                UNAUTHORIZED,
                AUTH,
                "invalid_credentials",
                "Invalid credentials used to access UI. Check 'UI_USERNAME' and 'UI_PASSWORD', or the \
                 password set for your user",
            ),
            Self::SignInsBlocked { .. } => Wire::param(
                StatusCode::TOO_MANY_REQUESTS,
                AUTH,
                "username",
                "Too many failed sign-in attempts. Try again later.",
            ),
            Self::TooManySignIns => Wire::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "Too many people sign in at this moment. Try again.",
            ),
            Self::OnlySso => Wire::error(
                FORBIDDEN,
                AUTH,
                "Signing in with a password is disabled: sign in by SSO.",
            ),
            Self::SsoIncomplete(message) => {
                Wire::detail_error(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            Self::PagesForAdmins(role) => Wire::detail_error(
                UNAUTHORIZED,
                format!(
                    "User not allowed to access proxy. User role={role}, proxy mode=admin_only"
                ),
            ),
            Self::NotASession => Wire::detail_error(
                FORBIDDEN,
                "Only UI session tokens can be revoked through this endpoint.",
            ),
            Self::NotAPasswordSession => Wire::detail_error(
                FORBIDDEN,
                "Passwords can only be changed from a dashboard session created by logging in with a password.",
            ),
            Self::WrongPassword => Wire::detail_error(BAD, "Current password is incorrect."),
            Self::WeakPassword(lacks) => Wire::param(
                BAD,
                "validation_error",
                "password",
                format!("Password does not meet the required policy: {lacks}."),
            ),

            Self::InvitationUserMissing => Wire::python(
                BAD,
                INVALID,
                "error",
                "User id does not exist in 'LiteLLM_UserTable'. Fix this by creating user via `/user/new`.",
            ),
            Self::InvitationForAdmins(role) => {
                let message =
                    format!("Admin-only endpoint. Not allowed to access this., your role={role}");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::InvitationMissing => {
                Wire::detail_error(BAD, "Invitation id does not exist in the database.")
            }
            Self::LinkMissing => {
                Wire::detail_error(UNAUTHORIZED, "Invitation link does not exist in db.")
            }
            Self::LinkExpired => Wire::detail_error(UNAUTHORIZED, "Invitation link has expired."),
            Self::LinkUsed => {
                Wire::detail_error(UNAUTHORIZED, "Invitation link has already been used.")
            }
            Self::OnboardingMissing => Wire::detail_error(
                UNAUTHORIZED,
                "Missing onboarding session for invitation link.",
            ),
            Self::OnboardingInvalid => Wire::detail_error(
                UNAUTHORIZED,
                "Invalid onboarding session for invitation link.",
            ),
            Self::OnboardingOther { got, expected } => Wire::detail_error(
                UNAUTHORIZED,
                format!(
                    "Invalid invitation link. The user id submitted does not match the user id this link \
                     is attached to. Got={got}, Expected={expected}"
                ),
            ),
            Self::NoRoute => Wire::detail(NOT_FOUND, "Not Found"),
            Self::NotServed(what) => Wire::detail(
                NOT_FOUND,
                format!("Not Found. Tollkeeper does not serve {what}."),
            ),
            Self::NoMethod => Wire::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::BadJson(why) => Wire::param(
                BAD,
                INVALID,
                "request_body",
                format!("Invalid JSON payload: {why}"),
            ),
            Self::BodyTooLarge(limit) => Wire::error(
                StatusCode::PAYLOAD_TOO_LARGE,
                INVALID,
                format!("The request body is larger than {limit} bytes."),
            ),

            Self::KeyInfoMissing => {
                Wire::param(NOT_FOUND, MISSING, "key", "Key not found in database")
            }
            Self::KeyMissing => Wire::param(NOT_FOUND, MISSING, "key", "Key not found."),
            Self::NoKeysFound => Wire::python(NOT_FOUND, INVALID, "error", "No keys found"),
            Self::NotYourKeyInfo(role) => Wire::error(
                FORBIDDEN,
                AUTH,
                format!("You are not allowed to access this key's info. Your role={role}"),
            ),
            Self::NotYourKeyToDelete => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "You are not authorized to delete this key",
            ),
            Self::NotYourKeyToRegenerate => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "You are not authorized to regenerate this key",
            ),
            Self::NoKeyToRegenerate => Wire::detail_error(
                BAD,
                "No key passed in. Name it in the path, in the query or in the body.",
            ),
            Self::MasterKeyIsConfigured => Wire::param(
                BAD,
                BAD_REQUEST,
                "new_master_key",
                "The master key is not changed by a request. Set LITELLM_MASTER_KEY (or general_settings.master_key) to the new \
                 one and restart every admin service: the former one is refused from then on, and virtual keys stay as they are.",
            ),
            Self::BadGracePeriod(text) => Wire::param(
                BAD,
                BAD_REQUEST,
                "grace_period",
                format!("Invalid grace_period '{text}'. Use a format like '30s', '24h' or '7d'."),
            ),
            Self::BadRotationInterval(text) => Wire::param(
                BAD,
                BAD_REQUEST,
                "rotation_interval",
                format!(
                    "Invalid rotation_interval '{text}'. Use a format like '30s', '24h' or '30d'."
                ),
            ),
            Self::BulkUpdateIsForAdmins => {
                Wire::detail_error(FORBIDDEN, "Only proxy admins can perform bulk key updates")
            }
            Self::NoKeysToUpdate => Wire::detail_error(BAD, "No keys provided for update"),
            Self::TooManyKeys(most) => {
                Wire::detail_error(BAD, format!("Maximum {most} keys can be updated at once"))
            }
            Self::NoKeysAsked => Wire::detail(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Malformed request. No keys passed in.",
            ),
            Self::ResetBelowZero => Wire::detail_error(BAD, "reset_to must be >= 0"),
            Self::ResetAboveSpend { asked, spent } => Wire::detail_error(
                BAD,
                format!("reset_to ({asked}) must be <= current spend ({spent})"),
            ),
            Self::WhichTeams { both } => Wire::detail_error(
                BAD,
                if both {
                    "Cannot set both apply_to_all_teams=true and team_ids"
                } else {
                    "Must provide team_ids or set apply_to_all_teams=true"
                },
            ),
            Self::TeamsMissing(ids) => Wire::detail_error(
                NOT_FOUND,
                format!("Team(s) not found: {}", python_list(&ids)),
            ),
            Self::BadExpiresFilter(asked) => Wire::detail_error(
                BAD,
                format!("Invalid expires value '{asked}'. Must be one of: active, expired"),
            ),
            Self::AssignedGroupMissing(id) => {
                Wire::detail(NOT_FOUND, format!("Access group '{id}' not found"))
            }
            Self::AssignedGroupExists(name) => Wire::detail(
                StatusCode::CONFLICT,
                format!("Access group '{name}' already exists"),
            ),
            Self::UnknownTeams(ids) => {
                Wire::detail(BAD, format!("Unknown team ids: {}", ids.join(", ")))
            }
            Self::ServiceAccountWithoutTeam => Wire::detail(
                BAD,
                "team_id is required for service account keys. Please specify `team_id` in the request body.",
            ),
            Self::PersonalKeysRestricted { allowed, role } => Wire::error(
                BAD,
                INVALID,
                format!(
                    "Personal key creation has been restricted by admin. Allowed roles={}. Your role={role}",
                    python_list(&allowed)
                ),
            ),
            Self::TeamRoleMayNotMakeKeys { allowed, role } => Wire::error(
                BAD,
                INVALID,
                format!(
                    "Team member role {role} not in allowed_team_member_roles={}",
                    python_list(&allowed)
                ),
            ),
            Self::RequiredParam(name) => {
                Wire::error(BAD, INVALID, format!("Required param {name} not in data"))
            }
            Self::SelfServeBudget(field) => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "self_serve_budget_policy=lower_only: {field} of your key can be added or lowered, not raised or removed."
                ),
            ),
            Self::NotYourKeys => Wire::param(
                FORBIDDEN,
                BAD_REQUEST,
                "user_id",
                "You are not authorized to check another user's keys",
            ),
            Self::NoUserForList => Wire::param(
                FORBIDDEN,
                BAD_REQUEST,
                "user_id",
                "You are not authorized to access this endpoint. No 'user_id' is associated with your API key.",
            ),
            Self::AdminsOnly {
                what,
                role,
                user,
                wrapped,
            } => {
                let message = format!(
                    "Only proxy admins, team admins, or org admins can call {what}. \
                     user_role={role}, user_id={user}"
                );
                if wrapped {
                    Wire::python(FORBIDDEN, AUTH, "error", &message)
                } else {
                    Wire::detail_error(FORBIDDEN, message)
                }
            }
            Self::KeyForOther { asked, own } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "User can only create keys for themselves. Got user_id={asked}, Your ID={own}"
                ),
            ),
            Self::AdminOnlyField("allowed_routes") => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "Only proxy admins can set `allowed_routes` on a key. Use `key_type` to pick a preset route bucket instead.",
            ),
            Self::AdminOnlyField(field) => {
                let message = format!("Only proxy admins can set `{field}`.");
                Wire::python(FORBIDDEN, AUTH, "error", &message)
            }
            Self::KeyIsChosen => Wire::python(
                FORBIDDEN,
                AUTH,
                "error",
                "On this proxy nobody chooses the value of a key: leave it out, and a random one is made.",
            ),
            Self::KeyFormat => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: ****",
            ),
            Self::KeyTooShort => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid key format. LiteLLM Virtual Key must be at least 16 characters long.",
            ),
            Self::KeyCharacters => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid key format. A key is sk- and at most 256 visible ASCII characters other than comma.",
            ),
            Self::KeyExists => Wire::param(
                CONFLICT,
                BAD_REQUEST,
                "key",
                "Key with this value already exists. Nothing was changed.",
            ),
            Self::AliasExists(alias) => Wire::param(
                BAD,
                BAD_REQUEST,
                "key_alias",
                format!(
                    "Key with alias '{alias}' already exists. Unique key aliases across all keys are required."
                ),
            ),
            Self::MoreThanOwn { field, asked, own } => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "A key cannot be given more than its owner has: {field}={asked}, own {field}={own}"
                ),
            ),
            Self::OwnerMissing { field, id } => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "Only proxy admins make keys of an owner that does not exist: {field}={id}"
                ),
            ),
            Self::AboveBound {
                field,
                asked,
                bound,
            } => {
                let message = format!(
                    "{field} is over max limit set in config - user_value={asked}; max_value={bound}"
                );
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::TeamMissingForKey(team) => Wire::error(
                BAD,
                INVALID,
                format!(
                    "Team not found for team_id={team}. Non-admin users cannot create keys for non-existent teams."
                ),
            ),
            Self::NotInTeam { user, team } => Wire::error(
                BAD,
                INVALID,
                format!("User={user} not assigned to team={team}"),
            ),
            Self::TeamPermission {
                route,
                name,
                permitted,
                team,
            } => Wire::param(
                UNAUTHORIZED,
                "team_member_permission_error",
                route,
                format!(
                    "Team member does not have permissions for endpoint: KeyManagementRoutes.{name}. You only \
                     have access to the following endpoints: {} for team {team}. To create keys for this team, \
                     please ask your proxy admin to check the team member permission settings and update the \
                     settings to allow team member users to create keys.",
                    python_list(&permitted)
                ),
            ),
            Self::BudgetMissing(id) => Wire::param(
                BAD,
                BAD_REQUEST,
                "budget_id",
                format!("Budget not found: budget_id={id}"),
            ),
            Self::BudgetExists(id) => {
                Wire::detail_error(BAD, format!("Budget with id '{id}' already exists."))
            }
            Self::BudgetIdMissing => Wire::detail_error(BAD, "budget_id is required"),
            Self::NoBudgetsNamed => {
                Wire::detail_error(BAD, "budgets must name at least one budget_id")
            }
            Self::BudgetUnknown(id) => {
                Wire::detail_error(NOT_FOUND, format!("Budget not found: budget_id={id}"))
            }
            Self::BudgetOfOrganization(organization) => Wire::detail_error(
                BAD,
                format!(
                    "The budget is that of organization {organization}, which cannot be without one. \
                     Clear its limits with /budget/update instead."
                ),
            ),
            Self::CustomerExists(id) => Wire::param(
                BAD,
                "bad_request",
                "user_id",
                format!("Customer already exists, passed user_id={id}. Please pass a new user_id."),
            ),
            Self::CustomerMissing { id, param } => Wire::param(
                NOT_FOUND,
                "not_found",
                param,
                format!("End User Id={id} does not exist in db"),
            ),
            Self::CustomersMissing(ids) => Wire::param(
                NOT_FOUND,
                "not_found",
                "user_ids",
                format!("End User Id(s)={} do not exist in db", ids.join(", ")),
            ),
            Self::BudgetNamedAndMade => Wire::param(
                BAD,
                "bad_request",
                "budget_id",
                "Set either limits of the customer's own or 'budget_id', not both.",
            ),
            Self::TagExists(name) => Wire::detail(BAD, format!("Tag {name} already exists")),
            Self::TagMissing(name) => Wire::detail(NOT_FOUND, format!("Tag {name} not found")),
            Self::BadModel(why) => Wire::detail_error(BAD, why),
            Self::ModelExists(id) => {
                Wire::detail_error(BAD, format!("Model with id={id} already exists"))
            }
            Self::ModelIdMissing => Wire::detail_error(BAD, "model_info.id is required"),
            Self::ModelMissing(id) => {
                Wire::detail_error(BAD, format!("Model with id={id} not found in db"))
            }
            Self::ModelNotFound(id) => {
                Wire::detail_error(NOT_FOUND, format!("Model {id} not found on proxy."))
            }
            Self::ModelNotListed(name) => Wire::param(
                NOT_FOUND,
                INVALID,
                "model",
                format!("The model `{name}` does not exist"),
            ),
            Self::GroupWithoutName => Wire::detail_error(BAD, "access_group is required"),
            Self::GroupExists(name) => {
                Wire::detail_error(CONFLICT, format!("Access group '{name}' already exists"))
            }
            Self::GroupMissing(name) => {
                Wire::detail_error(NOT_FOUND, format!("Access group '{name}' not found"))
            }
            Self::GroupOfUnknownModel(name) => {
                Wire::detail_error(BAD, format!("Model '{name}' is not served"))
            }
            Self::NoCache => Wire::param(
                StatusCode::SERVICE_UNAVAILABLE,
                "cache_ping_error",
                "cache_ping",
                "There is no cache in the gateway: every answer comes from its provider.",
            ),
            Self::InDetail(refusal) => {
                let Wire { status, shape } = refusal.wire();
                match shape {
                    Shape::Error { message, .. } => Wire::detail_error(status, raised(&message)),
                    detail @ Shape::Detail(_) => Wire {
                        status,
                        shape: detail,
                    },
                }
            }
            Self::BadKeyStatus => Wire::python(
                BAD,
                INVALID,
                "error",
                "Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.",
            ),
            Self::DatesMissing => Wire::detail_error(BAD, "Please provide start_date and end_date"),
            Self::ReportDatesMissing => {
                Wire::error(BAD, "bad_request", "Please provide start_date and end_date")
            }
            Self::OwnSpendOnly => Wire::detail_error(
                FORBIDDEN,
                "Non-admin users can only view their own spend data.",
            ),
            Self::NotYourOrganizationSpend(organization) => Wire::detail_error(
                FORBIDDEN,
                format!(
                    "Only proxy admins and admins of the organization can view its spend. organization_id={organization}"
                ),
            ),
            Self::TooManyNamed(name, most) => {
                Wire::detail_error(BAD, format!("{name}: expected at most {most} values"))
            }
            Self::BadExportFormat => Wire::detail_error(BAD, "format: expected `csv` or `json`"),
            Self::BadGroup => {
                Wire::detail_error(BAD, "group_by: expected `team`, `customer` or `api_key`")
            }
            Self::NothingToPrice => Wire::error(
                BAD,
                INVALID,
                "Bad Request - Either 'model' or 'completion_response' must be provided",
            ),
            Self::MessagesMissing => Wire::error(
                BAD,
                INVALID,
                "Bad Request - messages must be provided if 'model' is provided",
            ),
            Self::PriceUnknown(model) => Wire::error(
                BAD,
                INVALID,
                format!("Bad Request - the price of the model is not known. model={model}"),
            ),
            Self::SpendLogMissing(request) => Wire::error(
                NOT_FOUND,
                MISSING,
                format!("No request of this id is in the spend log. request_id={request}"),
            ),
            Self::BadSort(columns) => Wire::detail_error(
                BAD,
                format!("Invalid sort column. Must be one of: {columns}"),
            ),
            Self::AuditMissing(id) => Wire::detail_error(
                StatusCode::NOT_FOUND,
                format!("Audit log not found, passed id={id}"),
            ),
            Self::SpendIsKept => Wire::param(
                BAD,
                BAD_REQUEST,
                "spend",
                "spend is counted from the requests themselves and cannot be set; leave it out or send 0.",
            ),

            Self::IdempotencyKey => Wire::param(
                BAD,
                BAD_REQUEST,
                "Idempotency-Key",
                "Send one Idempotency-Key of 1 to 255 visible ASCII characters.",
            ),
            Self::IdempotencyMismatch => Wire::param(
                StatusCode::UNPROCESSABLE_ENTITY,
                BAD_REQUEST,
                "Idempotency-Key",
                "Another request was sent with this Idempotency-Key. Take a new key for a new request.",
            ),
            Self::IdempotencyPending => Wire::param(
                CONFLICT,
                BAD_REQUEST,
                "Idempotency-Key",
                "The request of this Idempotency-Key is done, but its answer is not there: try again in a moment; if it stays so, the audit log says what was made.",
            ),
            Self::BadDuration => {
                let message =
                    "Invalid duration format. Use a number and s, m, h, d, w or mo, such as 30d.";
                Wire::param(BAD, BAD_REQUEST, "duration", message)
            }
            Self::BadBudgetDuration(text) => {
                let message = format!(
                    "Invalid budget_duration '{text}'. Use a format like '1h', '24h', '7d', or '30d'."
                );
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::NegativeBudget { field, got } => {
                let message =
                    format!("{field} must be a non-negative finite number. Received: {got}");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::BudgetTooLarge(field) => {
                let message = format!("{field} must be at most 9000000 US dollars.");
                Wire::python(BAD, INVALID, "error", &message)
            }

            Self::EmailExists(email) => {
                let message = format!("User with email {email} already exists");
                Wire::python(CONFLICT, INVALID, "error", &message)
            }
            Self::UserExists(id) => {
                let message = format!("User with id {id} already exists");
                Wire::python(CONFLICT, INVALID, "error", &message)
            }
            Self::SsoUserExists(id) => {
                let message = format!("User with sso_user_id {id} already exists");
                Wire::python(CONFLICT, INVALID, "error", &message)
            }
            Self::UserMissing(id) => {
                Wire::error(NOT_FOUND, INVALID, format!("User {id} not found"))
            }
            Self::NotYourUser { asked, own } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "key not allowed to access this user's info. user_id={asked}, key's user_id={own}"
                ),
            ),
            Self::UserUpdateMissing(id) | Self::UserInfoMissing(id) => {
                Wire::error(NOT_FOUND, INVALID, format!("User not found: {id}"))
            }
            Self::UserListForAdmins => Wire::detail_error(
                FORBIDDEN,
                "Only proxy admins and organization admins can list users.",
            ),
            Self::RoleForAdmins(role) => Wire::param(
                FORBIDDEN,
                AUTH,
                "user_role",
                format!("Only proxy admins can create users with the role {role}."),
            ),
            Self::UserFieldForAdmins(field) => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!("Only proxy admins can set `{field}` of a user."),
            ),
            Self::UserOrganizationMissing(id) => Wire::detail_error(
                NOT_FOUND,
                format!("Organization doesn't exist in db. Organization={id}."),
            ),
            Self::TooManyUsers(most) => Wire::error(
                BAD,
                INVALID,
                format!("At most {most} users can be updated in one request."),
            ),
            Self::NoBulkUpdate => Wire::error(
                BAD,
                INVALID,
                "Must specify either 'users' for individual updates or 'all_users=True' with 'user_updates' for bulk updates",
            ),
            Self::UserDeleteMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("User not found, passed user_id={id}"))
            }
            Self::UserTeamMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("Team doesn't exist in db. Team={id}."))
            }

            Self::TeamExists(id) => {
                let message =
                    format!("Team id = {id} already exists. Please use a different team id.");
                Wire::python(BAD, INVALID, "error", &message)
            }
            Self::TeamInfoMissing(id) => {
                let message = format!("Team not found, passed team id: {id}.");
                Wire::python(NOT_FOUND, INVALID, "message", &message)
            }
            Self::TeamUpdateMissing(id) => {
                let message = format!("Team not found, passed team_id={id}");
                Wire::python(NOT_FOUND, INVALID, "error", &message)
            }
            Self::TeamDeleteMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("Team not found, passed team_id={id}"))
            }
            Self::MemberTeamMissing(id) => Wire::detail_error(
                NOT_FOUND,
                format!("Team doesn't exist in db. Team={id}. Create team via `/team/new` call."),
            ),
            Self::NotYourTeam { user, team } => {
                let message = format!("User={user} not authorized to access this team={team}");
                Wire::python(FORBIDDEN, AUTH, "error", &message)
            }
            Self::NotTeamAdmin { route, team } => Wire::detail_error(
                FORBIDDEN,
                format!(
                    "Call not allowed. User not proxy admin OR team admin. route={route}, team_id={team}"
                ),
            ),
            Self::TeamAdminMayNotEdit => Wire::error(
                FORBIDDEN,
                AUTH,
                "Team admins on this proxy cannot edit team settings. Ask a proxy admin to enable fields \
                 under Settings > UI > Team admin editable fields.",
            ),
            Self::MemberExists { member, existing } => Wire::param(
                BAD,
                "team_member_already_in_team",
                "member",
                format!("User already in team. Member: {member}. Existing members=[{existing}]"),
            ),
            Self::AlreadyMember(user) => {
                Wire::detail_error(BAD, format!("User already in team. Member: user_id={user}"))
            }
            Self::NotAMember => Wire::detail_error(BAD, "User not found in team"),
            Self::OnlyAdminsListTeams(role) => Wire::detail_error(
                UNAUTHORIZED,
                format!("Only admin users can query all teams/other teams. Your user role={role}"),
            ),
            Self::TooManyMembers(most) => Wire::detail_error(
                BAD,
                format!("At most {most} members can be added in one request."),
            ),
            Self::TeamAdminMayNotEditFields { fields, editable } => Wire::error(
                FORBIDDEN,
                AUTH,
                format!(
                    "Team admins on this proxy cannot edit {}. They can edit: {}.",
                    python_list(&fields),
                    python_list(&editable)
                ),
            ),
            Self::BadSortOrder => Wire::detail_error(BAD, "sort_order must be 'asc' or 'desc'"),
            Self::TeamsDisagree => Wire::param(
                BAD,
                INVALID,
                "team_id",
                "team_id in the body is not the team of the path.",
            ),
            Self::TeamAdminMayNotRemove => Wire::detail_error(
                FORBIDDEN,
                "Team admins on this proxy cannot remove members. Ask a proxy admin.",
            ),

            Self::BeyondOwner { field, asked, own } => Wire::param(
                FORBIDDEN,
                AUTH,
                field,
                format!(
                    "Nobody is given more than their team or organization has: {field}={asked}, own {field}={own}"
                ),
            ),
            Self::OrganizationMissing(id) => {
                let message = format!("Organization not found for organization_id={id}");
                Wire::detail_error(NOT_FOUND, message)
            }
            Self::OrganizationExists(id) => {
                let message = format!(
                    "Organization id = {id} already exists. Please use a different organization id."
                );
                Wire::detail_error(BAD, message)
            }
            Self::OrganizationDeleteMissing(id) => {
                Wire::detail_error(NOT_FOUND, format!("Organization={id} not found"))
            }
            Self::NotYourOrganization { user, organization } => Wire::detail_error(
                FORBIDDEN,
                format!("User={user} not authorized to access this organization={organization}"),
            ),
            Self::OrganizationMemberExists { user, organization } => Wire::detail_error(
                BAD,
                format!("User={user} is in organization={organization} already"),
            ),
            Self::BudgetAndLimits => Wire::detail_error(
                BAD,
                "budget_id names limits that others share: send budget_id or limits, not both.",
            ),
            Self::NotYourUserToTake(user) => Wire::detail_error(
                FORBIDDEN,
                format!(
                    "Only proxy admins take a user of no organization of yours into one: user_id={user}"
                ),
            ),
            Self::NotInOrganization { user, organization } => Wire::detail_error(
                NOT_FOUND,
                format!("User={user} is not in organization={organization}"),
            ),
        }
    }
}

impl Refusal {
    /// The sentence alone, for an answer that tells several outcomes.
    pub fn sentence(self) -> String {
        match self.wire().shape {
            Shape::Error { message, .. } => message,
            Shape::Detail(detail) => match detail.get("error").unwrap_or(&detail) {
                serde_json::Value::String(sentence) => sentence.clone(),
                other => other.to_string(),
            },
        }
    }
}

/// A list as Python prints it: `['a', 'b']`.
pub fn python_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// The sentence that [`Wire::python`] put into its dictionary.
fn raised(message: &str) -> &str {
    let inner = message
        .strip_prefix("{'error': ")
        .and_then(|rest| rest.strip_suffix('}'));
    inner.map_or(message, |inner| inner.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests;
