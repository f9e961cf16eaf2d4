//! What everybody asks for, of theirs and of others: the things themselves, and a request about them that could be done.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollkeeper_admin::caller::Role;
use tollkeeper_admin::request::{Field, Type};
use tollkeeper_admin::router::row::{Row, Sent};

use super::super::clients::{Api, text};
use super::visitors::{Related, Visitor};

/// In the name of everything that is nobody's who comes.
pub const OTHERS: &str = "not-yours";
/// A team that whoever likes may join.
pub const OPEN: &str = "open-to-all";
/// A field that nobody knows: every request that may have a body has it.
pub const UNKNOWN: &str = "nobody_knows_this";

/// In the name of every key that is a team's, and nobody's who comes.
pub const TEAM_KEY: &str = "own key of";

/// What a call is about, by the names that requests have for it.
pub type Target = BTreeMap<&'static str, String>;

async fn made(api: &Api, path: &str, body: Value, name: &str) -> String {
    let answer = api.master().post(path, body).await.ok();
    text(&answer, name).to_owned()
}

/// Things of a user, a team and an organization, made anew. `visitor`: as close to them as they come.
pub async fn target(api: &Api, visitor: Option<&Visitor>) -> Target {
    let master = api.master();
    let relation = visitor.and_then(|visitor| visitor.relation);
    let own = visitor.and_then(|visitor| visitor.user.clone());
    let whose = if visitor.is_some() { "own" } else { OTHERS };
    let user = || json!({"auto_create_key": false, "user_alias": format!("{whose} user")});
    let spare = made(api, "/user/new", user(), "user_id").await;
    let joiner = made(api, "/user/new", user(), "user_id").await;
    let named = |what: &str| format!("{whose} {what} of {spare}");
    let alias = json!({ "organization_alias": named("organization") });
    let organization = made(api, "/organization/new", alias, "organization_id").await;
    let mut members = Vec::new();
    // Admins of a team invite whom nobody else has authority over.
    if relation != Some(Related::TeamAdmin) {
        members.push((spare.clone(), "internal_user"));
    }
    let mut team_members = vec![json!({"role": "user", "user_id": spare})];
    if let Some(own) = &own {
        let (in_organization, in_team) = match relation {
            Some(Related::OrganizationAdmin) => ("org_admin", None),
            Some(Related::TeamAdmin) => ("internal_user", Some("admin")),
            _ => ("internal_user", Some("user")),
        };
        members.push((own.clone(), in_organization));
        team_members.extend(in_team.map(|role| json!({"role": role, "user_id": own})));
    }
    for (user, role) in members {
        join(api, &organization, &user, role).await;
    }
    let mut team = json!({"team_alias": named("team"), "members_with_roles": team_members});
    if relation == Some(Related::PermittedMember) {
        let all = format!("/team/permissions_list?team_id={OPEN}");
        let all = master.get(&all).await.ok()["all_available_permissions"].clone();
        team["team_member_permissions"] = all;
    }
    if let (Some(own), Some(Related::OrganizationAdmin)) = (&own, relation) {
        team["organization_id"] = json!(organization);
        // Whom one brings into an organization is known from another one.
        let alias = json!({ "organization_alias": named("other organization") });
        let other = made(api, "/organization/new", alias, "organization_id").await;
        join(api, &other, own, "org_admin").await;
        join(api, &other, &joiner, "internal_user").await;
    }
    let team = made(api, "/team/new", team, "team_id").await;
    // Of one's own: what one may make oneself, one has made.
    let alias = named("key");
    let key = match (visitor, relation) {
        (Some(_), Some(_)) => {
            let new = json!({"team_id": team, "key_alias": alias});
            made(api, "/key/generate", new, "token").await
        }
        (Some(visitor), None) if visitor.role == Some(Role::InternalUser) => {
            let key = visitor.client.new_key(json!({ "key_alias": alias })).await;
            text(&key, "token").to_owned()
        }
        (Some(Visitor { key: Some(key), .. }), None) => key.clone(),
        _ => {
            let new = json!({"user_id": own.as_ref().unwrap_or(&spare), "key_alias": alias});
            made(api, "/key/generate", new, "token").await
        }
    };
    let customer = named("customer");
    let new = json!({ "user_id": customer });
    master.post("/customer/new", new).await.ok();
    let budget = made(api, "/budget/new", json!({"max_budget": 1}), "budget_id").await;
    let invitation = api.invite(&spare).await;
    let mut target = Target::from([
        ("joiner", joiner),
        ("key", key),
        ("team", team),
        ("organization", organization),
        ("customer", customer),
        ("budget", budget),
        ("invitation", invitation),
        ("model", "gpt-4o".to_owned()),
    ]);
    match (relation, own, visitor) {
        (None, Some(own), _) => {
            target.insert("user", own);
            target.insert("of_oneself", String::new());
        }
        // A key without user has none that it could name.
        (None, None, Some(_)) => {}
        _ => {
            target.insert("user", spare);
        }
    }
    if relation.is_some() {
        target.insert("of_team", String::new());
    }
    if relation == Some(Related::OrganizationAdmin) {
        target.insert("of_organization", String::new());
    }
    target
}

