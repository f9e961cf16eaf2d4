//! Who asks, and how their key may come.

use reqwest::Method;
use serde_json::json;
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, MASTER, ONE_MODEL, error, text};
use crate::on_both;
use crate::support::database::Database;

on_both!(
    the_key_is_read_from_every_place_that_litellm_reads,
    every_place
);
async fn every_place(database: Database) {
    let api = Api::start(database).await;
    for (name, value) in [
        ("authorization", format!("Bearer {MASTER}")),
        ("authorization", format!("bearer {MASTER}")),
        ("authorization", format!("Basic {MASTER}")),
        ("x-api-key", MASTER.to_owned()),
        ("api-key", MASTER.to_owned()),
        ("x-litellm-api-key", format!("Bearer {MASTER}")),
        ("x-litellm-api-key", MASTER.to_owned()),
        ("x-goog-api-key", MASTER.to_owned()),
        ("ocp-apim-subscription-key", MASTER.to_owned()),
    ] {
        let headers = [(name, value.as_str())];
        let answer = api
            .anonymous()
            .call_with(Method::GET, "/key/list", None, &headers)
            .await;
        assert_eq!(
            answer.ok(),
            json!({"keys": [], "total_count": 0, "current_page": 1, "total_pages": 0}),
            "{name}"
        );
    }
}

on_both!(
    a_credential_that_proves_nothing_is_refused_in_litellms_words,
    proves_nothing
);
async fn proves_nothing(database: Database) {
    let api = Api::start(database).await;
    let refused = async |headers: &[(&str, &str)]| {
        api.anonymous()
            .call_with(Method::GET, "/key/info", None, headers)
            .await
            .refused()
    };
    let unauthorized = |message| error(401, "auth_error", None, message);
    assert_eq!(
        refused(&[]).await,
        unauthorized("Authentication Error, No api key passed in.")
    );
    assert_eq!(
        refused(&[("authorization", MASTER)]).await,
        unauthorized(
            "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix."
        )
    );
    assert_eq!(
        refused(&[("authorization", "Bearer abcdefghijkl")]).await,
        unauthorized(
            "LiteLLM Virtual Key expected. Received=abcd****ijkl, expected to start with 'sk-'."
        )
    );
    assert_eq!(
        refused(&[("authorization", "Bearer sk-nope")]).await,
        error(
            401,
            "token_not_found_in_db",
            Some("key"),
            "Authentication Error, Invalid API key provided."
        )
    );
    let both = [("x-api-key", MASTER), ("api-key", "sk-another")];
    assert_eq!(refused(&both).await.0, 400);
}

on_both!(a_blocked_expired_or_deleted_key_proves_nobody, no_longer);
async fn no_longer(database: Database) {
    let now = Clock::System.now_us();
    let clock = Clock::manual(now);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let key = master.new_key(json!({"duration": "1s"})).await;
    let holder = api.client(Some(text(&key, "key")));
    holder.get("/key/info").await.ok();

    master
        .post("/key/block", json!({"key": key["key"]}))
        .await
        .ok();
    assert_eq!(
        holder.get("/key/info").await.refused(),
        error(
            401,
            "auth_error",
            None,
            "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin."
        )
    );
    master
        .post("/key/unblock", json!({"key": key["token"]}))
        .await
        .ok();
    holder.get("/key/info").await.ok();

    clock.set_us(now + 1_000_000);
    let (status, body) = holder.get("/key/info").await.refused();
    assert_eq!(status, 401);
    assert_eq!(body["error"]["type"], "expired_key");
    assert_eq!(body["error"]["param"], key["key_name"]);
    assert!(
        text(&body["error"], "message")
            .starts_with("Authentication Error - Expired Key. Key Expiry time ")
    );

    master
        .post("/key/delete", json!({"keys": [key["key"]]}))
        .await
        .ok();
    assert_eq!(
        holder.get("/key/info").await.refused().1["error"]["type"],
        "token_not_found_in_db"
    );
}

on_both!(a_blocked_user_or_team_takes_its_keys_along, owners_blocked);
async fn owners_blocked(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let person = api.person("internal_user").await;
    person.client.get("/key/info").await.ok();
    master
        .post(
            "/user/update",
            json!({"user_id": person.id, "blocked": true}),
        )
        .await
        .ok();
    assert_eq!(person.client.get("/key/info").await.status, 401);

    let team = master.post("/team/new", json!({})).await.ok();
    let key = master.new_key(json!({"team_id": team["team_id"]})).await;
    let holder = api.client(Some(text(&key, "key")));
    holder.get("/key/info").await.ok();
    master
        .post(
            "/team/update",
            json!({"team_id": team["team_id"], "blocked": true}),
        )
        .await
        .ok();
    let (status, body) = holder.get("/key/info").await.refused();
    assert_eq!(status, 401);
    assert!(text(&body["error"], "message").contains("is blocked. Update via `/team/unblock`"));
}

on_both!(a_key_calls_only_the_routes_that_it_may, allowed_routes);
async fn allowed_routes(database: Database) {
    let api = Api::start(database).await;
    let holder = async |body| {
        let key = api.master().new_key(body).await;
        api.client(Some(text(&key, "key")))
    };
    let llm = holder(json!({"key_type": "llm_api"})).await;
    assert_eq!(
        llm.post("/key/generate", json!({})).await.refused(),
        (
            403,
            json!({"detail": "Virtual key is not allowed to call this route. Only allowed to call routes: ['llm_api_routes']. Tried to call route: /key/generate"})
        )
    );
    let reader = holder(json!({"key_type": "read_only"})).await;
    reader.get("/key/info").await.ok();
    assert_eq!(reader.post("/key/generate", json!({})).await.status, 403);
    let manager = holder(json!({"key_type": "management"})).await;
    assert_eq!(
        manager.get("/key/list").await.refused(),
        error(
            403,
            "bad_request_error",
            Some("user_id"),
            "You are not authorized to access this endpoint. No 'user_id' is associated with your API key."
        )
    );
    let one = holder(json!({"allowed_routes": ["/health*"]})).await;
    one.get("/health/backlog").await.ok();
    assert_eq!(one.get("/key/info").await.status, 403);
}
