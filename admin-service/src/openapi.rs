//! The `OpenAPI` document, made of the route table.
//!
//! Decides: how rows, field tables and records read in `OpenAPI` 3.1. Leaves what they say to the table. `admin-service/openapi.json` holds what
//! this makes; a test compares the two.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::policy::{Action, Relation, Verdict};
use crate::request::Field;
use crate::router::row::{Access, Reply, Row, Sent};

pub mod schema;

use schema::{Of, Record, TEXT, TEXT_OR_NULL, WHOLE, either, list, one};

static REFUSED: Of = either(&[one(&ERROR), one(&DETAIL)]);
static ERROR: Record = Record::new(
    "Error",
    &[(
        "error",
        one(&Record::new(
            "",
            &[("message type code", TEXT), ("param", TEXT_OR_NULL)],
        )),
    )],
);
static DETAIL: Record = Record::new(
    "Detail",
    &[(
        "detail",
        either(&[
            TEXT,
            one(&Record::new("", &[("error", TEXT)])),
            list(&one(&PROBLEM)),
        ]),
    )],
);
static PROBLEM: Record = Record::new(
    "Problem",
    &[("type msg", TEXT), ("loc", list(&either(&[TEXT, WHOLE])))],
);

/// The document.
pub fn document(rows: &[Row]) -> Value {
    let (mut paths, mut records) = (Map::new(), BTreeMap::new());
    let mut keep = |record: &'static Record| {
        if !record.name.is_empty() {
            records.insert(record.name, record.schema());
        }
    };
    REFUSED.records(&mut keep);
    let mut refused = Map::new();
    for row in rows {
        if let Reply::Json(of) | Reply::JsonOr(of, _) = &row.reply {
            of.records(&mut keep);
        }
        for status in refusals(row) {
            let content = json!({"application/json": {"schema": REFUSED.schema()}});
            let response = json!({"description": reason(status), "content": content});
            refused.insert(status.to_string(), response);
        }
        // OpenAPI knows no parameter that takes the rest of a path.
        let path = paths
            .entry(row.path.replace("{*", "{"))
            .or_insert_with(|| json!({}));
        path[row.method.to_ascii_lowercase()] = operation(row);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper admin service",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "People, keys, limits and spend, over an API that clients of LiteLLM Proxy know. \
                Amounts are dollars. Beside what is listed here, a number or flag may be sent as a text that reads as one.",
        },
        "security": [{"key": []}, {"header": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": records,
            "responses": refused,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "the master key or a virtual key"},
                "header": {"type": "apiKey", "in": "header", "name": "x-litellm-api-key"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-tk_session", "description":
                    "what signing in gives a browser; `tk_session` where PROXY_BASE_URL is not https"},
            },
        },
    })
}

fn operation(row: &Row) -> Value {
    let mut operation = json!({
        "operationId": operation_id(row),
        "tags": [row.path.split('/').nth(1).unwrap_or_default()],
        "responses": responses(row),
    });
    match row.access {
        Access::Public => operation["security"] = json!([]),
        Access::By(action) => {
            operation["summary"] = json!(action.rule().about.trim());
            operation["x-may"] = may(action);
        }
    }
    let in_path = row.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let name = name.trim_start_matches('*');
        Some(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
    });
    let in_query = row.query.iter().map(|param| {
        json!({"name": param.name, "in": "query", "required": param.required, "schema": param.schema()})
    });
    let key = row.creates().then(|| {
        let schema =
            json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
        json!({"name": "Idempotency-Key", "in": "header", "required": false, "schema": schema,
            "description": "the same key and the same request get the same answer, for 24 hours"})
    });
    let parameters: Vec<Value> = in_path.chain(in_query).chain(key).collect();
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    let (media, fields) = match row.sent {
        Sent::Nothing => return operation,
        Sent::Json(fields) => ("application/json", fields),
        Sent::Form(fields) => ("application/x-www-form-urlencoded", fields),
    };
    operation["requestBody"] =
        json!({"required": true, "content": {media: {"schema": request(fields)}}});
    operation
}

/// A name that no other operation has.
fn operation_id(row: &Row) -> String {
    let path = row.path.trim_start_matches('/');
    let letters = path
        .chars()
        .filter(|letter| !matches!(letter, '{' | '}' | '*'))
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        });
    format!(
        "{}_{}",
        row.method.to_ascii_lowercase(),
        letters.collect::<String>()
    )
}

/// The row of the policy, for who reads the document.
fn may(action: Action) -> Value {
    let rule = action.rule();
    let [admin, viewer, user, user_viewer, none] = rule.verdicts.map(Verdict::as_str);
    let [team_admin, member, organization] = rule.relations.map(Relation::as_str);
    json!({
        "proxy_admin": admin, "proxy_admin_viewer": viewer, "internal_user": user, "internal_user_viewer": user_viewer,
        "no_role": none, "team_admin": team_admin, "team_member": member, "organization_admin": organization,
    })
}

fn request(fields: &[Field]) -> Value {
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn responses(row: &Row) -> Value {
    let mut responses = Map::new();
    let json = |of: &Of| json!({"application/json": {"schema": of.schema()}});
    let (status, content) = match &row.reply {
        Reply::Json(of) => (200, json(of)),
        Reply::Created(of) => (201, json(of)),
        Reply::Nothing => (204, Value::Null),
        Reply::Other(media) => (200, json!({*media: {"schema": {"type": "string"}}})),
        Reply::JsonOr(of, media) => {
            let mut content = json(of);
            content[*media] = json!({"schema": {"type": "string"}});
            (200, content)
        }
        Reply::Redirect => (303, Value::Null),
    };
    let mut done = json!({"description": "done"});
    if !content.is_null() {
        done["content"] = content;
    }
    if !row.tells.is_empty() {
        let headers = row.tells.iter().map(|(name, about)| {
            let header = json!({"description": about, "schema": {"type": "string"}});
            ((*name).to_owned(), header)
        });
        done["headers"] = headers.collect();
    }
    responses.insert(status.to_string(), done);
    for status in refusals(row) {
        let refused = match &row.reply {
            // Readiness says in its own words what is missing.
            Reply::Json(of) if status == 503 && row.access == Access::Public => {
                json!({"description": reason(status), "content": json(of)})
            }
            _ => json!({"$ref": format!("#/components/responses/{status}")}),
        };
        responses.insert(status.to_string(), refused);
    }
    Value::Object(responses)
}

fn reason(status: u16) -> Option<&'static str> {
    StatusCode::from_u16(status).ok()?.canonical_reason()
}

/// The statuses with which a route refuses.
pub fn refusals(row: &Row) -> Vec<u16> {
    let mut all = row.also.to_vec();
    if row.creates() {
        all.extend([409, 422]);
    }
    if matches!(row.access, Access::By(_)) {
        all.extend([400, 401, 403, 503]);
    }
    if !row.query.is_empty() {
        all.push(422);
    }
    if !matches!(row.sent, Sent::Nothing) {
        all.extend([400, 413, 422]);
    }
    if row.leaves_body() {
        all.push(413);
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
