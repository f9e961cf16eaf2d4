//! Budgets that several keys share – of an organization, a tag, a user, a model's rate, the proxy as a whole – through real Envoys, offered at
//! once; what was let through is counted at the upstream.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tollkeeper_tests::client::Reply;
use tollkeeper_tests::clock;
use tollkeeper_tests::stack::Stack;

use crate::gateway::{
    Caller, SOON, alone, capped, offer, only, records, rows_until, shared, tag, with,
};

/// 503 is what a request gets whose call to Redis took too long on a busy machine: it was not admitted.
const REFUSED_OR_NOT: [u16; 4] = [200, 422, 429, 503];

/// A request that reserves, and costs, exactly five cents.
fn five_cents(tag: &str) -> Value {
    let text = format!("[[tag={tag} tokens=1000]]");
    with(capped(&text, 1_000), "model", json!("round-price"))
}

/// Offers 30 requests with each of two keys at once; answers how many reached the upstream, and a refusal.
async fn admitted(
    stack: &Stack,
    keys: [&str; 2],
    body: &Value,
    tag: &str,
) -> Result<(usize, Reply)> {
    let (one, two) = tokio::join!(
        offer(stack, keys[0], body, 30, 10),
        offer(stack, keys[1], body, 30, 10)
    );
    only(&one?, &REFUSED_OR_NOT)?;
    only(&two?, &REFUSED_OR_NOT)?;
    let refused = Caller::new(stack, 0, keys[0]).chat(body).await?;
    Ok((records(stack).tagged(tag).len(), refused))
}

#[track_caller]
fn refused(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().contains(words), "{}", reply.text());
}

fn id(answer: &Value, name: &str) -> Result<String> {
    let id = answer[name].as_str().context("no id")?;
    Ok(id.to_owned())
}

#[test]
fn an_organizations_budget_holds_over_the_keys_of_all_its_teams() -> Result<()> {
    shared(async |stack| {
        let tag = tag("organization");
        let new = json!({"organization_alias": tag, "max_budget": 0.2});
        let organization = stack.post_admin("/organization/new", &new).await?;
        let mut keys = Vec::new();
        for _ in 0..2 {
            let team = json!({"organization_id": organization["organization_id"]});
            let team = stack.post_admin("/team/new", &team).await?;
            keys.push(stack.key(&json!({"team_id": team["team_id"]})).await?);
        }
        let body = five_cents(&tag);
        let (count, last) = admitted(stack, [&keys[0], &keys[1]], &body, &tag).await?;
        assert_eq!(count, 4, "five cents each within twenty");
        let name = id(&organization, "organization_id")?;
        refused(&last, 422, &format!("Organization={name} "));
        let elsewhere = stack.key(&json!({})).await?;
        let reply = Caller::new(stack, 1, &elsewhere).chat(&body).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Ok(())
    })
}

#[test]
fn a_tags_budget_holds_over_keys_whether_the_request_or_the_key_has_the_tag() -> Result<()> {
    shared(async |stack| {
        let tag = tag("tag-budget");
        let new = json!({"name": tag, "max_budget": 0.15});
        stack.post_admin("/tag/new", &new).await?;
        let of_key = stack.key(&json!({"metadata": {"tags": [tag]}})).await?;
        let of_request = stack.key(&json!({})).await?;
        let body = with(five_cents(&tag), "metadata", json!({"tags": [tag]}));
        let (count, last) = admitted(stack, [&of_key, &of_request], &body, &tag).await?;
        assert_eq!(count, 3, "five cents each within fifteen");
        refused(&last, 422, &format!("Tag={tag} "));
        // Without the tag in the request, the key still has it, and the other one does not.
        let bare = five_cents(&tag);
        let held = Caller::new(stack, 1, &of_key).chat(&bare).await?;
        refused(&held, 422, &format!("Tag={tag} "));
        let free = Caller::new(stack, 1, &of_request).chat(&bare).await?;
        assert_eq!(free.status, 200, "{}", free.text());
        Ok(())
    })
}

#[test]
fn a_models_own_rate_holds_over_all_keys() -> Result<()> {
    shared(async |stack| {
        let tag = tag("model-rate");
        let model =
            json!({"model_name": tag, "litellm_params": {"model": "openai/gpt-4o-mini", "rpm": 6}});
        stack.post_admin("/model/new", &model).await?;
        let keys = [stack.key(&json!({})).await?, stack.key(&json!({})).await?];
        let body = with(
            capped(&format!("[[tag={tag} tokens=1]]"), 1),
            "model",
            json!(tag),
        );
        let (count, last) = admitted(stack, [&keys[0], &keys[1]], &body, &tag).await?;
        assert_eq!(count, 6);
        refused(&last, 429, "Rate limit exceeded for model: ");
        let other = Caller::new(stack, 0, &keys[0])
            .chat(&capped("[[tokens=1]]", 1))
            .await?;
        assert_eq!(other.status, 200, "{}", other.text());
        Ok(())
    })
}

