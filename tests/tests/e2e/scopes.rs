//! Several limits at once: a refusal burns nothing else, and the tightest limit wins and is named.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tollkeeper_tests::client::Reply;
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, capped, records, shared, tag, with};

#[test]
fn a_request_that_one_limit_refuses_burns_no_other() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"rpm_limit": 5, "tpm_limit": 1_000, "max_parallel_requests": 50, "max_budget": 0.002})).await?;
        let tag = tag("burn");
        let callers = [Caller::new(stack, 0, &key), Caller::new(stack, 1, &key)];
        for number in 0..20 {
            let by_tokens = callers[number % 2]
                .chat(&capped(&format!("[[tag={tag}]]"), 5_000))
                .await?;
            assert_eq!(
                (by_tokens.status, by_tokens.header("rate_limit_type")),
                (429, Some("tokens")),
                "{}",
                by_tokens.text()
            );
            let dear = with(
                capped(&format!("[[tag={tag}]]"), 100),
                "model",
                json!("round-price"),
            );
            assert_eq!(callers[number % 2].chat(&dear).await?.status, 422);
        }
        for number in 0..5 {
            let reply = callers[number % 2]
                .chat(&capped(&format!("[[tag={tag} tokens=1]]"), 1))
                .await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        let sixth = callers[0]
            .chat(&capped(&format!("[[tag={tag} tokens=1]]"), 1))
            .await?;
        assert_eq!(
            (sixth.status, sixth.header("rate_limit_type")),
            (429, Some("requests")),
            "{}",
            sixth.text()
        );
        assert_eq!(records(stack).tagged(&tag).len(), 5);
        Ok(())
    })
}

#[test]
fn a_denial_says_which_limit_when_it_resets_and_how_long_to_wait() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"rpm_limit": 1})).await?;
        let caller = Caller::new(stack, 0, &key);
        let admitted = caller.chat(&capped("hi", 5)).await?;
        assert_eq!(admitted.header("x-ratelimit-limit-requests"), Some("1"));
        assert_eq!(admitted.header("x-ratelimit-remaining-requests"), Some("0"));
        assert_eq!(
            admitted.header("x-ratelimit-api_key-remaining-requests"),
            Some("0")
        );
        let denied = caller.chat(&capped("hi", 5)).await?;
        assert_eq!(denied.status, 429);
        let error = &denied.json()["error"];
        assert_eq!(
            (&error["type"], &error["code"], &error["param"]),
            (&json!("throttling_error"), &json!("429"), &Value::Null)
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("Rate limit exceeded for api_key")
                && message.contains("Current limit: 1"),
            "{message}"
        );
        let wait: u64 = denied
            .header("retry-after")
            .context("no retry-after")?
            .parse()?;
        assert!((1..=61).contains(&wait), "{wait}");
        assert!(denied.header("reset_at").is_some());
        Ok(())
    })
}

/// A key of a user in a team, with a limit of requests on each of the four scopes.
async fn four_scopes(stack: &Stack, limits: [u32; 4]) -> Result<String> {
    let [key, user, team, member] = limits;
    let user = stack
        .post_admin(
            "/user/new",
            &json!({"rpm_limit": user, "auto_create_key": false}),
        )
        .await?;
    let user_id = user["user_id"].as_str().context("no user_id")?;
    let fields = json!({
        "rpm_limit": team, "team_member_rpm_limit": member, "members_with_roles": [{"role": "user", "user_id": user_id}],
    });
    let team = stack.post_admin("/team/new", &fields).await?;
    stack
        .key(&json!({"rpm_limit": key, "user_id": user_id, "team_id": team["team_id"]}))
        .await
}

#[test]
fn the_tightest_of_key_user_team_and_member_wins_and_is_named() -> Result<()> {
    shared(async |stack| {
        let names = ["api_key", "user", "team", "team_member"];
        for (tightest, name) in names.iter().enumerate() {
            let mut limits = [20, 20, 20, 20];
            limits[tightest] = 3;
            let key = four_scopes(stack, limits).await?;
            let callers = [Caller::new(stack, 0, &key), Caller::new(stack, 1, &key)];
            let mut replies: Vec<Reply> = Vec::new();
            for number in 0..4 {
                replies.push(
                    callers[number % 2]
                        .chat(&capped("hi [[tokens=1]]", 1))
                        .await?,
                );
            }
            let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
            assert_eq!(
                statuses,
                [200, 200, 200, 429],
                "{name}: {}",
                replies[3].text()
            );
            assert!(
                replies[3]
                    .text()
                    .contains(&format!("Rate limit exceeded for {name}:")),
                "{name}: {}",
                replies[3].text()
            );
        }
        Ok(())
    })
}

#[test]
fn a_team_budget_binds_all_keys_of_the_team_together() -> Result<()> {
    shared(async |stack| {
        let team = stack
            .post_admin("/team/new", &json!({"max_budget": 0.10}))
            .await?;
        let keys = [
            stack.key(&json!({"team_id": team["team_id"]})).await?,
            stack.key(&json!({"team_id": team["team_id"]})).await?,
        ];
        let body = with(
            capped("[[tokens=1000]]", 1_000),
            "model",
            json!("round-price"),
        );
        assert_eq!(
            Caller::new(stack, 0, &keys[0]).chat(&body).await?.status,
            200
        );
        assert_eq!(
            Caller::new(stack, 1, &keys[1]).chat(&body).await?.status,
            200
        );
        let third = Caller::new(stack, 0, &keys[0]).chat(&body).await?;
        assert_eq!(third.status, 422, "{}", third.text());
        assert!(third.text().contains("Team="), "{}", third.text());
        Ok(())
    })
}
