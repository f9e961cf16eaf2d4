//! Many at once: one winner where only one can be, and no change lost.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Api, Client, ONE_MODEL, text};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::number;

const MANY: usize = 50;

async fn statuses(client: &Client, path: &str, bodies: Vec<Value>) -> Vec<u16> {
    let calls = bodies
        .into_iter()
        .map(|body| async move { client.post(path, body).await.status.as_u16() });
    join_all(calls).await
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

on_both!(of_many_who_create_the_same_one_wins, one_winner);
async fn one_winner(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    for (path, body, lost) in [
        ("/key/generate", json!({"key": "sk-0123456789abcdef"}), 409),
        ("/key/generate", json!({"key_alias": "only-one"}), 400),
        (
            "/user/new",
            json!({"user_id": "u1", "auto_create_key": false}),
            409,
        ),
        (
            "/user/new",
            json!({"user_email": "one@x.com", "auto_create_key": false}),
            409,
        ),
        ("/team/new", json!({"team_id": "t1"}), 400),
        (
            "/organization/new",
            json!({"organization_id": "o1", "organization_alias": "one"}),
            400,
        ),
        (
            "/budget/new",
            json!({"budget_id": "b1", "max_budget": 1}),
            400,
        ),
        (
            "/customer/new",
            json!({"user_id": "c1", "max_budget": 1}),
            400,
        ),
        ("/tag/new", json!({"name": "g1", "max_budget": 1}), 400),
        (
            "/access_group/new",
            json!({"access_group": "a1", "model_names": ["gpt-4o"]}),
            409,
        ),
        (
            "/organization/member_add",
            json!({"organization_id": "o1", "member": {"role": "internal_user", "user_id": "u1"}}),
            400,
        ),
    ] {
        let found = statuses(&master, path, vec![body; MANY]).await;
        assert_eq!(
            (count(&found, 200), count(&found, lost)),
            (1, MANY - 1),
            "{path}: {found:?}"
        );
    }
    let same = json!({"team_id": "t1", "member": {"role": "user", "user_id": "u1"}});
    let found = statuses(&master, "/team/member_add", vec![same; MANY]).await;
    assert_eq!(
        (count(&found, 200), count(&found, 400)),
        (1, MANY - 1),
        "{found:?}"
    );
}

on_both!(of_many_invitations_of_one_user_one_is_left, one_invitation);
async fn one_invitation(database: Database) {
    // Links that have ended count as failures to sign in, and all of these come from one address.
    let file = format!(
        "{ONE_MODEL}\ngeneral_settings: {{ max_failed_login_attempts_per_source: 1000 }}\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let user = json!({"user_id": "u1", "auto_create_key": false});
    master.post("/user/new", user).await.ok();
    let invite = || master.post("/invitation/new", json!({"user_id": "u1"}));
    let made = join_all((0..MANY).map(|_| invite())).await;
    let mut usable = 0;
    for made in made {
        let made = made.ok();
        let path = format!("/onboarding/get_token?invite_link={}", text(&made, "id"));
        usable += usize::from(api.anonymous().get(&path).await.status == 200);
    }
    assert_eq!(usable, 1, "a newer one ends the older");
}

/// What many change at once: where to, under which name, what each changes, and where it is read back.
struct Shared {
    update: (&'static str, &'static str),
    named: (&'static str, &'static str),
    fields: &'static [(&'static str, i32)],
    read: (&'static str, &'static str, &'static str),
}

const SHARED: &[Shared] = &[
    Shared {
        update: ("POST", "/user/update"),
        named: ("user_id", "one"),
        fields: &[("max_budget", 11), ("tpm_limit", 12), ("rpm_limit", 13)],
        read: ("GET", "/user/info?user_id=one", "/user_info"),
    },
    Shared {
        update: ("POST", "/team/update"),
        named: ("team_id", "one"),
        fields: &[("max_budget", 11), ("tpm_limit", 12), ("rpm_limit", 13)],
        read: ("GET", "/team/info?team_id=one", "/team_info"),
    },
    Shared {
        update: ("PATCH", "/organization/update"),
        named: ("organization_id", "one"),
        fields: &[("max_budget", 11), ("tpm_limit", 12), ("rpm_limit", 13)],
        read: (
            "GET",
            "/organization/info?organization_id=one",
            "/litellm_budget_table",
        ),
    },
    Shared {
        update: ("POST", "/budget/update"),
        named: ("budget_id", "one"),
        fields: &[("max_budget", 11), ("soft_budget", 9), ("rpm_limit", 13)],
        read: ("POST", "/budget/info", "/0"),
    },
    Shared {
        update: ("POST", "/tag/update"),
        named: ("name", "one"),
        fields: &[("max_budget", 11), ("soft_budget", 9), ("rpm_limit", 13)],
        read: ("POST", "/tag/info", "/one/litellm_budget_table"),
    },
];

on_both!(
    of_many_who_change_one_user_team_organization_budget_customer_or_tag_none_is_lost,
    nothing_of_others_lost
);
async fn nothing_of_others_lost(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    for (path, body) in [
        (
            "/user/new",
            json!({"user_id": "one", "auto_create_key": false}),
        ),
        ("/team/new", json!({"team_id": "one"})),
        (
            "/organization/new",
            json!({"organization_id": "one", "organization_alias": "one"}),
        ),
        ("/budget/new", json!({"budget_id": "one", "tpm_limit": 1})),
        ("/tag/new", json!({"name": "one", "tpm_limit": 1})),
        ("/customer/new", json!({"user_id": "one"})),
    ] {
        master.post(path, body).await.ok();
    }
    for shared in SHARED {
        let (method, path) = shared.update;
        let (name, id) = shared.named;
        let calls = (0..MANY).map(|at| {
            let (field, value) = shared.fields[at % shared.fields.len()];
            let body = json!({name: id, field: value}).to_string();
            let (master, method) = (&master, method.parse().unwrap());
            async move { master.call(method, path, Some(&body)).await.status }
        });
        let found = join_all(calls).await;
        assert!(
            found.iter().all(|status| *status == 200),
            "{path}: {found:?}"
        );
        let (method, path, at) = shared.read;
        let body = json!({"budgets": ["one"], "names": ["one"]}).to_string();
        let body = (method == "POST").then_some(body.as_str());
        let info = master.call(method.parse().unwrap(), path, body).await.ok();
        let row = info.pointer(at).unwrap_or_else(|| panic!("{path}: {info}"));
        for (field, value) in shared.fields {
            assert_eq!(
                row[field].as_f64(),
                Some(f64::from(*value)),
                "{path} {field}: {row}"
            );
        }
    }
    // A customer's fields are of several types.
    let fields = [
        ("alias", json!("a")),
        ("default_model", json!("gpt-4o")),
        ("models", json!(["gpt-4o"])),
        ("max_budget", json!(11.0)),
    ];
    let bodies = (0..MANY).map(|at| {
        let (field, value) = &fields[at % fields.len()];
        json!({"user_id": "one", *field: value})
    });
    let found = statuses(&master, "/customer/update", bodies.collect()).await;
    assert_eq!(count(&found, 200), MANY, "{found:?}");
    let info = master.get("/customer/info?end_user_id=one").await.ok();
    for (field, value) in &fields[..3] {
        assert_eq!(&info[field], value, "{field}: {info}");
    }
    assert_eq!(info["litellm_budget_table"]["max_budget"], fields[3].1);
}

on_both!(of_many_who_change_one_row_none_is_lost, nothing_lost);
async fn nothing_lost(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let key = master.new_key(json!({})).await;
    // Each sets a field of its own: a read, a change and a write of the whole row must not undo each other's.
    let field = |at: usize| {
        [
            "config",
            "router_settings",
            "object_permission",
            "permissions",
            "metadata",
        ][at % 5]
    };
    let mut bodies: Vec<Value> = (0..5)
        .map(|at| json!({"key": key["key"], field(at): {"set": true}}))
        .collect();
    bodies.extend((0..MANY - 5).map(|_| json!({"key": key["key"], "blocked": false})));
    let found = statuses(&master, "/key/update", bodies).await;
    assert_eq!(count(&found, 200), MANY, "{found:?}");
    let info = master
        .get(&format!("/key/info?key={}", text(&key, "token")))
        .await
        .ok();
    for at in 0..5 {
        assert_eq!(
            info["info"][field(at)],
            json!({"set": true}),
            "{}",
            field(at)
        );
    }
    let store = &api.database.store;
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM audit_log WHERE action = 'updated'"
        )
        .await,
        50
    );

    let team = master.post("/team/new", json!({})).await.ok();
    let join = |at| json!({"team_id": team["team_id"], "member": {"role": "user", "user_id": format!("m{at}")}});
    let found = statuses(&master, "/team/member_add", (0..MANY).map(join).collect()).await;
    assert_eq!(count(&found, 200), MANY, "{found:?}");
    let info = master
        .get(&format!("/team/info?team_id={}", text(&team, "team_id")))
        .await
        .ok();
    assert_eq!(info["team_memberships"].as_array().unwrap().len(), MANY + 1);
    assert_eq!(
        number(store, "SELECT COUNT(DISTINCT position) FROM team_members").await,
        51
    );
}

