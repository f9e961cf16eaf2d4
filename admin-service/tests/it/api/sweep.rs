//! Every route × everybody who may come, asking for what is theirs and for what is somebody else's.
//!
//! What the policy table says must hold of every answer; the statuses themselves are in `sweep.txt`, for people to read: for each who comes the status
//! for somebody else's object, then after a slash the one for their own. `TOLLKEEPER_REGENERATE=1` writes the file. On `SQLite` only: what differs
//! between the databases is below the policy, and each route has its own tests on both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tollkeeper_admin::caller::Role;
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::policy::{Reach, Relation, Rule, Verdict};
use tollkeeper_admin::request::{Field, Type};
use tollkeeper_admin::router::row::{Access, Row, Sent};
use tollkeeper_admin::router::rows;

use super::clients::{Answer, Api, Client, ONE_MODEL, text};
use crate::support::database::Database;

/// Somebody who may come.
struct Visitor {
    name: &'static str,
    client: Client,
    /// None: nobody, refused by every route that is not public.
    role: Option<Role>,
    /// The user, if there is one.
    user: Option<String>,
    relation: Option<Related>,
    headers: &'static [(&'static str, &'static str)],
}

/// What a visitor is beside the role.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Related {
    TeamAdmin,
    TeamMember,
    OrganizationAdmin,
}

impl Visitor {
    fn new(name: &'static str, client: Client, role: Option<Role>) -> Self {
        Self {
            name,
            client,
            role,
            user: None,
            relation: None,
            headers: &[],
        }
    }

    async fn person(api: &Api, name: &'static str, role: Role) -> Self {
        let person = api.person(role.as_str()).await;
        let mut visitor = Self::new(name, person.client, Some(role));
        visitor.user = Some(person.id);
        visitor
    }

    async fn related(api: &Api, name: &'static str, relation: Related) -> Self {
        let mut visitor = Self::person(api, name, Role::InternalUser).await;
        visitor.relation = Some(relation);
        visitor
    }

    /// What the relation adds by this rule.
    fn adds(&self, rule: &Rule) -> Relation {
        let [team_admin, member, organization_admin] = rule.relations;
        match self.relation {
            None => Relation::Nothing,
            Some(Related::TeamAdmin) => team_admin,
            Some(Related::TeamMember) => member,
            Some(Related::OrganizationAdmin) => organization_admin,
        }
    }
}

async fn visitors(api: &Api) -> Vec<Visitor> {
    let mut all = vec![
        Visitor::new("anonymous", api.anonymous(), None),
        Visitor::new("unknown_key", api.stranger(), None),
        Visitor::new("no_user", api.keyholder().await, Some(Role::Unknown)),
    ];
    for role in [
        Role::ProxyAdmin,
        Role::ProxyAdminViewer,
        Role::InternalUser,
        Role::InternalUserViewer,
    ] {
        all.push(Visitor::person(api, role.as_str(), role).await);
    }
    let mut browser = Visitor::person(api, "session", Role::InternalUser).await;
    if let Some(user) = &browser.user {
        browser.client = api.signed_in(user).await;
    }
    all.push(browser);
    all.push(Visitor::related(api, "team_admin", Related::TeamAdmin).await);
    all.push(Visitor::related(api, "team_member", Related::TeamMember).await);
    if served("/organization/member_add") {
        all.push(Visitor::related(api, "org_admin", Related::OrganizationAdmin).await);
    }
    all
}

fn served(path: &str) -> bool {
    rows().iter().any(|row| row.path == path)
}

/// What a call is about, by the names that requests have for it.
type Target = BTreeMap<&'static str, String>;

async fn made(api: &Api, path: &str, body: Value, name: &str) -> String {
    let answer = api.master().post(path, body).await.ok();
    text(&answer, name).to_owned()
}