async fn join(api: &Api, organization: &str, user: &str, role: &str) {
    let member = json!({"user_id": user, "role": role});
    let add = json!({"organization_id": organization, "member": member});
    let added = api.master().post("/organization/member_add", add).await;
    added.ok();
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
            matches!(field, "key" | "api_key") && !row.creates() || field == owner
        }
        "key" => matches!(field, "key" | "keys" | "key_id" | "token" | "api_key"),
        "user" => matches!(
            field,
            "user_id" | "user_ids" | "organizations" | "internal_user_id"
        ),
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
    let models = row.path.starts_with("/models") || row.path.starts_with("/v1/models");
    let what = match field {
        "user_id" | "user_ids" | "end_user_id" if customers => "customer",
        "user_id" | "user_ids" | "internal_user_id" => "user",
        "end_user_id" => "customer",
        "key" | "keys" | "key_id" | "token" | "api_key" => "key",
        "team_id" | "team_ids" => "team",
        "organization_id" | "organization_ids" | "organizations" => "organization",
        "budget_id" | "budgets" => "budget",
        "invitation_id" => "invitation",
        "model_id" if models => "model",
        _ => return None,
    };
    let value = json!(target.get(what)?);
    Some(if field.ends_with('s') {
        json!([value])
    } else {
        value
    })
}

/// What a field must be for the request to be one that can be done, where its name and type do not say.
fn sample(row: &Row, field: &str, target: &Target) -> Option<Value> {
    let user = target.get("user");
    Some(match (row.path, field) {
        ("/key/service-account/generate", "team_id") => json!(target["team"]),
        ("/key/bulk_update", "keys") => json!([{"key": target["key"], "max_budget": 1}]),
        (_, "reset_to") => json!(0),
        ("/team/key/bulk_update", "key_ids") => json!([target["key"]]),
        ("/team/key/bulk_update", "update_fields") => json!({"max_budget": 1}),
        ("/team/permissions_bulk_update", "team_ids") => json!([target["team"]]),
        ("/user/bulk_update", "users") => json!([{"user_id": user, "user_alias": "another"}]),
        ("/team/bulk_member_add", "members") => {
            json!([{"role": "user", "user_id": target["joiner"]}])
        }
        ("/team/permissions_update", "team_member_permissions")
        | ("/team/permissions_bulk_update", "permissions") => json!(["/key/generate"]),
        ("/model/new", "model_name") => json!(format!("model of {}", target["budget"])),
        ("/model/new", "litellm_params") => json!({"model": "openai/gpt-4o"}),
        ("/access_group/new", "access_group") => json!(format!("group of {}", target["budget"])),
        ("/access_group/new", "model_names") => json!([target["model"]]),
        ("/spend/calculate", "model") => json!(target["model"]),
        ("/spend/calculate", "messages") => json!([{"role": "user", "content": "Hello"}]),
        ("/email/event_settings", "settings") => {
            json!([{"event": "Virtual Key Rotated", "enabled": true}])
        }
        // Whoever administers nothing joins what is open to all, themselves.
        ("/team/member_add", "team_id") if target.contains_key("of_oneself") => json!(OPEN),
        ("/team/member_add", "member") if target.contains_key("of_oneself") => {
            json!({"role": "user", "user_id": user})
        }
        _ => return None,
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
pub fn request(row: &Row, target: &Target) -> (String, Option<String>) {
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
            (Some(Value::Array(texts)), _) => texts[0].as_str().unwrap().to_owned(),
            (_, "start_date") => "2026-11-01".to_owned(),
            (_, "end_date") => "2026-11-30".to_owned(),
            _ if param.required => "sweep".to_owned(),
            _ => continue,
        };
        path = format!("{path}{sep}{}={}", param.name, value.replace(' ', "%20"));
        sep = '&';
    }
    let (Sent::Json(fields) | Sent::Form(fields)) = row.sent else {
        let unread = json!({ UNKNOWN: true }).to_string();
        return (path, row.leaves_body().then_some(unread));
    };
    let mut body = Map::new();
    if matches!(row.sent, Sent::Json(_)) {
        body.insert(UNKNOWN.to_owned(), json!(true));
    }
    for field in fields {
        if let Some(value) = sample(row, field.name, target) {
            body.insert(field.name.to_owned(), value);
            continue;
        }
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
