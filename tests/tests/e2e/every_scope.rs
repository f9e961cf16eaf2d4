//! Everything besides the key that a request may be limited by, through real Envoys, offered at once; what was let through is counted at the
//! upstream.

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};
use tollkeeper_tests::client::{Client, Reply, request};
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, capped, offer, only, records, shared, tag, with};

/// 503 is what a request gets whose call to Redis took too long on a busy machine: it was not admitted.
const REFUSED_OR_NOT: [u16; 4] = [200, 422, 429, 503];
/// A request for 1,000 tokens of this model reserves, and costs, five cents.
const DEAR: &str = "round-price";

fn dear(tag: &str, more: &Value) -> Value {
    let mut body = with(
        capped(&format!("[[tag={tag} tokens=1000]]"), 1_000),
        "model",
        json!(DEAR),
    );
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// Offers 60 requests at once; answers how many reached the upstream, and a refusal.
async fn admitted(
    stack: &'static Stack,
    key: &str,
    body: &Value,
    tag: &str,
) -> Result<(usize, Reply)> {
    only(&offer(stack, key, body, 60, 20).await?, &REFUSED_OR_NOT)?;
    let refused = Caller::new(stack, 0, key).chat(body).await?;
    Ok((records(stack).tagged(tag).len(), refused))
}

#[test]
fn a_limit_for_one_model_holds_and_leaves_other_models_alone() -> Result<()> {
    shared(async |stack| {
        let key = stack
            .key(&json!({"model_rpm_limit": {"gpt-4o-mini": 7}, "model_max_budget": {DEAR: {"budget_limit": 0.2, "time_period": "30d"}}}))
            .await?;
        let tag_of_rate = tag("model-rpm");
        let body = capped(&format!("[[tag={tag_of_rate} tokens=1]]"), 1);
        let (count, refused) = admitted(stack, &key, &body, &tag_of_rate).await?;
        assert_eq!((count, refused.status), (7, 429));
        assert!(
            refused
                .text()
                .contains("Rate limit exceeded for model_per_key: "),
            "{}",
            refused.text()
        );
        let tag_of_budget = tag("model-budget");
        let (count, refused) = admitted(
            stack,
            &key,
            &dear(&tag_of_budget, &json!({})),
            &tag_of_budget,
        )
        .await?;
        // Five cents each within twenty.
        assert_eq!((count, refused.status), (4, 422));
        assert!(
            refused
                .text()
                .contains("exceeded budget for model=round-price"),
            "{}",
            refused.text()
        );
        Ok(())
    })
}

#[test]
fn the_tighter_of_two_budget_windows_holds_and_is_named() -> Result<()> {
    shared(async |stack| {
        let windows = json!([{"budget_duration": "30d", "max_budget": 5}, {"budget_duration": "1w", "max_budget": 0.25}]);
        let key = stack
            .key(&json!({"budget_limits": windows, "max_budget": 9}))
            .await?;
        let tag = tag("windows");
        let (count, refused) = admitted(stack, &key, &dear(&tag, &json!({})), &tag).await?;
        assert_eq!((count, refused.status), (5, 422));
        assert!(
            refused
                .text()
                .contains("ExceededBudget: Key over 1w budget. Spend=$"),
            "{}",
            refused.text()
        );
        Ok(())
    })
}

#[test]
fn a_customers_budget_holds_over_keys_however_a_request_names_them() -> Result<()> {
    shared(async |stack| {
        let name = tag("customer");
        stack
            .post_admin(
                "/customer/new",
                &json!({"user_id": name, "max_budget": 0.15}),
            )
            .await?;
        let keys = [stack.key(&json!({})).await?, stack.key(&json!({})).await?];
        let tag = tag("customer-calls");
        let body = dear(&tag, &json!({"user": name}));
        let (one, two) = tokio::join!(
            offer(stack, &keys[0], &body, 30, 10),
            offer(stack, &keys[1], &body, 30, 10)
        );
        only(&one?, &REFUSED_OR_NOT)?;
        only(&two?, &REFUSED_OR_NOT)?;
        assert_eq!(
            records(stack).tagged(&tag).len(),
            3,
            "five cents each within fifteen"
        );
        // A header names them too, and goes before the body.
        let url = format!("{}/v1/chat/completions", stack.envoys[1].url());
        let other = dear(&tag, &json!({"user": "somebody else"}));
        let mut request = request(Method::POST, &url, Some(&keys[0]), other.to_string().into())?;
        request
            .headers_mut()
            .insert("x-litellm-customer-id", name.parse()?);
        let refused = Client::default().send(request).await?.whole().await?;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(
            refused
                .text()
                .contains(&format!("End User={name} over budget")),
            "{}",
            refused.text()
        );

        stack
            .post_admin("/customer/block", &json!({"user_ids": [name]}))
            .await?;
        let blocked = Caller::new(stack, 0, &keys[1])
            .chat(&dear(&tag, &json!({"user": name})))
            .await?;
        assert_eq!(blocked.status, 403, "{}", blocked.text());
        let other = Caller::new(stack, 0, &keys[1])
            .chat(&capped("[[tokens=1]]", 1))
            .await?;
        assert_eq!(other.status, 200, "{}", other.text());
        Ok(())
    })
}

#[test]
fn what_a_member_may_spend_in_an_organization_holds_over_their_keys() -> Result<()> {
    shared(async |stack| {
        let (organization, team, user) = (tag("org"), tag("org-team"), tag("org-member"));
        stack
            .post_admin(
                "/organization/new",
                &json!({"organization_id": organization, "organization_alias": organization, "max_budget": 9}),
            )
            .await?;
        stack
            .post_admin(
                "/user/new",
                &json!({"user_id": user, "user_role": "internal_user", "auto_create_key": false}),
            )
            .await?;
        let members = json!([{"role": "user", "user_id": user}]);
        stack
            .post_admin(
                "/team/new",
                &json!({"team_id": team, "organization_id": organization, "members_with_roles": members}),
            )
            .await?;
        // One key is there before the limit, and belongs to the organization by its team.
        let own = json!({"user_id": user, "organization_id": organization});
        let keys = [
            stack
                .key(&json!({"user_id": user, "team_id": team}))
                .await?,
            stack.key(&own).await?,
        ];
        let before = dear(&tag("org-before"), &json!({}));
        let reply = Caller::new(stack, 0, &keys[0]).chat(&before).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let member = json!({"role": "internal_user", "user_id": user});
        stack
            .post_admin(
                "/organization/member_add",
                &json!({"organization_id": organization, "member": member, "max_budget_in_organization": 0.25}),
            )
            .await?;
        let tag = tag("org-member-calls");
        let body = dear(&tag, &json!({}));
        let (one, two) = tokio::join!(
            offer(stack, &keys[0], &body, 30, 10),
            offer(stack, &keys[1], &body, 30, 10)
        );
        only(&one?, &REFUSED_OR_NOT)?;
        only(&two?, &REFUSED_OR_NOT)?;
        assert_eq!(
            records(stack).tagged(&tag).len(),
            4,
            "five cents each within twenty-five, five of which were spent before"
        );
        let refused = Caller::new(stack, 1, &keys[1]).chat(&body).await?;
        assert_eq!(refused.status, 422, "{}", refused.text());
        let said = format!("User={user} in Organization={organization}");
        assert!(refused.text().contains(&said), "{}", refused.text());
        Ok(())
    })
}