/// Things of a user, a team and an organization, made anew. `visitor`: as close to them as they come.
async fn target(api: &Api, visitor: Option<&Visitor>) -> Target {
    let relation = visitor.and_then(|visitor| visitor.relation);
    let own = visitor.and_then(|visitor| visitor.user.clone());
    let spare = made(
        api,
        "/user/new",
        json!({"auto_create_key": false}),
        "user_id",
    )
    .await;
    let joiner = made(
        api,
        "/user/new",
        json!({"auto_create_key": false}),
        "user_id",
    )
    .await;
    let role = if relation == Some(Related::TeamAdmin) {
        "admin"
    } else {
        "user"
    };
    let mut team = json!({"members_with_roles": [{"role": "user", "user_id": spare}]});
    if let Some(own) = &own {
        let member = json!({"role": role, "user_id": own});
        team["members_with_roles"]
            .as_array_mut()
            .unwrap()
            .push(member);
    }
    let alias = json!({"organization_alias": format!("org of {spare}")});
    let organization = if served("/organization/new") {
        made(api, "/organization/new", alias, "organization_id").await
    } else {
        String::new()
    };
    if let (Some(own), Some(Related::OrganizationAdmin)) = (&own, relation) {
        let member = json!({"user_id": own, "role": "org_admin"});
        let add = json!({"organization_id": organization, "member": member});
        let also = json!({"organization_id": organization, "member": {"user_id": spare, "role": "internal_user"}});
        for add in [add, also] {
            let added = api.master().post("/organization/member_add", add).await;
            added.ok();
        }
        team = json!({"organization_id": organization});
    }
    let team = made(api, "/team/new", team, "team_id").await;
    // Of one's own: what one may make oneself, one has made.
    let key = match (visitor, relation) {
        (Some(_), Some(_)) => made(api, "/key/generate", json!({"team_id": team}), "token").await,
        (Some(visitor), None) if visitor.role == Some(Role::InternalUser) => {
            let key = visitor.client.new_key(json!({})).await;
            text(&key, "token").to_owned()
        }
        _ => {
            let owner = own.clone().unwrap_or_else(|| spare.clone());
            made(api, "/key/generate", json!({ "user_id": owner }), "token").await
        }
    };
    let customer = format!("customer of {spare}");
    let new = json!({ "user_id": customer });
    api.master().post("/customer/new", new).await.ok();
    let budget = made(api, "/budget/new", json!({"max_budget": 1}), "budget_id").await;
    let user = match relation {
        None => own.unwrap_or(spare),
        Some(_) => spare,
    };
    let mut target = Target::from([
        ("user", user),
        ("joiner", joiner),
        ("key", key),
        ("team", team),
        ("organization", organization),
        ("customer", customer),
        ("budget", budget),
    ]);
    if relation.is_some() {
        target.insert("of_team", String::new());
    }
    if relation == Some(Related::OrganizationAdmin) {
        target.insert("of_organization", String::new());
    }
    target
}

/// Whether a field of this name says what the route is about, rather than what becomes of it.
fn identifies(row: &Row, field: &str, target: &Target) -> bool {
    let group = row.path.split('/').nth(1).unwrap_or_default();
    match group {
        // Keys are asked for by whose they are: the team's where the target is a team's.
        "key" if row.path == "/key/generate" || row.method == "GET" => {
            let owner = if target.contains_key("of_team") {
                "team_id"
            } else {
                "user_id"
            };
            field == "key" && !row.creates() || field == owner
        }
        "key" => matches!(field, "key" | "keys" | "key_id" | "token"),
        "user" => matches!(field, "user_id" | "user_ids" | "organizations"),
        "customer" | "end_user" => matches!(field, "user_id" | "user_ids"),
        "team" => matches!(field, "team_id" | "team_ids" | "user_id") && !row.creates(),
        "organization" => matches!(field, "organization_id" | "organization_ids" | "user_id"),
        "budget" => matches!(field, "budget_id" | "budgets"),
        _ => true,
    }
}

/// The value of a field of this name, if it names something.
fn named(row: &Row, field: &str, target: &Target) -> Option<Value> {
    let customers = row.path.starts_with("/customer") || row.path.starts_with("/end_user");
    let what = match field {
        "user_id" | "user_ids" | "end_user_id" if customers => "customer",
        "user_id" | "user_ids" => "user",
        "end_user_id" => "customer",
        "key" | "keys" | "key_id" | "token" => "key",
        "organizations" if target["organization"].is_empty() => return None,
        "team_id" | "team_ids" => "team",
        "organization_id" | "organization_ids" | "organizations" => "organization",
        "budget_id" | "budgets" => "budget",
        _ => return None,
    };
    let value = json!(target[what]);
    Some(if field.ends_with('s') && field != "members" {
        json!([value])
    } else {
        value
    })
}

