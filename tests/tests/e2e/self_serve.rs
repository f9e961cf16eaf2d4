//! The settings of LiteLLM's page about self-serve, as it prints them, from the making of a user to the answer of a model.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::header::{COOKIE, HeaderValue};
use serde_json::{Value, json};
use tollkeeper_tests::client::{Reply, request};
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, alone, tag};

/// Somebody at a browser, signed in.
struct Person<'a> {
    stack: &'a Stack,
    cookie: HeaderValue,
}

impl<'a> Person<'a> {
    /// Takes up an invitation, then signs in again with the password.
    async fn invited(stack: &'a Stack, user: &Value) -> Result<Self> {
        let invitation = json!({"user_id": user["user_id"]});
        let invitation = stack.post_admin("/invitation/new", &invitation).await?;
        assert_eq!(invitation["is_accepted"], false);
        let link = text(&invitation["id"])?;
        let url = format!(
            "{}/onboarding/get_token?invite_link={link}",
            stack.admin.url()
        );
        let traded = stack.client.get(&url, None).await?.good()?;
        let claims = claims(text(&traded["token"])?)?;
        let password = "Toll-roads of the world 7";
        let claim =
            json!({"invitation_link": link, "user_id": user["user_id"], "password": password});
        let url = format!("{}/onboarding/claim_token", stack.admin.url());
        let onboarding = text(&claims["key"])?;
        let claimed = stack.client.post(&url, Some(onboarding), &claim).await?;
        assert_eq!(claimed.status, 200, "{}", claimed.text());
        let again = stack.client.post(&url, Some(onboarding), &claim).await?;
        assert_eq!(again.status, 401, "a link is used once: {}", again.text());

        let sign_in = json!({"username": user["user_email"], "password": password});
        let url = format!("{}/v2/login", stack.admin.url());
        let signed_in = stack.client.post(&url, None, &sign_in).await?;
        assert_eq!(signed_in.status, 200, "{}", signed_in.text());
        let cookie = signed_in.header("set-cookie").context("no cookie")?;
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap_or_default();
        Ok(Self {
            stack,
            cookie: HeaderValue::from_str(cookie)?,
        })
    }

    /// A request of a page of the admin service.
    async fn asks(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let url = format!("{}{path}", self.stack.admin.url());
        let body = body.map(|body| body.to_string().into()).unwrap_or_default();
        let mut request = request(method, &url, None, body)?;
        let headers = request.headers_mut();
        headers.insert(COOKIE, self.cookie.clone());
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        self.stack.client.send(request).await?.whole().await
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("no text: {value}"))
}

/// What a JSON Web Token says.
fn claims(token: &str) -> Result<Value> {
    let payload = token.split('.').nth(1).context("no token")?;
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for letter in payload.bytes() {
        let digit = digits.iter().position(|digit| *digit == letter);
        held = (held << 6) | u32::try_from(digit.context("no base64")?)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff)?);
        }
    }
    Ok(serde_json::from_slice(&bytes)?)
}

#[test]
fn an_internal_user_is_invited_makes_a_key_with_an_empty_body_and_a_bare_request_is_answered()
-> Result<()> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/self_serve.yaml");
    alone(
        "self-serve",
        |options| options.config = Some(file),
        async |stack| {
            let body = json!({"user_email": "one@example.com", "user_role": "internal_user", "auto_create_key": false});
            let user = stack.post_admin("/user/new", &body).await?;
            // The defaults of new users beat the budget of internal users.
            assert_eq!(user["max_budget"].as_f64(), Some(100.0), "{user}");
            assert_eq!(user["budget_duration"], "30d");
            assert_eq!(user["models"], json!(["gpt-3.5-turbo"]));

            let person = Person::invited(stack, &user).await?;
            let made = person
                .asks(Method::POST, "/key/generate", Some(&json!({})))
                .await?
                .good()?;
            for (field, bound) in [
                ("max_budget", 100.0),
                ("max_parallel_requests", 1_000.0),
                ("tpm_limit", 1_000.0),
                ("rpm_limit", 1_000.0),
            ] {
                assert_eq!(made[field].as_f64(), Some(bound), "{field}: {made}");
            }
            assert_eq!(made["budget_duration"], "10d");
            assert_eq!(made["user_id"], user["user_id"]);
            assert!(made["expires"].is_string(), "{made}");
            let above = json!({"max_budget": 101});
            let above = person
                .asks(Method::POST, "/key/generate", Some(&above))
                .await?;
            assert_eq!(above.status, 400, "{}", above.text());

            let caller = Caller::new(stack, 0, text(&made["key"])?);
            let chat = |model: &str, tag: &str| {
                let text = format!("[[tag={tag} tokens=20 prompt=11]]");
                json!({"model": model, "messages": [{"role": "user", "content": text}]})
            };
            // At once, and again: a thousand tokens a minute are not all reserved for one bare request.
            for _ in 0..2 {
                let reply = caller
                    .chat(&chat("gpt-3.5-turbo", &tag("self-serve")))
                    .await?;
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
            let other = caller.chat(&chat("gpt-4o", &tag("self-serve"))).await?;
            assert_eq!(other.status, 403, "{}", other.text());

            // They see and delete their own keys, and make no users.
            let own = person.asks(Method::GET, "/key/list", None).await?.good()?;
            assert_eq!(own["total_count"].as_u64(), Some(1), "{own}");
            let nobody = json!({"user_email": "two@example.com"});
            let refused = person
                .asks(Method::POST, "/user/new", Some(&nobody))
                .await?;
            assert_eq!(refused.status, 401, "{}", refused.text());
            let deleted = json!({"keys": [made["key"]]});
            person
                .asks(Method::POST, "/key/delete", Some(&deleted))
                .await?
                .good()?;
            let reply = caller.chat(&chat("gpt-3.5-turbo", &tag("gone"))).await?;
            assert_eq!(reply.status, 401, "{}", reply.text());
            Ok(())
        },
    )
}

#[test]
fn an_admin_viewer_is_invited_sees_usage_and_cache_hits_and_makes_nothing() -> Result<()> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/self_serve.yaml");
    alone(
        "self-serve-viewer",
        |options| options.config = Some(file),
        async |stack| {
            let body = json!({"user_email": "viewer@example.com", "user_role": "proxy_admin_viewer", "auto_create_key": false});
            let user = stack.post_admin("/user/new", &body).await?;
            let viewer = Person::invited(stack, &user).await?;
            let days = "start_date=2026-01-01&end_date=2026-12-31";
            for path in [
                format!("/global/activity?{days}"),
                format!("/global/activity/cache_hits?{days}"),
                "/key/list".to_owned(),
                "/user/list".to_owned(),
            ] {
                let seen = viewer.asks(Method::GET, &path, None).await?;
                assert_eq!(seen.status, 200, "{path}: {}", seen.text());
            }
            for (path, body) in [
                ("/key/generate", json!({})),
                ("/user/new", json!({"user_email": "three@example.com"})),
            ] {
                let refused = viewer.asks(Method::POST, path, Some(&body)).await?;
                assert_eq!(refused.status, 403, "{path}: {}", refused.text());
            }
            Ok(())
        },
    )
}