on_both!(a_deleted_user_leaves_no_key_behind, no_key_left);
async fn no_key_left(database: Database) {
    const LEFT: &str = "SELECT COUNT(*) FROM virtual_keys WHERE user_id LIKE 'u%'";
    let api = Api::start(database).await;
    let master = api.master();
    for round in 0..10 {
        let user = format!("u{round}");
        let body = json!({"user_id": user, "user_role": "internal_user"});
        let made = master.post("/user/new", body).await.ok();
        let own = api.client(Some(text(&made, "key")));
        let (made, deleted) = tokio::join!(
            statuses(&own, "/key/generate", vec![json!({}); 12]),
            master.post("/user/delete", json!({"user_ids": [user]}))
        );
        deleted.ok();
        assert!(made.iter().all(|status| *status < 500), "{round}: {made:?}");
        assert_eq!(number(&api.database.store, LEFT).await, 0, "{made:?}");
    }
}

on_both!(
    teams_that_exchange_members_do_not_block_each_other,
    no_deadlock
);
async fn no_deadlock(database: Database) {
    let api = Api::start(database).await;
    let master = Arc::new(api.master());
    for team in ["a", "b"] {
        master
            .post("/team/new", json!({"team_id": team}))
            .await
            .ok();
    }
    let users: Vec<String> = (0..20).map(|at| format!("u{at}")).collect();
    for user in &users {
        let body = json!({"user_id": user, "auto_create_key": false});
        master.post("/user/new", body).await.ok();
    }
    // Two transactions that lock the same rows in opposite orders.
    let forth = json!({"user_ids": users});
    let back = json!({"team_ids": ["a", "b"]});
    let members = |team: &str| {
        let all: Vec<Value> = users
            .iter()
            .rev()
            .map(|user| json!({"role": "user", "user_id": user}))
            .collect();
        json!({"team_id": team, "member": all})
    };
    let (a, b) = tokio::join!(
        master.post("/team/member_add", members("a")),
        master.post("/team/member_add", members("b"))
    );
    a.ok();
    b.ok();
    let (users_gone, teams_gone) = tokio::join!(
        master.post("/user/delete", forth),
        master.post("/team/delete", back)
    );
    users_gone.ok();
    teams_gone.ok();
    assert_eq!(
        number(&api.database.store, "SELECT COUNT(*) FROM team_members").await,
        0
    );
}