#[test]
fn a_users_budget_binds_personal_keys_together_and_no_team_key() -> Result<()> {
    shared(async |stack| {
        let new =
            json!({"max_budget": 0.1, "user_role": "internal_user", "auto_create_key": false});
        let user = stack.post_admin("/user/new", &new).await?;
        let own = json!({"user_id": user["user_id"]});
        let keys = [stack.key(&own).await?, stack.key(&own).await?];
        let tag = tag("user-budget");
        let body = five_cents(&tag);
        let (count, last) = admitted(stack, [&keys[0], &keys[1]], &body, &tag).await?;
        assert_eq!(count, 2, "five cents each within ten");
        refused(
            &last,
            422,
            &format!("User={} over budget", id(&user, "user_id")?),
        );
        let members = json!({"members_with_roles": [{"role": "user", "user_id": user["user_id"]}]});
        let team = stack.post_admin("/team/new", &members).await?;
        let of_team = json!({"user_id": user["user_id"], "team_id": team["team_id"]});
        let key = stack.key(&of_team).await?;
        let reply = Caller::new(stack, 1, &key).chat(&body).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Ok(())
    })
}

#[test]
fn a_members_budget_in_a_team_binds_their_team_keys_and_nobody_elses() -> Result<()> {
    shared(async |stack| {
        let new = json!({"auto_create_key": false});
        let (one, two) = (
            stack.post_admin("/user/new", &new).await?,
            stack.post_admin("/user/new", &new).await?,
        );
        let members = json!({"team_member_budget": 0.1, "members_with_roles": [
            {"role": "user", "user_id": one["user_id"]}, {"role": "user", "user_id": two["user_id"]}]});
        let team = stack.post_admin("/team/new", &members).await?;
        let of = |user: &Value| json!({"user_id": user["user_id"], "team_id": team["team_id"]});
        let keys = [stack.key(&of(&one)).await?, stack.key(&of(&one)).await?];
        let tag = tag("member-budget");
        let body = five_cents(&tag);
        let (count, last) = admitted(stack, [&keys[0], &keys[1]], &body, &tag).await?;
        assert_eq!(count, 2, "five cents each within ten");
        refused(
            &last,
            422,
            &format!("User={} in Team=", id(&one, "user_id")?),
        );
        let key = stack.key(&of(&two)).await?;
        let reply = Caller::new(stack, 1, &key).chat(&body).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Ok(())
    })
}

#[test]
fn a_temporary_increase_counts_until_it_ends() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_budget": 0.1})).await?;
        let tag = tag("increase");
        let body = five_cents(&tag);
        let (count, last) = admitted(stack, [&key, &key], &body, &tag).await?;
        assert_eq!((count, last.status), (2, 422), "five cents each within ten");
        let more = |until: &str| json!({"key": key, "temp_budget_increase": 0.1, "temp_budget_expiry": until});
        let update = |body: Value| async move { stack.post_admin("/key/update", &body).await };
        update(more("2199-01-01")).await?;
        let (count, last) = admitted(stack, [&key, &key], &body, &tag).await?;
        assert_eq!((count, last.status), (4, 422), "ten cents more");
        update(json!({"key": key, "max_budget": 0.2})).await?;
        update(more("2020-01-01")).await?;
        let (count, last) = admitted(stack, [&key, &key], &body, &tag).await?;
        assert_eq!(
            (count, last.status),
            (4, 422),
            "an increase that has ended is none"
        );
        // One whose end comes while requests go on: what a key lives on is told as a time.
        let moment = json!({"duration": "3s"});
        let moment = stack.post_admin("/key/generate", &moment).await?;
        let until = id(&moment, "expires")?;
        let (ends_ms, one) = (clock::unix_ms() + 3_000, with(body, "max_tokens", json!(1)));
        let one = with(
            one,
            "messages",
            json!([{"role": "user", "content": "[[tokens=1]]"}]),
        );
        let raise = json!({"key": key, "temp_budget_increase": 50, "temp_budget_expiry": until});
        update(raise).await?;
        let caller = Caller::new(stack, 1, &key);
        assert_eq!(caller.chat(&one).await?.status, 200, "raised");
        let refused = loop {
            let reply = caller.chat(&one).await?;
            if reply.status != 200 {
                break reply;
            }
            assert!(
                clock::unix_ms() < ends_ms + 2_000,
                "it goes on after its end"
            );
        };
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(clock::unix_ms() + 500 > ends_ms, "it ended too early");
        Ok(())
    })
}

