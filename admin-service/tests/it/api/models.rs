//! `/models`, `/model/*`, `/model_group/info`, `/access_group/*` and `/cache/ping`.

use contract::money::PicoUsdPerUnit;
use contract::records::{ModelRecord, Versioned};
use contract::redis_key::{self, Partition};
use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, Client, assert_has, detail, error, text};
use super::publication::key_record;
use super::tags::settings;
use crate::on_both;
use crate::support::database::Database;

const TWO_MODELS: &str = "
model_list:
  - model_name: fake
    litellm_params: { model: openai/fake, api_base: 'http://127.0.0.1:1/v1', api_key: sk-of-the-provider, input_cost_per_token: 0.001, output_cost_per_token: 0.002, rpm: 7, tpm: 8 }
    model_info: { access_groups: [beta] }
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o }
router_settings:
  num_retries: 3
  model_group_alias: { best: gpt-4o, secret: { model: gpt-4o, hidden: true }, lost: nowhere }
";

async fn start(database: Database) -> Api {
    Api::configured(database, TWO_MODELS, Clock::System).await
}

async fn record(api: &Api, name: &str) -> Option<ModelRecord> {
    let key = redis_key::model(Partition(0), name);
    let bytes = api.redis.get(&key).await?;
    Some(Versioned::decode(&bytes).expect("a model").value)
}

async fn ids(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("/models{query}")).await.ok();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap().iter();
    models.map(|model| text(model, "id").to_owned()).collect()
}

on_both!(models_are_listed_as_recorded, listed);
async fn listed(database: Database) {
    let api = start(database).await;
    let master = api.master();
    let expected = json!({"object": "list", "data": [
        {"id": "fake", "object": "model", "created": 1_677_610_602, "owned_by": "openai"},
        {"id": "gpt-4o", "object": "model", "created": 1_677_610_602, "owned_by": "openai", "mode": "chat",
            "max_input_tokens": 128_000, "max_output_tokens": 16_384},
        {"id": "best", "mode": "chat"}]});
    for path in ["/models", "/v1/models"] {
        assert_has(&master.get(path).await.ok(), &expected);
    }
    let one = master.get("/v1/models/gpt-4o").await.ok();
    assert_eq!(one, master.get("/models").await.ok()["data"][1]);
    assert_eq!(
        master.get("/models/none").await.refused(),
        error(
            404,
            "invalid_request_error",
            Some("model"),
            "The model `none` does not exist"
        )
    );
    assert_eq!(
        ids(&master, "?include_model_access_groups=true").await,
        ["fake", "gpt-4o", "best", "beta"]
    );
    assert_eq!(
        ids(&master, "?only_model_access_groups=true").await,
        ["beta"]
    );

    // Whoever is limited sees what they may call.
    let key = async |body: Value| {
        let key = master.new_key(body).await;
        api.client(Some(text(&key, "key")))
    };
    let one = key(json!({"models": ["gpt-4o"]})).await;
    assert_eq!(ids(&one, "").await, ["gpt-4o"]);
    assert_eq!(one.get("/models/fake").await.refused().0, 404);
    let info = one.get("/model/info").await.ok();
    assert_has(&info, &json!({"data": [{"model_name": "gpt-4o"}]}));
    let group = key(json!({"models": ["beta"]})).await;
    assert_eq!(ids(&group, "").await, ["fake"]);
    let pattern = key(json!({"models": ["openai/*"]})).await;
    assert_eq!(ids(&pattern, "").await.len(), 3);
    let team = json!({"team_id": "t", "models": ["fake"]});
    master.post("/team/new", team).await.ok();
    let of_team = key(json!({"team_id": "t", "models": ["all-team-models"]})).await;
    assert_eq!(ids(&of_team, "").await, ["fake"]);
    assert_eq!(ids(&master, "?team_id=t").await, ["fake"]);
    let nobody = json!({"user_role": "internal_user", "models": ["no-default-models"]});
    let nobody = api.person_with(nobody).await.client;
    assert_eq!(ids(&nobody, "").await, [""; 0]);
}

