//! Bodies as pydantic reads them.

use serde_json::json;

use super::*;

fn problems(body: &Value, table: &[Field]) -> Vec<Value> {
    match Body::parse(&Bytes::from(body.to_string()), table) {
        Err(ApiError::Invalid(problems)) => problems.iter().map(Problem::to_json).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn wrong_types_are_told_in_pydantics_words() {
    assert_eq!(
        problems(&json!({"rpm_limit": -1}), GENERATE_KEY),
        [
            json!({"type": "greater_than_equal", "loc": ["body", "rpm_limit"], "msg": "Input should be greater than or equal to 0"})
        ]
    );
    assert_eq!(
        problems(
            &json!({"models": "gpt-4o", "max_budget": [], "blocked": "perhaps"}),
            GENERATE_KEY
        ),
        [
            json!({"type": "bool_parsing", "loc": ["body", "blocked"], "msg": "Input should be a valid boolean, unable to interpret input"}),
            json!({"type": "float_type", "loc": ["body", "max_budget"], "msg": "Input should be a valid number"}),
            json!({"type": "list_type", "loc": ["body", "models"], "msg": "Input should be a valid list"}),
        ]
    );
    assert_eq!(
        problems(&json!({"user_ids": ["a", 1]}), USER_IDS),
        [
            json!({"type": "string_type", "loc": ["body", "user_ids", 1], "msg": "Input should be a valid string"})
        ]
    );
    assert_eq!(
        problems(&json!({}), TEAM_IDS),
        [json!({"type": "missing", "loc": ["body", "team_ids"], "msg": "Field required"})]
    );
}

#[test]
fn an_empty_body_is_a_missing_field() {
    let Err(ApiError::Invalid(problems)) = Body::parse(&Bytes::from_static(b" "), GENERATE_KEY)
    else {
        panic!("expected a problem");
    };
    assert_eq!(
        problems[0].to_json(),
        json!({"type": "missing", "loc": ["body"], "msg": "Field required"})
    );
}

#[test]
fn numbers_in_texts_and_whole_fractions_are_read() {
    let sent = json!({"rpm_limit": "5", "tpm_limit": 7.0, "max_budget": "0.1", "blocked": "yes"});
    let mut body = Body::parse(&Bytes::from(sent.to_string()), GENERATE_KEY).unwrap();
    assert_eq!(body.whole("rpm_limit"), Patch::Set(5));
    assert_eq!(body.whole("tpm_limit"), Patch::Set(7));
    assert_eq!(
        body.money("max_budget").unwrap(),
        Patch::Set(NanoUsd::new(100_000_000).unwrap())
    );
    assert_eq!(body.flag("blocked"), Patch::Set(true));
}

#[test]
fn absent_null_and_value_are_three_things() {
    let sent = json!({"key_alias": null, "models": ["a"], "nobody_knows": 1});
    let mut body = Body::parse(&Bytes::from(sent.to_string()), UPDATE_KEY).unwrap();
    assert_eq!(body.ignored, ["nobody_knows"]);
    assert_eq!(body.text("key_alias"), Patch::Null);
    assert_eq!(body.text("user_id"), Patch::Absent);
    assert_eq!(body.texts("models"), Patch::Set(vec!["a".to_owned()]));
}

#[test]
fn money_is_read_from_its_digits() {
    let sent = r#"{"max_budget": 0.123456789, "soft_budget": 8999999.999999999}"#;
    let mut body = Body::parse(&Bytes::from_static(sent.as_bytes()), GENERATE_KEY).unwrap();
    assert_eq!(
        body.money("max_budget").unwrap(),
        Patch::Set(NanoUsd::new(123_456_789).unwrap())
    );
    assert_eq!(
        body.money("soft_budget").unwrap(),
        Patch::Set(NanoUsd::new(8_999_999_999_999_999).unwrap())
    );
}