fn example(row: &Row, field: &Field, target: &Target) -> Value {
    let role = if row.path.starts_with("/organization") {
        "internal_user"
    } else {
        "user"
    };
    match (field.name, field.of) {
        ("member" | "members", _) => json!({"role": role, "user_id": target["joiner"]}),
        (_, Type::Text | Type::Any) => json!("sweep"),
        (_, Type::Int | Type::Limit(_) | Type::Number) => json!(1),
        (_, Type::Flag) => json!(true),
        (_, Type::List | Type::Texts) => json!(["sweep"]),
        (_, Type::Object) => json!({}),
        (_, Type::Date) => json!("2026-11-26"),
        (_, Type::OneOf(words, _)) => json!(words[0]),
    }
}

/// A request of this route about `target`: with what names it and what must be there.
fn request(row: &Row, target: &Target) -> (String, Option<String>) {
    let segment = |segment: &str| match segment.strip_prefix('{') {
        None => segment.to_owned(),
        Some(name) => {
            let name = name.trim_end_matches('}').trim_start_matches('*');
            let value = named(row, name, target);
            value.map_or("sweep".to_owned(), |value| {
                value.as_str().unwrap().to_owned()
            })
        }
    };
    let mut path = row
        .path
        .split('/')
        .map(segment)
        .collect::<Vec<_>>()
        .join("/");
    let mut sep = '?';
    for param in row.query {
        let value = named(row, param.name, target);
        let value = value.filter(|_| param.required || identifies(row, param.name, target));
        let value = match (value, param.name) {
            (Some(Value::String(text)), _) => text,
            (_, "start_date") => "2026-11-01".to_owned(),
            (_, "end_date") => "2026-11-30".to_owned(),
            _ if param.required => "sweep".to_owned(),
            _ => continue,
        };
        path = format!("{path}{sep}{}={}", param.name, value.replace(' ', "%20"));
        sep = '&';
    }
    let (Sent::Json(fields) | Sent::Form(fields)) = row.sent else {
        return (path, None);
    };
    let mut body = Map::new();
    for field in fields {
        let about = field.required || identifies(row, field.name, target);
        // A new thing is not to have the name of one that is there.
        let whose = row.path == "/key/generate" || field.name == "organizations";
        let taken = row.creates() && !field.required && !whose;
        let value = named(row, field.name, target).filter(|_| about && !taken);
        if let Some(value) = value {
            // An invitation is for somebody who is there.
            let invites = row.path.starts_with("/invitation");
            let anew = row.path.ends_with("/new") && value.is_string() && !invites;
            let value = if anew {
                json!(format!("{} anew", value.as_str().unwrap()))
            } else {
                value
            };
            body.insert(field.name.to_owned(), value);
        } else if field.required {
            body.insert(field.name.to_owned(), example(row, field, target));
        }
    }
    // A new team of an organization is asked for by the organization.
    if row.path == "/team/new" && target.contains_key("of_organization") {
        let organization = target["organization"].clone();
        body.insert("organization_id".to_owned(), json!(organization));
    }
    (path, Some(Value::Object(body).to_string()))
}

async fn call(row: &Row, visitor: &Visitor, target: &Target) -> Answer {
    let (path, body) = request(row, target);
    let method = Method::from_bytes(row.method.as_bytes()).unwrap();
    let leaving = match &visitor.user {
        // A session that ends is none that others of these calls still need.
        Some(user) if visitor.name == "session" && row.path.ends_with("logout") => {
            Some(visitor.client.again(user).await)
        }
        _ => None,
    };
    let client = leaving.as_ref().unwrap_or(&visitor.client);
    let answer = client.call_with(method, &path, body.as_deref(), visitor.headers);
    Box::pin(answer).await
}

