//! A key whose value was replaced, and a key whose spend was set back, at the gateway.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tollkeeper_tests::client::Reply;
use tollkeeper_tests::clock;
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, SOON, capped, key_spend, records, shared, tag, with};

/// One request on each of several connections to every Envoy, so that every worker has answered.
async fn everywhere(stack: &Stack, key: &str, body: &Value) -> Result<Vec<Reply>> {
    let mut replies = Vec::new();
    for number in 0..12 {
        let caller = Caller::new(stack, number % stack.envoys.len(), key);
        replies.push(caller.chat(body).await?);
    }
    Ok(replies)
}

fn statuses(replies: &[Reply]) -> Vec<u16> {
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.dedup();
    statuses
}

async fn regenerate(stack: &Stack, key: &str, body: &Value) -> Result<String> {
    let made = stack
        .post_admin(&format!("/key/{key}/regenerate"), body)
        .await?;
    let value = made.get("key").and_then(Value::as_str);
    value.map(str::to_owned).context("no key in the answer")
}

#[test]
fn both_values_of_a_rotated_key_are_answered_until_the_grace_ends_and_then_the_new_one_alone()
-> Result<()> {
    shared(async |stack| {
        let old = stack.key(&json!({"rpm_limit": 100})).await?;
        let tag = tag("grace");
        let body = capped(&format!("[[tag={tag} tokens=1]]"), 1);
        assert_eq!(statuses(&everywhere(stack, &old, &body).await?), [200]);
        let grace = Duration::from_secs(8);
        let asked = clock::now();
        let new = regenerate(stack, &old, &json!({"grace_period": "8s"})).await?;
        let answered = clock::now();
        assert_eq!(statuses(&everywhere(stack, &new, &body).await?), [200]);
        let in_time = everywhere(stack, &old, &body).await?;
        if asked.elapsed() < grace {
            assert_eq!(statuses(&in_time), [200]);
        }
        // The grace began before the answer came.
        tokio::time::sleep(grace.saturating_sub(answered.elapsed())).await;
        let before = records(stack).tagged(&tag).len();
        let over = everywhere(stack, &old, &body).await?;
        assert_eq!(statuses(&over), [401]);
        assert_eq!(over[0].json()["error"]["type"], "token_not_found_in_db");
        assert_eq!(records(stack).tagged(&tag).len(), before);
        assert_eq!(statuses(&everywhere(stack, &new, &body).await?), [200]);
        Ok(())
    })
}

#[test]
fn a_value_replaced_without_grace_is_unknown_to_the_next_request_on_every_worker() -> Result<()> {
    shared(async |stack| {
        let old = stack.key(&json!({"rpm_limit": 24})).await?;
        let body = capped("[[tokens=1]]", 1);
        assert_eq!(statuses(&everywhere(stack, &old, &body).await?), [200]);
        let new = regenerate(stack, &old, &json!({})).await?;
        assert_eq!(statuses(&everywhere(stack, &old, &body).await?), [401]);
        // Limits count on: twelve of the twenty-four are used.
        assert_eq!(statuses(&everywhere(stack, &new, &body).await?), [200]);
        assert_eq!(statuses(&everywhere(stack, &new, &body).await?), [429]);
        Ok(())
    })
}

#[test]
fn a_key_over_its_budget_is_answered_again_after_its_spend_was_set_back() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_budget": 0.05})).await?;
        let body = with(
            capped("[[tokens=900]]", 1_000),
            "model",
            json!("round-price"),
        );
        let caller = Caller::new(stack, 0, &key);
        assert_eq!(caller.chat(&body).await?.status, 200);
        assert_eq!(caller.chat(&body).await?.status, 422);
        let started = clock::now();
        while key_spend(stack, &key).await? == 0 {
            assert!(started.elapsed() < SOON, "the ledger knows of no spend");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let path = format!("/key/{key}/reset_spend");
        let reset = stack.post_admin(&path, &json!({"reset_to": 0})).await?;
        assert_eq!(reset["spend"], json!(0.0));
        assert_eq!(
            Caller::new(stack, 1, &key).chat(&body).await?.status,
            200,
            "{reset}"
        );
        assert_eq!(caller.chat(&body).await?.status, 422);
        Ok(())
    })
}