on_both!(a_model_shows_prices_and_no_secret, info);
async fn info(database: Database) {
    let api = start(database).await;
    let master = api.master();
    let info = master.get("/model/info").await.ok();
    let expected = json!({"data": [
        {"model_name": "fake", "litellm_params": {"model": "openai/fake", "api_base": "http://127.0.0.1:1/v1"},
            "model_info": {"id": "*", "db_model": false, "input_cost_per_token": 0.001, "output_cost_per_token": 0.002,
                "litellm_provider": "openai", "access_groups": ["beta"]}},
        {"model_name": "gpt-4o", "model_info": {"mode": "chat", "max_input_tokens": 128_000, "db_model": false}}]});
    assert_has(&info, &expected);
    assert!(!info.to_string().contains("sk-of-the-provider"));
    assert_eq!(master.get("/v1/model/info").await.ok(), info);
    let id = text(&info["data"][0]["model_info"], "id");
    let one = master
        .get(&format!("/model/info?litellm_model_id={id}"))
        .await
        .ok();
    assert_eq!(one["data"], json!([info["data"][0]]));
    let page = master.get("/v2/model/info?size=1&page=2").await.ok();
    assert_eq!(
        page,
        json!({"data": [info["data"][1]], "total_count": 2, "current_page": 2, "total_pages": 2, "size": 1})
    );
    let found = master.get("/v2/model/info?search=GPT").await.ok();
    assert_eq!(found["total_count"], 1);

    let groups = master.get("/model_group/info").await.ok();
    let expected = json!({"data": [
        {"model_group": "fake", "providers": ["openai"], "input_cost_per_token": 0.001, "output_cost_per_token": 0.002,
            "rpm": 7, "tpm": 8, "is_public_model_group": false},
        {"model_group": "gpt-4o", "mode": "chat"}, {"model_group": "best"}]});
    assert_has(&groups, &expected);
    let one = master
        .get("/model_group/info?model_group=gpt-4o")
        .await
        .ok();
    assert_eq!(one["data"], json!([groups["data"][1]]));
    // The limits of a model of the file bind, and its other names lead to it.
    let limits = record(&api, "fake").await.unwrap().limits;
    assert_eq!((limits.rpm, limits.tpm), (Some(7), Some(8)));
    for alias in ["best", "secret"] {
        assert_eq!(record(&api, alias).await.unwrap().name, "gpt-4o");
    }
    assert_eq!(record(&api, "lost").await, None);
}