#[test]
fn the_proxys_own_budget_holds_over_everybody_and_is_changed_without_a_restart() -> Result<()> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/proxy_budget.yaml");
    alone(
        "proxy-budget",
        |options| {
            options.config = Some(file);
            options.envoys = 2;
        },
        async |stack| {
            let keys = [stack.key(&json!({})).await?, stack.key(&json!({})).await?];
            let tag = tag("proxy");
            let body = five_cents(&tag);
            let (count, last) = admitted(stack, [&keys[0], &keys[1]], &body, &tag).await?;
            assert_eq!(count, 5, "five cents each within twenty-five");
            refused(&last, 422, "ExceededBudget: proxy over budget.");
            let change = json!({"max_budget": 0.3});
            stack
                .patch_admin("/update/self_serve_settings", &change)
                .await?;
            let (count, last) = admitted(stack, [&keys[0], &keys[1]], &body, &tag).await?;
            assert_eq!((count, last.status), (6, 422));
            Ok(())
        },
    )
}

/// How often each of these objects was marked for its soft budget, by what it is.
async fn marked(stack: &Stack, objects: [&str; 2]) -> Result<Vec<(String, i64)>> {
    sqlx::any::install_default_drivers();
    let url = stack.admin.database_url();
    let mut connection = <sqlx::AnyConnection as sqlx::Connection>::connect(url).await?;
    let marks = "SELECT json_extract(payload, '$.scope'), COUNT(*) FROM mail_events WHERE kind = 'soft_budget_crossed' \
                 AND (subject_id IN ($1, $2) OR json_extract(payload, '$.alias') = $1) GROUP BY 1 ORDER BY 1";
    let [name, team] = objects.map(str::to_owned);
    let marks = sqlx::query_as(marks).bind(name).bind(team);
    Ok(marks.fetch_all(&mut connection).await?)
}

#[test]
fn soft_budgets_of_a_key_a_team_a_customer_and_a_tag_are_marked_once_and_refuse_nothing()
-> Result<()> {
    shared(async |stack| {
        let name = tag("soft");
        let soft = json!({"soft_budget": 0.1});
        let team = stack.post_admin("/team/new", &soft).await?;
        let team = id(&team, "team_id")?;
        let customer = json!({"user_id": name, "soft_budget": 0.1});
        stack.post_admin("/customer/new", &customer).await?;
        let new = json!({"name": name, "soft_budget": 0.1});
        stack.post_admin("/tag/new", &new).await?;
        let key = json!({"key_alias": name, "soft_budget": 0.1, "team_id": team});
        let key = stack.key(&key).await?;
        let body = with(five_cents(&name), "user", json!(name));
        let body = with(body, "metadata", json!({"tags": [name]}));
        let replies = offer(stack, &key, &body, 8, 4).await?;
        only(&replies, &[200])?;
        rows_until(stack, &key, 8, SOON).await?;
        let once = ["customer", "key", "tag", "team"].map(|scope| (scope.to_owned(), 1));
        assert_eq!(marked(stack, [&name, &team]).await?, once);
        Ok(())
    })
}

#[test]
fn limits_bind_an_administrators_key_and_a_customers_bind_the_master_key() -> Result<()> {
    shared(async |stack| {
        let new = json!({"user_role": "proxy_admin", "auto_create_key": false});
        let admin = stack.post_admin("/user/new", &new).await?;
        let key = json!({"user_id": admin["user_id"], "rpm_limit": 1});
        let key = stack.key(&key).await?;
        let body = capped("[[tokens=1]]", 1);
        let (one, two) = (Caller::new(stack, 0, &key), Caller::new(stack, 1, &key));
        assert_eq!(one.chat(&body).await?.status, 200);
        refused(
            &two.chat(&body).await?,
            429,
            "Rate limit exceeded for api_key",
        );
        let name = tag("customer-of-master");
        let customer = json!({"user_id": name, "max_budget": 0.05});
        stack.post_admin("/customer/new", &customer).await?;
        let body = with(five_cents(&name), "user", json!(name));
        let master = Caller::new(stack, 0, &stack.master_key);
        assert_eq!(master.chat(&body).await?.status, 200);
        refused(
            &master.chat(&body).await?,
            422,
            &format!("End User={name} over budget"),
        );
        Ok(())
    })
}
