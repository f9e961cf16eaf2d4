//! What routes are not there, and the words of those that refuse. Who may what: see the sweep.

use serde_json::json;

use super::clients::Api;
use crate::on_both;
use crate::support::database::Database;

on_both!(
    what_is_no_route_is_told_apart_from_what_is_left_to_others,
    no_route
);
async fn no_route(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let not_found = |detail: &str| (404, json!({ "detail": detail }));
    assert_eq!(master.get("/nope").await.refused(), not_found("Not Found"));
    assert_eq!(master.get("/config").await.refused().0, 404);
    for (path, what) in [
        ("/mcp/tools", "MCP"),
        ("/v1/agents", "agents"),
        ("/guardrails/list", "guardrails"),
        ("/vector_store/list", "vector stores"),
        ("/prompts/list", "prompts"),
        ("/v1/batches", "batches"),
        ("/v1/files", "management of files"),
        ("/scim/v2/Users", "SCIM"),
        ("/saml/login", "SAML"),
        ("/claude-code/plugins", "plugins"),
        ("/callbacks/list", "logging callbacks"),
        (
            "/cache/flushall",
            "cache management: there is no gateway cache",
        ),
        ("/project/new", "projects"),
        ("/config/update", "configuration by field"),
        ("/provider/budgets", "router budgets"),
    ] {
        assert_eq!(
            master.get(path).await.refused(),
            not_found(&format!("Not Found. Tollkeeper does not serve {what}."))
        );
    }
    assert_eq!(
        master.get("/key/generate").await.refused(),
        (405, json!({"detail": "Method Not Allowed"}))
    );
}

on_both!(the_refusals_name_role_and_route_as_litellm_does, refusals);
async fn refusals(database: Database) {
    let api = Api::start(database).await;
    let user = api.person("internal_user").await;
    let masked = format!("{}{}{}", &user.id[..6], "*".repeat(28), &user.id[34..]);
    assert_eq!(
        user.client
            .post("/user/new", json!({"user_email": "zz@x.com"}))
            .await
            .refused()
            .1["error"]["message"],
        format!(
            "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route=/user/new. Your role=internal_user. Your user_id={masked}"
        )
    );
    let nobody = api.keyholder().await;
    assert_eq!(
        nobody.post("/key/generate", json!({})).await.refused().1["error"]["message"],
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route=/key/generate. Your role=unknown. Your user_id=*******"
    );
    let viewer = api.person("proxy_admin_viewer").await;
    assert_eq!(
        viewer
            .client
            .post("/key/generate", json!({}))
            .await
            .refused()
            .1["error"]["message"],
        "user not allowed to access this route, role= proxy_admin_viewer. Trying to access: /key/generate"
    );
    let email = json!({"user_id": viewer.id, "user_email": "new@x.com"});
    viewer.client.post("/user/update", email).await.ok();
    let others = json!({"user_id": user.id, "user_email": "taken@x.com"});
    assert_eq!(viewer.client.post("/user/update", others).await.status, 403);
    let budget = json!({"user_id": viewer.id, "max_budget": 5});
    assert_eq!(viewer.client.post("/user/update", budget).await.status, 403);
}