on_both!(a_model_of_the_database_is_served_at_once, database_models);
async fn database_models(database: Database) {
    let api = start(database).await;
    let master = api.master();
    let before = settings(&api).await;
    let sent = json!({"model_name": "mine", "litellm_params": {"model": "anthropic/claude-x", "api_key": "sk-secret-1",
            "aws_secret_access_key": "sk-secret-2", "api_base": "https://host/v1", "mock_response": "ok", "input_cost_per_token": 0.000_001,
            "output_cost_per_token": "0.000002", "rpm": 3, "tpm": 4, "max_parallel_requests": 2},
        "model_info": {"id": "m-1", "access_groups": ["beta"], "mode": "chat", "max_tokens": 100, "note": "n"}});
    let answer = master.post("/model/new", sent).await;
    assert_eq!(
        answer.header("x-tollkeeper-ignored-fields"),
        Some("litellm_params.api_key,litellm_params.aws_secret_access_key")
    );
    assert_eq!(
        answer.header("x-tollkeeper-unenforced-fields"),
        Some("api_base,mock_response")
    );
    let made = answer.ok();
    assert_has(
        &made,
        &json!({"model_id": "m-1", "model_name": "mine", "created_by": "default_user_id", "blocked": false,
            "litellm_params": {"model": "anthropic/claude-x", "rpm": 3}, "model_info": {"id": "m-1", "note": "n"}}),
    );
    let found = record(&api, "mine").await.expect("served");
    assert_eq!(
        (found.provider.as_str(), found.upstream.as_str()),
        ("anthropic", "claude-x")
    );
    assert_eq!(found.max_output_tokens, Some(100));
    let price = found.price.unwrap().base;
    assert_eq!(price.input, Some(PicoUsdPerUnit(1_000_000)));
    assert_eq!(price.output, Some(PicoUsdPerUnit(2_000_000)));
    let limits = found.limits;
    assert_eq!(
        (limits.rpm, limits.tpm, limits.parallel),
        (Some(3), Some(4), Some(2))
    );
    let after = settings(&api).await;
    assert_eq!(after.access_groups["beta"], ["fake", "mine"]);
    assert!(
        !before.models.contains(&"mine".to_owned()) && after.models.contains(&"mine".to_owned())
    );
    assert!(ids(&master, "").await.contains(&"mine".to_owned()));
    let info = master.get("/model/info?litellm_model_id=m-1").await.ok();
    assert_has(
        &info["data"][0],
        &json!({"model_name": "mine", "model_info": {"db_model": true, "note": "n"}}),
    );
    let price = &info["data"][0]["model_info"]["input_cost_per_token"];
    assert_eq!(price.to_string(), "0.000001");

    // A change of one field leaves the others; null takes one away.
    let change = json!({"litellm_params": {"rpm": null, "tpm": 9, "api_key": "sk-secret-3"}});
    let path = "/model/m-1/update";
    let changed = master
        .call(Method::PATCH, path, Some(&change.to_string()))
        .await
        .ok();
    assert_has(
        &changed["litellm_params"],
        &json!({"model": "anthropic/claude-x", "tpm": 9, "output_cost_per_token": "0.000002"}),
    );
    let limits = record(&api, "mine").await.unwrap().limits;
    assert_eq!((limits.rpm, limits.tpm), (None, Some(9)));
    let change = json!({"model_name": "fake", "model_info": {"id": "m-1"}});
    master.post("/model/update", change).await.ok();
    // The database wins over the file, and gives the name back when it is deleted.
    assert_eq!(record(&api, "mine").await, None);
    assert_eq!(record(&api, "fake").await.unwrap().provider, "anthropic");
    let blocked = json!({"blocked": true, "model_info": {"id": "m-1"}});
    master.post("/model/update", blocked).await.ok();
    assert_eq!(record(&api, "fake").await.unwrap().provider, "openai");
    let deleted = master.post("/model/delete", json!({"id": "m-1"})).await;
    assert_eq!(
        deleted.ok(),
        json!({"message": "Model: m-1 deleted successfully"})
    );
    assert_eq!(ids(&master, "").await, ["fake", "gpt-4o", "best"]);

    // Nothing of the secrets was kept anywhere.
    let store = &api.service.app().store;
    let rows = sqlx::query("SELECT before_value, updated_values FROM audit_log")
        .fetch_all(&mut *store.read().await.unwrap())
        .await
        .unwrap();
    for row in &rows {
        for column in ["before_value", "updated_values"] {
            let value: Option<String> = sqlx::Row::try_get(row, column).unwrap();
            assert!(!value.unwrap_or_default().contains("sk-secret"));
        }
    }
}