/// Holds an answer against the table.
fn judge(row: &Row, visitor: &Visitor, own: bool, answer: &Answer) -> Result<(), String> {
    let status = answer.status.as_u16();
    let Access::By(action) = row.access else {
        return match status {
            // What is proven there is proven by the request itself: a password, a link.
            401 | 403 if !row.also.contains(&status) => Err("a public route refuses".to_owned()),
            _ => Ok(()),
        };
    };
    let policy = action.rule();
    let Some(role) = visitor.role else {
        return if status == 401 {
            Ok(())
        } else {
            Err("nobody is let in".to_owned())
        };
    };
    let verdict = policy.verdict(role);
    let adds = visitor.adds(policy);
    match verdict {
        Verdict::May(Reach::Any) if matches!(status, 401 | 403) => {
            Err("refused what it may".to_owned())
        }
        Verdict::OnlyProxyAdmin
        | Verdict::ViewerMayNot
        | Verdict::WithSpendPermission
        | Verdict::OnlyMasterKey
            if adds == Relation::Nothing || !own =>
        {
            let expected = if verdict == Verdict::ViewerMayNot {
                403
            } else {
                401
            };
            if status == expected {
                Ok(())
            } else {
                Err(format!("the table says {expected}"))
            }
        }
        // Whom an organization's admins add is of an organization of theirs already; the sweep's stranger is of none.
        _ if row.path == "/organization/member_add"
            && status == 403
            && adds == Relation::Organization =>
        {
            Ok(())
        }
        // Admins of a team ask for its spend by a path of its own.
        Verdict::May(_) if row.path == "/organization/spend/report" && adds == Relation::Team => {
            Ok(())
        }
        // Nobody ends a session but its own.
        Verdict::May(Reach::Own) if row.path == "/session/logout" => Ok(()),
        Verdict::May(Reach::Own) if !own && policy.writes && status < 300 && !row.creates() => {
            Err("changes what is somebody else's".to_owned())
        }
        _ if own
            && matches!(adds, Relation::Team | Relation::Organization)
            && matches!(status, 401 | 403) =>
        {
            Err(format!("the table says that it may, as {}", adds.as_str()))
        }
        _ => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers_everybody_as_the_policy_says() {
    // Most of these sign-ins fail, and all come from one address.
    let file = format!(
        "{ONE_MODEL}\ngeneral_settings: {{ max_failed_login_attempts_per_source: 100000 }}\n"
    );
    let api = Api::configured(Database::sqlite().await, &file, Clock::System).await;
    let visitors = visitors(&api).await;
    let others = target(&api, None).await;
    let mut shared = Vec::new();
    for visitor in &visitors {
        shared.push(target(&api, Some(visitor)).await);
    }
    let mut found = format!("{:<44}", "route");
    for visitor in &visitors {
        let width = visitor.name.len().max(7);
        write!(found, " {:<width$}", visitor.name).unwrap();
    }
    found = format!("{}\n", found.trim_end());
    let mut wrong = Vec::new();
    for row in rows() {
        let mut line = format!("{:<44}", format!("{} {}", row.method, row.path));
        for (visitor, own) in visitors.iter().zip(&shared) {
            let may = match row.access {
                Access::Public => true,
                Access::By(action) => visitor.role.is_some_and(|role| {
                    let rule = action.rule();
                    matches!(rule.verdict(role), Verdict::May(_))
                        || visitor.adds(rule) != Relation::Nothing
                }),
            };
            let fresh = may && row.method != "GET";
            let mut cell = String::new();
            for is_own in [false, true] {
                // Whom nothing is ever shown is not asked twice.
                if is_own && (visitor.role.is_none() || visitor.role == Some(Role::ProxyAdmin)) {
                    continue;
                }
                let answer = if fresh {
                    let target = target(&api, is_own.then_some(visitor)).await;
                    call(&row, visitor, &target).await
                } else {
                    call(&row, visitor, if is_own { own } else { &others }).await
                };
                if let Err(why) = judge(&row, visitor, is_own, &answer) {
                    let whose = if is_own { "its own" } else { "others'" };
                    wrong.push(format!(
                        "{} {} by {} of {whose}: {} – {why}: {}",
                        row.method, row.path, visitor.name, answer.status, answer.body
                    ));
                }
                if is_own {
                    cell.push('/');
                }
                cell += answer.status.as_str();
            }
            let width = visitor.name.len().max(7);
            write!(line, " {cell:<width$}").unwrap();
        }
        found = format!("{found}{}\n", line.trim_end());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/api/sweep.txt");
    if std::env::var_os("TOLLKEEPER_REGENERATE").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let differ: Vec<String> = found
        .lines()
        .filter(|line| !there.lines().any(|known| known == *line))
        .map(str::to_owned)
        .collect();
    assert!(
        found == there,
        "new or other than in sweep.txt:\n{}",
        differ.join("\n")
    );
}
