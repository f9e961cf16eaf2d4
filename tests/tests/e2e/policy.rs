//! What the administrator decides holds from the next request on, on every worker; what a key may not do never reaches the upstream.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tollkeeper_tests::client::Reply;
use tollkeeper_tests::clock;
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, SOON, alone, capped, chat, records, shared, tag, with};

/// One request on each of several connections to every Envoy, so that every worker has answered.
async fn everywhere(stack: &Stack, key: &str, body: &Value) -> Result<Vec<Reply>> {
    let mut replies = Vec::new();
    for number in 0..12 {
        replies.push(
            Caller::new(stack, number % stack.envoys.len(), key)
                .chat(body)
                .await?,
        );
    }
    Ok(replies)
}

fn statuses(replies: &[Reply]) -> Vec<u16> {
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.dedup();
    statuses
}

#[test]
fn a_block_is_felt_by_the_next_request_on_every_worker_and_so_is_its_end() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let tag = tag("block");
        let body = capped(&format!("[[tag={tag} tokens=1]]"), 1);
        assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [200]);
        let before = records(stack).tagged(&tag).len();
        stack.post_admin("/key/block", &json!({"key": key})).await?;
        let blocked = everywhere(stack, &key, &body).await?;
        assert_eq!(statuses(&blocked), [401]);
        assert!(
            blocked[0].text().contains("Key is blocked"),
            "{}",
            blocked[0].text()
        );
        assert_eq!(records(stack).tagged(&tag).len(), before);
        stack
            .post_admin("/key/unblock", &json!({"key": key}))
            .await?;
        assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [200]);
        Ok(())
    })
}

#[test]
fn a_deleted_key_is_unknown_to_the_next_request_on_every_worker() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let body = capped("[[tokens=1]]", 1);
        assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [200]);
        stack
            .post_admin("/key/delete", &json!({"keys": [key]}))
            .await?;
        let gone = everywhere(stack, &key, &body).await?;
        assert_eq!(statuses(&gone), [401]);
        assert_eq!(
            gone[0].json()["error"]["type"],
            "token_not_found_in_db",
            "{}",
            gone[0].text()
        );
        Ok(())
    })
}

#[test]
fn a_lowered_limit_counts_what_was_used_before() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"rpm_limit": 100})).await?;
        let body = capped("[[tokens=1]]", 1);
        assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [200]);
        stack
            .post_admin("/key/update", &json!({"key": key, "rpm_limit": 12}))
            .await?;
        assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [429]);
        stack
            .post_admin("/key/update", &json!({"key": key, "rpm_limit": 13}))
            .await?;
        let raised = everywhere(stack, &key, &body).await?;
        assert_eq!(raised.iter().filter(|reply| reply.status == 200).count(), 1);
        Ok(())
    })
}

#[test]
fn a_key_ends_when_its_duration_is_over() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"duration": "2s"})).await?;
        let body = capped("[[tokens=1]]", 1);
        assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [200]);
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        let expired = everywhere(stack, &key, &body).await?;
        assert_eq!(statuses(&expired), [401]);
        assert_eq!(
            expired[0].json()["error"]["type"],
            "expired_key",
            "{}",
            expired[0].text()
        );
        Ok(())
    })
}

#[test]
fn a_model_outside_the_list_is_refused_without_an_upstream_call() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"models": ["round-price"]})).await?;
        let tag = tag("model");
        let refused = Caller::new(stack, 0, &key)
            .chat(&chat(&format!("[[tag={tag}]]")))
            .await?;
        assert_eq!(refused.status, 403, "{}", refused.text());
        let error = &refused.json()["error"];
        assert_eq!(
            (&error["type"], &error["param"]),
            (&json!("key_model_access_denied"), &json!("model"))
        );
        assert!(records(stack).tagged(&tag).is_empty());
        let allowed = with(
            capped(&format!("[[tag={tag}]]"), 5),
            "model",
            json!("round-price"),
        );
        assert_eq!(
            Caller::new(stack, 0, &key).chat(&allowed).await?.status,
            200
        );
        stack
            .post_admin(
                "/key/update",
                &json!({"key": key, "models": ["gpt-4o-mini"]}),
            )
            .await?;
        assert_eq!(
            Caller::new(stack, 1, &key).chat(&allowed).await?.status,
            403
        );
        Ok(())
    })
}

