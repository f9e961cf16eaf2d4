//! The way of one request: admitted, answered, and written down once.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tollkeeper_tests::clock;

use crate::gateway::{
    Caller, PROVIDER_KEY, SOON, chat, records, rows_until, shared, streamed, tag, with,
};

#[test]
fn an_answered_request_appears_once_in_the_spend_log_with_the_providers_own_counts() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let caller = Caller::new(stack, 0, &key);
        let tag = tag("smoke");
        let reply = caller
            .chat(&chat(&format!("Hello [[tag={tag} tokens=20 prompt=11]]")))
            .await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["usage"]["completion_tokens"], 20);
        let calls = records(stack).tagged(&tag);
        assert_eq!(calls.len(), 1);
        let rows = rows_until(stack, &key, 1, SOON).await?;
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(
            (
                &row["prompt_tokens"],
                &row["completion_tokens"],
                &row["total_tokens"]
            ),
            (&json!(11), &json!(20), &json!(31))
        );
        assert_eq!(row["model"], "gpt-4o-mini");
        assert_eq!(row["request_id"].as_str(), calls[0].response_id.as_deref());
        Ok(())
    })
}

#[test]
fn the_virtual_key_never_reaches_the_upstream_in_whatever_form_it_came() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let base = stack.envoys[0].url();
        let tag = tag("secret");
        let body = chat(&format!("[[tag={tag}]]")).to_string();
        let bearer = format!("Bearer {key}");
        let forms = [
            ("authorization", bearer.as_str()),
            ("x-api-key", &key),
            ("api-key", &key),
            ("x-goog-api-key", &key),
            ("x-litellm-api-key", &key),
        ];
        for (name, value) in forms {
            let request = hyper::Request::post(format!("{base}/v1/chat/completions"))
                .header(name, value)
                .header("content-type", "application/json")
                .body(http_body_util::Full::from(body.clone()))?;
            let reply = stack.client.send(request).await?.whole().await?;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        }
        let by_query = stack
            .client
            .post(
                &format!("{base}/v1/chat/completions?key={key}"),
                None,
                &chat(&format!("[[tag={tag}]]")),
            )
            .await?;
        assert_eq!(by_query.status, 200, "{}", by_query.text());
        let calls = records(stack).tagged(&tag);
        assert_eq!(calls.len(), forms.len() + 1);
        for call in calls {
            assert!(!format!("{call:?}").contains(&key), "{call:?}");
            let shown = format!("Bearer {PROVIDER_KEY}");
            assert_eq!(
                call.header("authorization"),
                Some(shown.as_str()),
                "{call:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn tags_of_the_body_are_in_the_row_and_not_in_what_the_provider_gets() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let caller = Caller::new(stack, 0, &key);
        let tag = tag("tagged");
        let mut body = with(chat(&format!("[[tag={tag}]]")), "tags", json!(["job"]));
        body = with(body, "metadata", json!({"tags": ["nightly"]}));
        body = with(body, "litellm_metadata", json!({"user": "u"}));
        body = with(body, "mock_response", json!("not what the provider says"));
        let reply = caller.chat(&body).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let rows = rows_until(stack, &key, 1, SOON).await?;
        assert_eq!(rows[0]["request_tags"], json!(["nightly", "job"]));
        let calls = records(stack).tagged(&tag);
        let sent: serde_json::Value = serde_json::from_str(&calls[0].body)?;
        assert!(!reply.text().contains("not what the provider says"));
        for ours in ["tags", "metadata", "litellm_metadata", "mock_response"] {
            assert_eq!(sent.get(ours), None, "{sent}");
        }
        Ok(())
    })
}

#[test]
fn a_stream_is_metered_though_its_client_did_not_ask_for_usage_and_does_not_see_it() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let caller = Caller::new(stack, 1, &key);
        let tag = tag("stream");
        let body = streamed(chat(&format!("[[tag={tag} tokens=12 prompt=9 chunks=6]]")));
        let reply = caller.chat(&body).await?;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{text}");
        assert!(
            text.ends_with("data: [DONE]\n\n") && !text.contains("completion_tokens"),
            "{text}"
        );
        let calls = records(stack).tagged(&tag);
        assert!(calls[0].body.contains("include_usage"), "{}", calls[0].body);
        let asked = caller
            .chat(&with(
                body,
                "stream_options",
                json!({"include_usage": true}),
            ))
            .await?
            .text();
        assert!(asked.contains("\"completion_tokens\":12"), "{asked}");
        let rows = rows_until(stack, &key, 2, SOON).await?;
        for row in rows {
            assert_eq!(
                (&row["prompt_tokens"], &row["completion_tokens"]),
                (&json!(9), &json!(12)),
                "{row}"
            );
        }
        Ok(())
    })
}

#[test]
fn every_metered_endpoint_is_answered_with_and_without_its_version_prefix() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let caller = Caller::new(stack, 0, &key);
        let requests = [
            ("/chat/completions", chat("hi")),
            (
                "/completions",
                json!({"model": "gpt-4o-mini", "prompt": "hi"}),
            ),
            (
                "/embeddings",
                json!({"model": "text-embedding-3-small", "input": "hi"}),
            ),
            ("/responses", json!({"model": "gpt-4o-mini", "input": "hi"})),
        ];
        for (path, body) in &requests {
            for path in [format!("/v1{path}"), (*path).to_owned()] {
                let reply = caller.post(&path, body).await?;
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            }
        }
        assert_eq!(
            rows_until(stack, &key, requests.len() * 2, SOON)
                .await?
                .len(),
            requests.len() * 2
        );
        Ok(())
    })
}

#[test]
fn the_model_list_is_answered_from_the_keys_record_without_the_upstream() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"models": ["gpt-4o-mini"]})).await?;
        let before = records(stack)
            .all()
            .iter()
            .filter(|call| call.path.contains("models"))
            .count();
        let list = Caller::new(stack, 0, &key)
            .get("/v1/models")
            .await?
            .good()?;
        let names: Vec<&str> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|model| model["id"].as_str())
            .collect();
        assert_eq!(names, ["gpt-4o-mini"]);
        assert_eq!(
            records(stack)
                .all()
                .iter()
                .filter(|call| call.path.contains("models"))
                .count(),
            before
        );
        Ok(())
    })
}

#[test]
fn the_upstream_sees_the_providers_name_of_the_model_and_the_row_both() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let tag = tag("renamed");
        let body = with(chat(&format!("[[tag={tag}]]")), "model", json!("renamed"));
        assert_eq!(Caller::new(stack, 0, &key).chat(&body).await?.status, 200);
        assert_eq!(
            records(stack).tagged(&tag)[0].model.as_deref(),
            Some("gpt-4o-mini")
        );
        let rows = rows_until(stack, &key, 1, SOON).await?;
        assert_eq!(rows[0]["model_group"], "renamed");
        Ok(())
    })
}

#[test]
fn envoy_shows_how_much_memory_the_workers_machines_take() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let reply = Caller::new(stack, 0, &key).chat(&chat("hello")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let started = clock::now();
        loop {
            let shown = stack.envoys[0]
                .stats(&stack.client, "tollkeeper.memory_bytes")
                .await?;
            let mib = shown.iter().map(|(_, bytes)| bytes).sum::<u64>() / 1_048_576;
            // Two workers: from what the module takes at its start to the bound of 16 MiB each.
            if (1..=32).contains(&mib) {
                return Ok(());
            }
            anyhow::ensure!(mib == 0 && started.elapsed() < SOON, "{shown:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}
