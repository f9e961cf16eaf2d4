//! Holds every answer that a test gets against the `OpenAPI` document: a status that the route does not list, or a body that is not what the
//! document says, fails the test that got it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};
use tollkeeper_admin::{openapi, router};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&router::rows()));

/// The path of the document that a request's path is of.
fn template(path: &str) -> Option<&'static str> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let segments: Vec<&str> = template.split('/').collect();
        segments.len() == asked.len()
            && segments
                .iter()
                .zip(&asked)
                .all(|(segment, asked)| segment == asked || segment.starts_with('{'))
    };
    // A path that is written out comes before one with a parameter.
    let found = paths.get_key_value(path).map(|(template, _)| template);
    found
        .or_else(|| paths.keys().find(|template| fits(template)))
        .map(String::as_str)
}

/// Fails unless the document lists this answer.
#[track_caller]
pub fn check(method: &str, path: &str, status: u16, media: Option<&str>, body: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(template) = template(path) else {
        assert_eq!(status, 404, "{path} is no route");
        return;
    };
    let operation = &DOCUMENT["paths"][template][method.to_ascii_lowercase()];
    if operation.is_null() {
        assert_eq!(status, 405, "{path} has no {method}");
        return;
    }
    let response = &operation["responses"][status.to_string()];
    assert!(
        !response.is_null(),
        "{method} {template} answered {status}, which its row does not list: {body}"
    );
    let response = match response["$ref"].as_str() {
        Some(name) => DOCUMENT.pointer(name.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let Some(content) = response["content"].as_object() else {
        assert!(body == "", "{method} {template} answered a body: {body}");
        return;
    };
    let media = media.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default();
    let Some(listed) = content.get(media) else {
        panic!("{method} {template} answered {status} as {media:?}, which its row does not list");
    };
    if media != "application/json" {
        return;
    }
    let wrong: Vec<String> = validator(&listed["schema"])
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        wrong.is_empty(),
        "{method} {template} answered {status} with a body that its record does not allow:\n{}\n{body:#}",
        wrong.join("\n")
    );
}

fn validator(schema: &Value) -> Arc<Validator> {
    static ALL: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let made = all.entry(schema.to_string()).or_insert_with(|| {
        let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        Arc::new(jsonschema::validator_for(&whole).expect("a schema"))
    });
    Arc::clone(made)
}

#[test]
#[should_panic(expected = "which its row does not list")]
fn a_status_that_a_route_does_not_list_is_found() {
    check(
        "GET",
        "/key/list",
        418,
        Some("application/json"),
        &json!({}),
    );
}

#[test]
#[should_panic(expected = "its record does not allow")]
fn a_field_that_a_record_does_not_list_is_found() {
    let body = json!({"deleted_keys": ["a"], "more": 1});
    check("POST", "/key/delete", 200, Some("application/json"), &body);
}

#[test]
#[should_panic(expected = "its record does not allow")]
fn a_value_of_another_type_is_found() {
    let body = json!({"deleted_keys": [1]});
    check("POST", "/key/delete", 200, Some("application/json"), &body);
}
