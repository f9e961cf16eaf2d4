//! The fields of a model: what a request puts where, and what of it is a secret.
//!
//! Credentials of providers are Envoy's business. They are taken out of every request before anything else is done with it, and the answer names
//! them as ignored: nothing of them is stored, logged or shown.

use serde_json::Value;

use crate::store::row::Object;

/// Names that hold a secret although they do not end like one.
const SECRET: [&str; 8] = [
    "extra_headers",
    "headers",
    "default_headers",
    "aws_web_identity_token",
    "vertex_credentials",
    "azure_username",
    "extra_body",
    "token",
];
/// Endings of names that hold a secret. Prices end in `_token` too, and say `cost`.
const SECRET_ENDINGS: [&str; 7] = [
    "api_key",
    "_key",
    "_key_id",
    "secret",
    "_token",
    "password",
    "credentials",
];

/// Takes what may be a secret out of a model's parameters; answers the names.
pub(super) fn without_secrets(params: &mut Object) -> Vec<String> {
    let secret: Vec<String> = params
        .iter()
        .filter(|(name, value)| is_secret(name, value))
        .map(|(name, _)| name.clone())
        .collect();
    for name in &secret {
        params.remove(name);
    }
    secret
}

fn is_secret(name: &str, value: &Value) -> bool {
    let name = name.to_ascii_lowercase();
    if name.contains("cost") {
        return false;
    }
    let with_login = || {
        let url = value.as_str().unwrap_or_default();
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        authority
            .split('/')
            .next()
            .is_some_and(|host| host.contains('@'))
    };
    SECRET.contains(&name.as_str())
        || SECRET_ENDINGS.iter().any(|end| name.ends_with(end))
        || with_login()
}

/// What a request says of an object: a value is set, `null` takes a field away, the rest stays.
pub(super) fn merge(object: &mut Object, said: Object) {
    for (name, value) in said {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_told_from_prices_and_names() {
        let mut params = json!({"model": "openai/gpt-4o", "api_key": "sk-1", "aws_secret_access_key": "x", "azure_ad_token": "t",
            "vertex_credentials": "{}", "extra_headers": {"authorization": "x"}, "client_secret": "s", "API_KEY": "k",
            "api_base": "https://user:pass@host/v1", "base_url": "https://host/a@b",
            "input_cost_per_token": 1, "output_cost_per_reasoning_token": 1, "max_tokens": 5, "rpm": 3, "custom_llm_provider": "openai"});
        let Value::Object(params) = &mut params else {
            panic!()
        };
        let mut secret = without_secrets(params);
        secret.sort();
        assert_eq!(
            secret,
            [
                "API_KEY",
                "api_base",
                "api_key",
                "aws_secret_access_key",
                "azure_ad_token",
                "client_secret",
                "extra_headers",
                "vertex_credentials"
            ]
        );
        let kept: Vec<&String> = params.keys().collect();
        assert_eq!(
            kept,
            [
                "base_url",
                "custom_llm_provider",
                "input_cost_per_token",
                "max_tokens",
                "model",
                "output_cost_per_reasoning_token",
                "rpm"
            ]
        );
    }
}