on_both!(a_model_that_could_not_be_served_is_refused, bad);
async fn bad(database: Database) {
    let api = start(database).await;
    let master = api.master();
    for (body, status) in [
        (json!({"model_name": "x"}), 422),
        (json!({"litellm_params": {}}), 422),
        (json!({"model_name": "x", "litellm_params": []}), 422),
        (json!({"model_name": "x", "litellm_params": {}}), 400),
        (
            json!({"model_name": "x", "litellm_params": {"model": "nobody-knows"}}),
            400,
        ),
        (
            json!({"model_name": "x-*", "litellm_params": {"model": "openai/gpt-4o"}}),
            400,
        ),
        (
            json!({"model_name": "x", "litellm_params": {"model": "openai/y", "input_cost_per_token": "dear"}}),
            400,
        ),
    ] {
        let refused = master.post("/model/new", body.clone()).await.refused();
        assert_eq!(refused.0, status, "{body} {}", refused.1);
    }
    let model = json!({"model_name": "x", "litellm_params": {"model": "openai/y"}, "model_info": {"id": "i"}});
    master.post("/model/new", model.clone()).await.ok();
    let said = |status, message: &str| detail(status, json!({ "error": message }));
    assert_eq!(
        master.post("/model/new", model).await.refused(),
        said(400, "Model with id=i already exists")
    );
    let none = json!({"model_info": {"id": "none"}});
    assert_eq!(
        master.post("/model/update", none).await.refused(),
        said(400, "Model with id=none not found in db")
    );
    assert_eq!(
        master.post("/model/update", json!({})).await.refused().0,
        400
    );
    assert_eq!(
        master
            .post("/model/delete", json!({"id": "none"}))
            .await
            .refused(),
        said(400, "Model with id=none not found in db")
    );
    let patch = master
        .call(Method::PATCH, "/model/none/update", Some("{}"))
        .await;
    assert_eq!(patch.refused(), said(404, "Model none not found on proxy."));
    // A change that would make it unusable leaves it as it was.
    let change = json!({"litellm_params": {"model": null}});
    let change = master
        .call(Method::PATCH, "/model/i/update", Some(&change.to_string()))
        .await;
    assert_eq!(change.refused().0, 400);
    assert_eq!(record(&api, "x").await.unwrap().upstream, "y");
    let missing = master.get("/model/info?litellm_model_id=none").await;
    assert_eq!(missing.refused().0, 400);
}

on_both!(a_group_of_models_is_made_changed_and_deleted, groups);
async fn groups(database: Database) {
    let api = start(database).await;
    let master = api.master();
    let group = json!({"access_group": "fast", "model_names": ["gpt-4o"], "description": "d"});
    let made = master.post("/access_group/new", group.clone()).await.ok();
    let expected = json!({"access_group": "fast", "model_names": ["gpt-4o"], "models_updated": 1, "description": "d"});
    assert_has(&made, &expected);
    let id = text(&made, "access_group_id");
    let found = settings(&api).await.access_groups;
    assert_eq!(
        (&found["fast"], &found[id]),
        (&vec!["gpt-4o".to_owned()], &vec!["gpt-4o".to_owned()])
    );
    let key = master.new_key(json!({"models": ["fast"]})).await;
    let holder = api.client(Some(text(&key, "key")));
    assert_eq!(ids(&holder, "").await, ["gpt-4o"]);
    let again = master.post("/access_group/new", group).await.refused();
    assert_eq!(again.0, 409);
    let unknown = json!({"access_group": "x", "model_names": ["none"]});
    let unknown = master.post("/access_group/new", unknown).await.refused();
    assert_eq!(unknown.0, 400);

    let change = json!({"model_names": ["gpt-4o", "fake"]}).to_string();
    let changed = master
        .call(Method::PUT, "/access_group/fast/update", Some(&change))
        .await
        .ok();
    assert_has(&changed, &json!({"models_updated": 2, "description": "d"}));
    assert_eq!(settings(&api).await.access_groups["fast"].len(), 2);
    let list = master.get("/access_group/list").await.ok();
    assert_has(
        &list,
        &json!({"access_groups": [{"access_group": "beta", "model_names": ["fake"], "deployment_count": 1},
            {"access_group": "fast", "access_group_id": id, "deployment_count": 2}]}),
    );
    let one = master.get("/access_group/fast/info").await.ok();
    assert_eq!(one, list["access_groups"][1]);

    let deleted = master
        .call(Method::DELETE, "/access_group/fast/delete", None)
        .await
        .ok();
    assert_has(
        &deleted,
        &json!({"access_group": "fast", "models_updated": 2}),
    );
    assert!(!settings(&api).await.access_groups.contains_key("fast"));
    for (method, path) in [
        (Method::GET, "/access_group/fast/info"),
        (Method::PUT, "/access_group/fast/update"),
        (Method::DELETE, "/access_group/fast/delete"),
    ] {
        assert_eq!(master.call(method, path, Some("{}")).await.refused().0, 404);
    }
}