#[test]
fn a_model_without_a_price_is_refused_where_a_budget_applies_and_nowhere_else() -> Result<()> {
    shared(async |stack| {
        let body = with(capped("[[tokens=1]]", 5), "model", json!("no-price"));
        let bound = stack.key(&json!({"max_budget": 5})).await?;
        let refused = Caller::new(stack, 0, &bound).chat(&body).await?;
        assert!(
            (400..500).contains(&refused.status) && refused.text().contains("no-price"),
            "{} {}",
            refused.status,
            refused.text()
        );
        let free = stack.key(&json!({})).await?;
        assert_eq!(Caller::new(stack, 0, &free).chat(&body).await?.status, 200);
        Ok(())
    })
}

#[test]
fn an_unknown_key_and_no_key_are_refused_in_the_words_that_clients_match() -> Result<()> {
    shared(async |stack| {
        let tag = tag("unknown");
        let body = chat(&format!("[[tag={tag}]]"));
        let unknown = Caller::new(stack, 0, "sk-nobody-has-this-one")
            .chat(&body)
            .await?;
        assert_eq!(
            (unknown.status, &unknown.json()["error"]["type"]),
            (401, &json!("token_not_found_in_db"))
        );
        let none = stack
            .client
            .post(
                &format!("{}/v1/chat/completions", stack.envoys[0].url()),
                None,
                &body,
            )
            .await?;
        assert_eq!(
            (none.status, &none.json()["error"]["type"]),
            (401, &json!("auth_error"))
        );
        assert!(
            none.text().contains("No api key passed in"),
            "{}",
            none.text()
        );
        assert!(records(stack).tagged(&tag).is_empty());
        Ok(())
    })
}

#[test]
fn the_master_key_may_call_models_and_is_metered() -> Result<()> {
    shared(async |stack| {
        let tag = tag("master");
        let reply = Caller::new(stack, 0, &stack.master_key)
            .chat(&capped(&format!("[[tag={tag} tokens=3]]"), 3))
            .await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        let started = tollkeeper_tests::clock::now();
        loop {
            let rows = stack
                .get_admin(&format!("/spend/logs?request_id={id}"))
                .await?;
            if let Some(row) = rows.as_array().and_then(|rows| rows.first()) {
                assert_eq!(row["completion_tokens"], 3);
                return Ok(());
            }
            assert!(started.elapsed() < crate::gateway::SOON, "no spend row");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

#[test]
fn the_header_of_keys_is_told_to_every_worker_by_the_admin_services_file_alone() -> Result<()> {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/config.yaml");
    let shipped = std::fs::read_to_string(shipped)?;
    let name = format!("key-header-{}.yaml", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, &shipped)?;
    let config = file.clone();
    alone(
        "key-header",
        |options| {
            options.config = Some(config);
            options.envoys = 2;
            options.workers = 2;
        },
        async |stack| {
            let key = stack.key(&json!({})).await?;
            let body = capped("[[tokens=1]]", 1);
            assert_eq!(statuses(&everywhere(stack, &key, &body).await?), [200]);
            let text =
                format!("{shipped}general_settings: {{ litellm_key_header_name: X-My-Key }}\n");
            let new = file.with_extension("new");
            std::fs::write(&new, text)?;
            std::fs::rename(&new, &file)?;
            let started = clock::now();
            loop {
                let seen = statuses(&everywhere(stack, &key, &body).await?);
                if seen == [401] {
                    break;
                }
                assert!(started.elapsed() < SOON, "{seen:?}");
            }
            for number in 0..12 {
                let base = stack.envoys[number % 2].url();
                let request = hyper::Request::post(format!("{base}/v1/chat/completions"))
                    .header("x-my-key", &key)
                    .header("authorization", "Bearer sk-of-somebody-else")
                    .header("content-type", "application/json")
                    .body(http_body_util::Full::from(body.to_string()))?;
                let reply = stack.client.send(request).await?.whole().await?;
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
            let calls = records(stack).all();
            assert!(!format!("{calls:?}").contains(&key));
            std::fs::remove_file(&file)?;
            Ok(())
        },
    )
}
