//! The settings of LiteLLM's page about self-serve, as it prints them, from the making of a user to the answer of a model.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::header::{COOKIE, HeaderValue};
use serde_json::{Value, json};
use tollkeeper_tests::client::{Reply, request};
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, SOON, alone, nano_usd, rows_until, tag};

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

/// The page's YAML.
fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/self_serve.yaml")
}

fn chat(model: &str, tag: &str) -> Value {
    let text = format!("[[tag={tag} tokens=20 prompt=11]]");
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

#[test]
fn an_internal_user_is_invited_makes_a_key_with_an_empty_body_and_a_bare_request_is_answered()
-> Result<()> {
    alone(
        "self-serve",
        |options| options.config = Some(page()),
        async |stack| internal_user(stack).await,
    )
}

#[test]
fn the_same_settings_over_the_api_do_the_same_and_follow_every_change_without_a_restart()
-> Result<()> {
    alone(
        "self-serve-api",
        |_| {},
        async |stack| {
            let model = json!({"model_name": "gpt-3.5-turbo", "litellm_params": {"model": "openai/gpt-3.5-turbo"}});
            stack.post_admin("/model/new", &model).await?;
            let plain = json!({"user_role": "internal_user", "auto_create_key": false});
            let before = stack.post_admin("/user/new", &plain).await?;
            assert_eq!(before["max_budget"], Value::Null);
            let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(page())?)?;
            let mut settings = file["litellm_settings"].clone();
            let fields = settings.as_object_mut().context("no settings")?;
            let users = fields
                .remove("default_internal_user_params")
                .context("no defaults of users")?;
            let (of_users, own) = (
                "/update/internal_user_settings",
                "/update/self_serve_settings",
            );
            stack.patch_admin(of_users, &users).await?;
            stack.patch_admin(own, &settings).await?;
            internal_user(stack).await?;

            // Without the defaults of users the budget of internal users is theirs; without bounds keys have none.
            let none = json!({"user_role": null, "max_budget": null, "budget_duration": null, "models": null});
            stack.patch_admin(of_users, &none).await?;
            let changed =
                json!({"max_internal_user_budget": 0.1, "upperbound_key_generate_params": null});
            stack.patch_admin(own, &changed).await?;
            let user = stack.post_admin("/user/new", &plain).await?;
            assert_eq!(user["max_budget"].as_f64(), Some(0.1), "{user}");
            assert_eq!(user["budget_duration"], "1mo");
            let own = json!({"user_id": user["user_id"]});
            let tag = tag("internal-budget");
            let dear = json!({"model": "round-price", "max_tokens": 1_000,
                "messages": [{"role": "user", "content": format!("[[tag={tag} tokens=1000]]")}]});
            let mut statuses = Vec::new();
            for _ in 0..3 {
                let key = stack.key(&own).await?;
                statuses.push(Caller::new(stack, 0, &key).chat(&dear).await?.status);
            }
            assert_eq!(statuses, [200, 200, 422], "five cents each within ten");
            // It binds personal keys, not those of a team.
            let members = json!([{"role": "user", "user_id": user["user_id"]}]);
            let team = json!({ "members_with_roles": members });
            let team = stack.post_admin("/team/new", &team).await?;
            let of_team = json!({"user_id": user["user_id"], "team_id": team["team_id"]});
            let key = stack.key(&of_team).await?;
            let reply = Caller::new(stack, 0, &key).chat(&dear).await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
            Ok(())
        },
    )
}

/// What the page promises an internal user.
async fn internal_user(stack: &Stack) -> Result<()> {
    let body = json!({"user_email": "one@example.com", "user_role": "internal_user", "auto_create_key": false});
    let user = stack.post_admin("/user/new", &body).await?;
    assert_eq!(user["user_email"], "one@example.com");
    assert_eq!(user["user_role"], "internal_user");
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

    let key = text(&made["key"])?;
    let caller = Caller::new(stack, 0, key);
    // At once, and again: a thousand tokens a minute are not all reserved for one bare request.
    for _ in 0..2 {
        let reply = caller
            .chat(&chat("gpt-3.5-turbo", &tag("self-serve")))
            .await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let other = caller.chat(&chat("gpt-4o", &tag("self-serve"))).await?;
    assert_eq!(other.status, 403, "{}", other.text());

    // They see their spend, see and delete their own keys, and make no users.
    let rows = rows_until(stack, key, 2, SOON).await?;
    let spent = rows.iter().map(|row| nano_usd(&row["spend"]));
    let spent = spent.sum::<Result<u64>>()?;
    assert!(spent > 0);
    let shown = person.asks(Method::GET, "/user/info", None).await?.good()?;
    assert_eq!(nano_usd(&shown["user_info"]["spend"])?, spent, "{shown}");
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
}

#[test]
fn viewers_are_invited_see_what_is_theirs_to_see_and_make_nothing() -> Result<()> {
    alone(
        "self-serve-viewers",
        |options| options.config = Some(page()),
        async |stack| {
            let days = "start_date=2026-01-01&end_date=2026-12-31";
            let usage = format!("/global/activity?{days}");
            let caching = format!("/global/activity/cache_hits?{days}");
            // Everybody's usage and keys, or their own spend and keys alone.
            let keys_of_others = stack.key(&json!({})).await?;
            for (role, statuses, making, keys) in [
                ("proxy_admin_viewer", [200; 4], 403, 2),
                ("internal_user_viewer", [401, 401, 403, 200], 401, 1),
            ] {
                let body = json!({"user_email": format!("{role}@example.com"), "user_role": role,
                    "auto_create_key": false});
                let user = stack.post_admin("/user/new", &body).await?;
                let given = stack
                    .post_admin("/key/generate", &json!({"user_id": user["user_id"]}))
                    .await?;
                let viewer = Person::invited(stack, &user).await?;
                let paths = [&usage, &caching, "/user/list", "/user/info"];
                for (path, status) in paths.into_iter().zip(statuses) {
                    let shown = viewer.asks(Method::GET, path, None).await?;
                    assert_eq!(shown.status, status, "{role} {path}: {}", shown.text());
                }
                let shown = viewer.asks(Method::GET, "/key/list", None).await?.good()?;
                assert_eq!(shown["total_count"].as_u64(), Some(keys), "{role}: {shown}");
                for (path, body) in [
                    ("/key/generate", json!({})),
                    ("/key/delete", json!({"keys": [given["key"]]})),
                    ("/key/delete", json!({"keys": [keys_of_others]})),
                    ("/user/new", json!({"user_email": "three@example.com"})),
                ] {
                    let refused = viewer.asks(Method::POST, path, Some(&body)).await?;
                    assert_eq!(refused.status, making, "{role} {path}: {}", refused.text());
                }
            }
            Ok(())
        },
    )
}