on_both!(there_is_no_cache, cache);
async fn cache(database: Database) {
    let api = start(database).await;
    assert_eq!(
        api.master().get("/cache/ping").await.refused(),
        error(
            503,
            "cache_ping_error",
            Some("cache_ping"),
            "There is no cache in the gateway: every answer comes from its provider."
        )
    );
}

on_both!(
    a_group_is_assigned_to_keys_and_teams_and_lets_them_call_its_models,
    assigned_groups
);
async fn assigned_groups(database: Database) {
    let api = Api::configured(database, TWO_MODELS, Clock::System).await;
    let master = api.master();
    let team = json!({"team_id": "t", "models": ["gpt-4o"]});
    master.post("/team/new", team).await.ok();
    let key = master
        .new_key(json!({"models": ["gpt-4o"], "key_alias": "one"}))
        .await;
    let (token, path) = (text(&key, "token"), "/v1/access_group");
    let body = json!({"access_group_name": "minis", "access_model_names": ["fake"], "assigned_team_ids": ["t"],
        "assigned_key_ids": [token, "sk-nobody"], "access_agent_ids": ["a1"], "why": 1});
    let made = master.post(path, body.clone()).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("x-tollkeeper-ignored-fields"), Some("why"));
    assert_eq!(
        made.header("x-tollkeeper-unenforced-fields"),
        Some("access_agent_ids")
    );
    let made = made.body;
    assert_has(
        &made,
        &json!({"access_group_id": "*", "access_group_name": "minis", "description": null,
            "access_model_names": ["fake"], "access_mcp_server_ids": [], "access_agent_ids": ["a1"],
            "assigned_team_ids": ["t"], "assigned_key_ids": [token], "created_by": "default_user_id",
            "assigned_teams": [{"id": "t", "name": null}], "assigned_keys": [{"id": token, "name": "one"}]}),
    );
    let id = text(&made, "access_group_id");
    let one = format!("{path}/{id}");
    assert_eq!(master.get(&one).await.ok(), made);
    assert_eq!(master.get(path).await.ok(), json!([made]));
    let twice = json!("Access group 'minis' already exists");
    assert_eq!(master.post(path, body).await.refused(), detail(409, twice));

    // Key and team show it, what is published lets them call it, and the list of their models has it.
    let info = async || {
        let info = master.get(&format!("/key/info?key={token}")).await.ok();
        info["info"]["access_group_ids"].clone()
    };
    assert_eq!(info().await, json!([id]));
    let models = async || key_record(&api, &key).await.value.models;
    assert_eq!(models().await, ["gpt-4o", id]);
    let filtered = format!("/key/list?access_group_id={id}");
    assert_eq!(master.get(&filtered).await.ok()["keys"], json!([token]));
    let own = api.client(Some(text(&key, "key")));
    assert!(ids(&own, "").await.contains(&"fake".to_owned()));

    // A list that is sent replaces who has it, one that is not leaves it.
    let change = json!({"access_group_name": "small", "assigned_team_ids": null});
    let changed = master
        .call(Method::PUT, &one, Some(&change.to_string()))
        .await
        .ok();
    assert_has(
        &changed,
        &json!({"access_group_name": "small", "access_model_names": ["fake"], "assigned_team_ids": [],
            "assigned_key_ids": [token]}),
    );
    let team = master.get("/team/info?team_id=t").await.ok();
    assert_eq!(team["team_info"]["access_group_ids"], json!([]));
    // From the key's side it is the same.
    let clear = json!({"key": token, "access_group_ids": null});
    master.post("/key/update", clear).await.ok();
    assert_eq!(master.get(&one).await.ok()["assigned_key_ids"], json!([]));
    assert_eq!(models().await, ["gpt-4o"]);
    let again = json!({"key": token, "access_group_ids": [id]});
    let again = master.post("/key/update", again).await;
    assert_eq!(again.header("x-tollkeeper-unenforced-fields"), None);
    again.ok();
    assert_eq!(models().await, ["gpt-4o", id]);

    let gone = master.call(Method::DELETE, &one, None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(models().await, ["gpt-4o"]);
    assert_eq!(info().await, json!([]));
    let missing = json!(format!("Access group '{id}' not found"));
    for method in [Method::GET, Method::DELETE] {
        let refused = master.call(method, &one, None).await.refused();
        assert_eq!(refused, detail(404, missing.clone()));
    }
    let nowhere = json!({"access_group_name": "x", "assigned_team_ids": ["no", "nope"]});
    assert_eq!(
        master.post(path, nowhere).await.refused(),
        detail(400, json!("Unknown team ids: no, nope"))
    );
    assert_eq!(
        master.get(path).await.ok(),
        json!([]),
        "nothing of it is left"
    );
    let viewer = api.person("proxy_admin_viewer").await.client;
    viewer.get(path).await.ok();
    let user = api.person("internal_user").await.client;
    assert_eq!(user.get(path).await.status, 401);
    for (client, status) in [(&viewer, 403), (&user, 401)] {
        let body = json!({"access_group_name": "mine"});
        assert_eq!(client.post(path, body).await.status, status);
    }
}

