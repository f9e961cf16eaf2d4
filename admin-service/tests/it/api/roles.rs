//! Every route × everybody who may come.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::router;

use super::clients::{Api, Client, text};
use crate::on_both;
use crate::support::database::Database;

/// Statuses for: anonymous, stranger, master, a key without user, internal user, internal user viewer, proxy admin viewer, proxy admin. What is
/// asked for is the internal user's; the others ask for the same, so theirs is somebody else's.
const EXPECTED: &str = "\
POST /key/generate 401 401 200 401 200 401 403 200
POST /key/update 401 401 200 401 403 401 403 200
POST /key/delete 401 401 200 401 200 401 403 200
POST /key/block 401 401 200 401 403 401 403 200
POST /key/unblock 401 401 200 401 403 401 403 200
GET /key/info 401 401 200 403 200 403 200 200
GET /key/list 401 401 200 403 200 403 200 200
POST /user/new 401 401 200 401 401 401 403 200
POST /user/update 401 401 200 401 401 401 403 200
POST /user/delete 401 401 200 401 401 401 403 200
GET /user/info 401 401 200 403 200 403 200 200
POST /team/new 401 401 200 401 401 401 403 200
POST /team/update 401 401 200 401 403 403 403 200
POST /team/delete 401 401 200 401 401 401 403 200
POST /team/member_add 401 401 200 401 403 403 403 200
GET /team/info 401 401 200 403 200 403 200 200
POST /budget/new 401 401 200 401 401 401 403 200
POST /budget/update 401 401 200 401 401 401 403 200
POST /budget/delete 401 401 200 401 401 401 403 200
POST /budget/info 401 401 200 401 401 401 403 200
GET /budget/list 401 401 200 401 401 401 200 200
GET /budget/settings 401 401 200 401 401 401 200 200
POST /customer/new 401 401 200 401 401 401 403 200
POST /end_user/new 401 401 200 401 401 401 403 200
POST /customer/update 401 401 200 401 401 401 403 200
POST /end_user/update 401 401 200 401 401 401 403 200
POST /customer/delete 401 401 200 401 401 401 403 200
POST /end_user/delete 401 401 200 401 401 401 403 200
POST /customer/block 401 401 200 401 401 401 403 200
POST /end_user/block 401 401 200 401 401 401 403 200
POST /customer/unblock 401 401 200 401 401 401 403 200
POST /end_user/unblock 401 401 200 401 401 401 403 200
GET /customer/info 401 401 200 401 401 401 200 200
GET /end_user/info 401 401 200 401 401 401 200 200
GET /customer/list 401 401 200 401 401 401 200 200
GET /end_user/list 401 401 200 401 401 401 200 200
GET /spend/logs 401 401 200 200 200 200 200 200
GET /health 401 401 200 200 200 200 200 200
GET /health/backlog 401 401 200 200 200 200 200 200
GET /health/liveliness 200 200 200 200 200 200 200 200
GET /health/liveness 200 200 200 200 200 200 200 200
GET /health/readiness 200 200 200 200 200 200 200 200
GET /health/readiness/details 401 401 200 200 200 200 200 200
GET /routes 200 200 200 200 200 200 200 200
GET /openapi.json 200 200 200 200 200 200 200 200
";

/// What one call is about: made anew for each, so that no call sees what another did.
struct Target {
    /// The internal user who made no key of these.
    user: String,
    key: Value,
    team: String,
    /// A user to delete.
    spare: String,
    budget: String,
    customer: String,
}

impl Target {
    async fn make(api: &Api, user: &str) -> Self {
        let master = api.master();
        let key = master.new_key(json!({ "user_id": user })).await;
        let member = json!([{"role": "user", "user_id": user}]);
        let team = master
            .post("/team/new", json!({"members_with_roles": member}))
            .await
            .ok();
        let spare = json!({"auto_create_key": false});
        let spare = master.post("/user/new", spare).await.ok();
        let customer = uuid::Uuid::new_v4().to_string();
        let made = json!({ "user_id": customer });
        master.post("/customer/new", made).await.ok();
        Self {
            user: user.to_owned(),
            customer,
            key: key["token"].clone(),
            team: text(&team, "team_id").to_owned(),
            spare: text(&spare, "user_id").to_owned(),
            budget: {
                let budget = master.post("/budget/new", json!({})).await.ok();
                text(&budget, "budget_id").to_owned()
            },
        }
    }

    async fn call(&self, client: &Client, method: &str, path: &str) -> u16 {
        let Self {
            user,
            key,
            team,
            spare,
            budget,
            customer,
        } = self;
        let body = match path {
            "/key/generate" => json!({ "user_id": user }),
            "/key/update" => json!({"key": key, "metadata": {"a": 1}}),
            "/key/delete" => json!({ "keys": [key] }),
            "/key/block" | "/key/unblock" => json!({ "key": key }),
            "/user/new" | "/team/new" | "/budget/new" => json!({}),
            "/user/update" => json!({"user_id": spare, "metadata": {"a": 1}}),
            "/user/delete" => json!({ "user_ids": [spare] }),
            "/team/update" => json!({"team_id": team, "metadata": {"a": 1}}),
            "/team/delete" => json!({ "team_ids": [team] }),
            "/team/member_add" => {
                json!({"team_id": team, "member": {"role": "user", "user_id": spare}})
            }
            "/customer/new" | "/end_user/new" => {
                json!({ "user_id": uuid::Uuid::new_v4().to_string() })
            }
            "/customer/update" | "/end_user/update" => json!({ "user_id": customer }),
            "/customer/delete" | "/end_user/delete" | "/customer/block" | "/end_user/block"
            | "/customer/unblock" | "/end_user/unblock" => json!({ "user_ids": [customer] }),
            "/budget/update" => json!({ "budget_id": budget }),
            "/budget/delete" => json!({ "id": budget }),
            "/budget/info" => json!({ "budgets": [budget] }),
            _ => Value::Null,
        };
        let query = match path {
            "/key/info" => format!("?key={}", key.as_str().unwrap()),
            "/key/list" | "/user/info" => format!("?user_id={user}"),
            "/team/info" => format!("?team_id={team}"),
            "/customer/info" | "/end_user/info" => format!("?end_user_id={customer}"),
            "/budget/settings" => format!("?budget_id={budget}"),
            _ => String::new(),
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let body = (!body.is_null()).then(|| body.to_string());
        client
            .call(method, &format!("{path}{query}"), body.as_deref())
            .await
            .status
            .as_u16()
    }
}

on_both!(every_route_answers_every_role_as_the_table_says, sweep);
async fn sweep(database: Database) {
    let api = Api::start(database).await;
    let internal_user = api.person("internal_user").await;
    let clients = [
        api.anonymous(),
        api.stranger(),
        api.master(),
        api.keyholder().await,
        internal_user.client.clone(),
        api.person("internal_user_viewer").await.client,
        api.person("proxy_admin_viewer").await.client,
        api.person("proxy_admin").await.client,
    ];
    let mut found = String::new();
    for row in router::rows() {
        let (method, path) = (row.method, row.path);
        write!(found, "{method} {path}").unwrap();
        for client in &clients {
            let target = Target::make(&api, &internal_user.id).await;
            write!(found, " {}", target.call(client, method, path).await).unwrap();
        }
        found.push('\n');
    }
    assert_eq!(found, EXPECTED);
}

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
    assert_eq!(
        master.get("/mcp/tools").await.refused(),
        not_found("Not Found. Tollkeeper does not serve MCP.")
    );
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
