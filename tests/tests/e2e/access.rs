//! Which models and routes a key may call, by its list, a group of models, an alias, its type: what it may not never reaches the upstream.

use anyhow::Result;
use hyper::Method;
use serde_json::{Value, json};
use tollkeeper_tests::client::{Reply, request};
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, capped, records, shared, tag, with};

fn call(tag: &str, model: &str) -> Value {
    with(
        capped(&format!("[[tag={tag} tokens=1]]"), 1),
        "model",
        json!(model),
    )
}

/// The status of a call at each Envoy.
async fn everywhere(stack: &Stack, key: &str, body: &Value) -> Result<[u16; 2]> {
    let one = Caller::new(stack, 0, key).chat(body).await?;
    let two = Caller::new(stack, 1, key).chat(body).await?;
    Ok([one.status, two.status])
}

async fn admin(stack: &Stack, method: Method, path: &str, body: &Value) -> Result<Reply> {
    let url = format!("{}{path}", stack.admin.url());
    let body = body.to_string().into();
    let request = request(method, &url, Some(&stack.master_key), body)?;
    stack.client.send(request).await?.whole().await
}

#[test]
fn a_group_of_models_lets_its_models_through_and_a_change_of_it_holds_from_the_next_request_on()
-> Result<()> {
    shared(async |stack| {
        let group = tag("group");
        let new = json!({"access_group": group, "model_names": ["round-price"]});
        stack.post_admin("/access_group/new", &new).await?;
        let key = stack.key(&json!({"models": [group]})).await?;
        let (dear, cheap) = (call(&group, "round-price"), call(&group, "gpt-4o-mini"));
        assert_eq!(everywhere(stack, &key, &dear).await?, [200, 200]);
        assert_eq!(everywhere(stack, &key, &cheap).await?, [403, 403]);
        let path = format!("/access_group/{group}/update");
        let other = json!({"model_names": ["gpt-4o-mini"]});
        admin(stack, Method::PUT, &path, &other).await?.good()?;
        assert_eq!(everywhere(stack, &key, &dear).await?, [403, 403]);
        assert_eq!(everywhere(stack, &key, &cheap).await?, [200, 200]);
        assert_eq!(records(stack).tagged(&group).len(), 4);
        Ok(())
    })
}

#[test]
fn an_alias_of_a_key_or_its_team_is_another_name_of_a_model_and_is_held_to_the_list() -> Result<()>
{
    shared(async |stack| {
        let tag = tag("alias");
        let aliases = json!({"mine": "gpt-4o-mini", "forbidden": "round-price"});
        let key = json!({"aliases": aliases, "models": ["gpt-4o-mini"]});
        let key = stack.key(&key).await?;
        assert_eq!(
            everywhere(stack, &key, &call(&tag, "mine")).await?,
            [200, 200]
        );
        assert_eq!(
            everywhere(stack, &key, &call(&tag, "forbidden")).await?,
            [403, 403]
        );
        let team = json!({"model_aliases": {"ours": "gpt-4o-mini"}});
        let team = stack.post_admin("/team/new", &team).await?;
        let of_team = stack.key(&json!({"team_id": team["team_id"]})).await?;
        assert_eq!(
            everywhere(stack, &of_team, &call(&tag, "ours")).await?,
            [200, 200]
        );
        let calls = records(stack).tagged(&tag);
        let models: Vec<_> = calls
            .iter()
            .filter_map(|call| call.model.as_deref())
            .collect();
        assert_eq!(models, ["gpt-4o-mini"; 4], "the upstream sees the model");
        Ok(())
    })
}

#[test]
fn a_key_calls_only_the_routes_that_its_list_or_type_names() -> Result<()> {
    shared(async |stack| {
        let tag = tag("routes");
        let chat = call(&tag, "gpt-4o-mini");
        let embed = json!({"model": "text-embedding-3-small", "input": "hello"});
        // What a chat, an embedding, the list of models and the admin API answer.
        let statuses = async |fields: Value| {
            let key = stack.key(&fields).await?;
            let caller = Caller::new(stack, 0, &key);
            let url = format!("{}/key/info", stack.admin.url());
            anyhow::Ok([
                caller.chat(&chat).await?.status,
                caller.post("/v1/embeddings", &embed).await?.status,
                caller.get("/v1/models").await?.status,
                stack.client.get(&url, Some(&key)).await?.status,
            ])
        };
        let all = statuses(json!({"key_type": "default"})).await?;
        assert_eq!(all, [200, 200, 200, 200]);
        let models = statuses(json!({"key_type": "llm_api"})).await?;
        assert_eq!(models, [200, 200, 200, 403]);
        let manages = statuses(json!({"key_type": "management"})).await?;
        assert_eq!(manages, [403, 403, 403, 200]);
        let reads = statuses(json!({"key_type": "read_only"})).await?;
        assert_eq!(reads, [403, 403, 200, 200]);
        let embeds = statuses(json!({"allowed_routes": ["/v1/embeddings"]})).await?;
        assert_eq!(embeds, [403, 200, 403, 403]);
        assert_eq!(records(stack).tagged(&tag).len(), 2);
        Ok(())
    })
}