on_both!(
    a_key_gives_no_key_groups_of_models_that_it_lacks,
    groups_within
);
async fn groups_within(database: Database) {
    let api = Api::configured(database, TWO_MODELS, Clock::System).await;
    let master = api.master();
    let person = api.person("internal_user").await;
    let group = json!({"access_group_name": "minis", "access_model_names": ["fake"]});
    let group = master.post("/v1/access_group", group).await.body;
    let id = &group["access_group_id"];
    let own = json!({"user_id": person.id, "models": ["gpt-4o"]});
    let own = master.new_key(own).await;
    let client = api.client(Some(text(&own, "key")));
    let ask = json!({"models": ["gpt-4o"], "access_group_ids": [id]});
    let (status, refused) = client.post("/key/generate", ask.clone()).await.refused();
    assert_eq!(
        (status, &refused["error"]["param"]),
        (403, &json!("models"))
    );
    let given = json!({"key": own["key"], "access_group_ids": [id]});
    master.post("/key/update", given).await.ok();
    client.post("/key/generate", ask).await.ok();
}

on_both!(a_model_of_a_team_is_its_own, of_team);
async fn of_team(database: Database) {
    let api = start(database).await;
    let master = api.master();
    for (id, models) in [("t", json!(["gpt-4o"])), ("u", json!([]))] {
        let team = json!({"team_id": id, "models": models});
        master.post("/team/new", team).await.ok();
    }
    let model = json!({"model_name": "tuned", "litellm_params": {"model": "openai/gpt-4o"},
        "model_info": {"id": "m", "team_id": "t"}});
    master.post("/model/new", model.clone()).await.ok();
    let team = master.get("/team/info?team_id=t").await.ok();
    assert_eq!(team["team_info"]["models"], json!(["gpt-4o", "tuned"]));
    assert_eq!(settings(&api).await.team_models["tuned"].as_str(), "t");

    let listed = async |body: Value| {
        let key = master.new_key(body).await;
        let client = api.client(Some(text(&key, "key")));
        ids(&client, "").await.contains(&"tuned".to_owned())
    };
    assert!(listed(json!({"team_id": "t"})).await);
    assert!(!listed(json!({"team_id": "u"})).await);
    assert!(!listed(json!({})).await);
    assert!(ids(&master, "").await.contains(&"tuned".to_owned()));
    assert!(
        !ids(&master, "?team_id=u")
            .await
            .contains(&"tuned".to_owned())
    );

    let nowhere = json!({"model_name": "lost", "litellm_params": {"model": "openai/gpt-4o"},
        "model_info": {"team_id": "nope"}});
    assert_eq!(
        master.post("/model/new", nowhere).await.refused(),
        detail(400, json!("Unknown team ids: nope"))
    );
    let everybodys = json!({"model_info": {"id": "m", "team_id": null}});
    master.post("/model/update", everybodys).await.ok();
    assert!(settings(&api).await.team_models.is_empty());
    assert!(listed(json!({})).await);
}
