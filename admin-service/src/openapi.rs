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
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::rows;

    /// Compares a file of this crate with what the code makes of it; with `TOLLKEEPER_REGENERATE` set it writes the file.
    fn compare(path: &str, made: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("TOLLKEEPER_REGENERATE").is_some() {
            std::fs::write(&path, made).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == made,
            "{} is not what the code makes; TOLLKEEPER_REGENERATE=1 cargo test -p tollkeeper-admin --lib generated",
            path.display()
        );
    }

    /// Prints what fits on a line on one.
    fn print(value: &Value, depth: usize, text: &mut String) {
        let whole = value.to_string();
        let (open, close, items): (char, char, Vec<(String, &Value)>) = match value {
            Value::Object(map) if whole.len() > 120 => {
                let items = map.iter().map(|(name, item)| (format!("{name:?}: "), item));
                ('{', '}', items.collect())
            }
            Value::Array(all) if whole.len() > 120 => {
                let items = all.iter().map(|item| (String::new(), item));
                ('[', ']', items.collect())
            }
            _ => return text.push_str(&whole),
        };
        text.push(open);
        for (at, (name, item)) in items.iter().enumerate() {
            text.push_str(if at == 0 { "\n" } else { ",\n" });
            text.push_str(&" ".repeat(depth + 1));
            text.push_str(name);
            print(item, depth + 1, text);
        }
        text.push('\n');
        text.push_str(&" ".repeat(depth));
        text.push(close);
    }

    fn line(cells: &[&str]) -> String {
        let widths = [52, 9, 9, 9, 12, 9, 11, 12, 0];
        let cells = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<String>().trim_end())
    }

    #[test]
    fn the_generated_document_is_the_committed_one() {
        let mut text = String::new();
        print(&document(&rows()), 0, &mut text);
        compare("openapi.json", &format!("{text}\n"));
    }

    #[test]
    fn the_generated_policy_is_the_committed_one() {
        let heads = [
            "route",
            "admin",
            "viewer",
            "user",
            "user_viewer",
            "no_role",
            "team_admin",
            "team_member",
            "organization_admin",
        ];
        let mut text = line(&heads);
        for row in rows() {
            let route = format!("{} {}", row.method, row.path);
            let Access::By(action) = row.access else {
                text += &line(&[&route, "everybody"]);
                continue;
            };
            let rule = action.rule();
            let mut cells = vec![route.as_str()];
            cells.extend(rule.verdicts.map(Verdict::as_str));
            cells.extend(rule.relations.map(Relation::as_str));
            text += &line(&cells);
        }
        compare("src/policy/golden.txt", &text);
    }

    #[test]
    fn no_two_operations_or_records_share_a_name() {
        let rows = rows();
        let mut names: Vec<String> = rows.iter().map(operation_id).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        let mut records: BTreeMap<&str, &Record> = BTreeMap::new();
        for row in &rows {
            if let Reply::Json(of) | Reply::JsonOr(of, _) = &row.reply {
                of.records(|record| {
                    let other = records.insert(record.name, record);
                    let same = other.is_none_or(|other| std::ptr::eq(other, record));
                    assert!(
                        same || record.name.is_empty(),
                        "two records are {}",
                        record.name
                    );
                });
            }
        }
    }

    #[test]
    fn only_a_proxy_admin_may_write_anything_that_is_not_theirs() {
        for row in rows() {
            if let Access::By(action) = row.access {
                let rule = action.rule();
                let any = Verdict::May(crate::policy::Reach::Any);
                let others = rule.verdicts[1..].iter().all(|verdict| *verdict != any);
                assert!(!rule.writes || others, "{action:?}");
            }
        }
    }
}
