//! Nobody who is no proxy admin gives a key more than they have, or undoes what an admin did to it.

use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{Answer, Api, ONE_MODEL, Person, assert_has, error, text};
use crate::on_both;
use crate::support::database::Database;

async fn update(person: &Person, key: &Value, mut body: Value) -> Answer {
    body["key"] = key["key"].clone();
    person.client.post("/key/update", body).await
}

/// Status and param of a refusal.
#[track_caller]
fn refused_for(answer: Answer) -> (u16, String) {
    let (status, body) = answer.refused();
    let param = body["error"]["param"].as_str().unwrap_or_default();
    (status, param.to_owned())
}

/// A team with these members: the first is its admin.
async fn team(api: &Api, people: &[&Person], mut body: Value) -> String {
    let members = people.iter().enumerate().map(|(at, person)| {
        let role = if at == 0 { "admin" } else { "user" };
        json!({"role": role, "user_id": person.id})
    });
    body["members_with_roles"] = members.collect();
    let team = api.master().post("/team/new", body).await.ok();
    text(&team, "team_id").to_owned()
}

on_both!(an_owner_cannot_undo_a_block, blocked);
async fn blocked(database: Database) {
    let api = Api::start(database).await;
    let owner = api.person("internal_user").await;
    let key = owner.client.new_key(json!({})).await;
    let named = json!({"key": key["key"]});
    api.master().post("/key/block", named.clone()).await.ok();
    for (said, route) in [
        (json!(false), "/key/unblock"),
        (Value::Null, "/key/unblock"),
    ] {
        let message = format!(
            "{{'error': 'Only proxy admins, team admins, or org admins can call {route}. user_role=internal_user, user_id={}'}}",
            owner.id
        );
        assert_eq!(
            update(&owner, &key, json!({ "blocked": said }))
                .await
                .refused(),
            error(403, "auth_error", None, &message)
        );
    }
    // What changes nothing is no unblocking.
    let same = json!({"blocked": true, "key_alias": "still-blocked"});
    assert_eq!(update(&owner, &key, same).await.ok()["blocked"], true);
    api.master().post("/key/unblock", named).await.ok();
    let block = json!({"blocked": true});
    assert_eq!(update(&owner, &key, block).await.status, 403);

    let admin = api.person("internal_user").await;
    let of_team = json!({"team_id": team(&api, &[&admin], json!({})).await});
    let key = api.master().new_key(of_team).await;
    let block = update(&admin, &key, json!({"blocked": true})).await.ok();
    assert_eq!(block["blocked"], true);
}

on_both!(
    a_temporary_increase_inside_metadata_is_one_all_the_same,
    in_metadata
);
async fn in_metadata(database: Database) {
    let file = format!(
        "{ONE_MODEL}\nlitellm_settings:\n  upperbound_key_generate_params: {{ max_budget: 100 }}\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let master = api.master();
    let owner = api
        .person_with(json!({"user_role": "internal_user", "max_budget": 5}))
        .await;
    let inside = |increase: Value| json!({"metadata": {"a": 1, "temp_budget_increase": increase, "temp_budget_expiry": "2999-01-15"}});
    let key = owner.client.new_key(json!({"max_budget": 2})).await;
    assert_eq!(update(&owner, &key, inside(json!(1))).await.status, 403);
    let mut new = inside(json!(4));
    new["max_budget"] = json!(2);
    assert_eq!(
        refused_for(owner.client.post("/key/generate", new).await),
        (403, "max_budget".into())
    );

    // An admin's is read, checked and kept as the fields are, and its echo is no change.
    let ask = async |mut body: Value| {
        body["key"] = key["key"].clone();
        master.post("/key/update", body).await
    };
    let kept = json!({"metadata": {"a": 1, "temp_budget_increase": 3.0, "temp_budget_expiry": "2999-01-15T00:00:00"}});
    assert_has(&ask(inside(json!(3))).await.ok(), &kept);
    let mut echo = kept.clone();
    echo["key_alias"] = json!("echoed");
    assert_has(&update(&owner, &key, echo).await.ok(), &kept);
    for wrong in [
        json!({"metadata": {"temp_budget_increase": 3}}),
        json!({"metadata": {"temp_budget_increase": 3, "temp_budget_expiry": "10d"}}),
        inside(json!("much")),
    ] {
        assert_eq!(ask(wrong).await.status, 422);
    }
    for over in [
        inside(json!(99)),
        json!({"temp_budget_increase": 99, "temp_budget_expiry": "2999-01-15"}),
        json!({"max_budget": 98}),
    ] {
        let message = "{'error': 'max_budget is over max limit set in config - user_value=101.0; max_value=100.0'}";
        assert_eq!(
            ask(over).await.refused(),
            error(400, "invalid_request_error", None, message)
        );
    }
    let mut new = inside(json!(99));
    new["max_budget"] = json!(2);
    assert_eq!(master.post("/key/generate", new).await.status, 400);
}

on_both!(a_key_leaves_its_team_for_its_owner_only, leaves_team);
async fn leaves_team(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let admin = api
        .person_with(json!({"user_role": "internal_user", "max_budget": 5}))
        .await;
    let id = team(&api, &[&admin], json!({"max_budget": 50})).await;
    let other_team = team(&api, &[&admin], json!({})).await;
    let service = master.new_key(json!({"team_id": id})).await;
    let of_nobody = json!({"team_id": id, "user_id": "nobody-yet"});
    let of_nobody = master.new_key(of_nobody).await;
    let out = json!({"team_id": null});
    let message = "{'error': 'Only proxy admins can set `team_id`.'}";
    for (key, to) in [
        (&service, out.clone()),
        (&service, json!({ "team_id": other_team })),
        (&of_nobody, out.clone()),
    ] {
        assert_eq!(
            update(&admin, key, to).await.refused(),
            error(403, "auth_error", None, message)
        );
    }
    let own = json!({"team_id": id, "max_budget": 6, "user_id": admin.id});
    let own = master.new_key(own).await;
    assert_eq!(
        refused_for(update(&admin, &own, out).await),
        (403, "max_budget".into()),
        "a personal key is held to its user's limits"
    );
    let within = json!({"team_id": null, "max_budget": 5});
    let moved = update(&admin, &own, within).await.ok();
    assert_eq!(moved["team_id"], Value::Null);
}

on_both!(a_key_makes_no_key_that_has_more_than_itself, own_key);
async fn own_key(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let person = api.person("internal_user").await;
    let limited = json!({"user_id": person.id, "models": ["gpt-4o", "claude-*"], "max_budget": 5, "budget_duration": "30d",
        "rpm_limit": 10, "tpm_limit": 1000, "max_parallel_requests": 2, "allowed_routes": ["management_routes"]});
    let limited = master.new_key(limited).await;
    let limited = Person {
        id: person.id.clone(),
        client: api.client(Some(text(&limited, "key"))),
    };
    let of_caller = json!({"models": ["gpt-4o", "claude-*"], "max_budget": 5.0, "budget_duration": "30d",
        "rpm_limit": 10, "tpm_limit": 1000, "max_parallel_requests": 2, "allowed_routes": ["management_routes"]});
    let filled = limited.client.new_key(json!({})).await;
    assert_has(&filled, &of_caller);
    let less = json!({"models": ["claude-opus"], "max_budget": 5, "rpm_limit": 10, "key_type": "management"});
    limited.client.new_key(less).await;

    // The person's own key is not limited, so the same key of the same person may be changed by the one and not by the other.
    let open = person.client.new_key(json!({})).await;
    for (param, body) in [
        ("models", json!({"models": ["gpt-4"]})),
        ("models", json!({"models": ["all-team-models"]})),
        ("rpm_limit", json!({"rpm_limit": 11})),
        ("tpm_limit", json!({"tpm_limit": 1001})),
        ("max_parallel_requests", json!({"max_parallel_requests": 3})),
        ("allowed_routes", json!({"allowed_routes": ["info_routes"]})),
    ] {
        let made = limited.client.post("/key/generate", body.clone()).await;
        assert_eq!(refused_for(made), (403, param.into()), "{body}");
        let changed = update(&limited, &open, body.clone()).await;
        assert_eq!(refused_for(changed), (403, param.into()), "{body}");
    }
    for (param, body) in [
        ("max_budget", json!({"max_budget": 5.01})),
        ("allowed_routes", json!({"key_type": "llm_api"})),
        ("budget_duration", json!({"budget_duration": "1d"})),
        (
            "budget_duration",
            json!({"max_budget": 5, "budget_duration": "1h"}),
        ),
    ] {
        let made = limited.client.post("/key/generate", body.clone()).await;
        assert_eq!(refused_for(made), (403, param.into()), "{body}");
    }
    // What is not touched stays; what is cleared falls back to the caller's limit.
    let renamed = update(&limited, &open, json!({"key_alias": "renamed"}));
    assert_eq!(renamed.await.ok()["rpm_limit"], Value::Null);
    update(&person, &open, json!({"rpm_limit": 100})).await.ok();
    let cleared = update(&limited, &open, json!({"rpm_limit": null})).await;
    assert_eq!(cleared.ok()["rpm_limit"], 10);
}

on_both!(a_teams_key_makes_keys_of_its_team_only, team_key);
async fn team_key(database: Database) {
    let api = Api::start(database).await;
    let admin = api.person("internal_user").await;
    let id = team(&api, &[&admin], json!({"models": ["gpt-4o"]})).await;
    let other = team(&api, &[&admin], json!({})).await;
    let of_team = json!({"team_id": id, "models": ["all-team-models"]});
    let of_team = admin.client.new_key(of_team).await;
    let of_team = Person {
        id: admin.id.clone(),
        client: api.client(Some(text(&of_team, "key"))),
    };
    let made = of_team.client.new_key(json!({})).await;
    assert_has(
        &made,
        &json!({"team_id": id, "models": ["all-team-models"]}),
    );
    of_team.client.new_key(json!({"models": ["gpt-4o"]})).await;
    let foreign = json!({ "team_id": other });
    assert_eq!(
        refused_for(of_team.client.post("/key/generate", foreign.clone()).await),
        (403, "team_id".into())
    );
    let foreign = admin.client.new_key(foreign).await;
    let personal = admin.client.new_key(json!({})).await;
    for key in [&foreign, &personal] {
        assert_eq!(
            refused_for(update(&of_team, key, json!({"rpm_limit": 1})).await),
            (403, "team_id".into())
        );
    }
    update(&of_team, &made, json!({"rpm_limit": 1})).await.ok();
}

on_both!(
    a_shared_budget_is_an_admins_to_name_and_change,
    shared_budget
);
async fn shared_budget(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user = api.person("internal_user").await;
    let of_admin = master.new_key(json!({"soft_budget": 5})).await;
    let named = &of_admin["budget_id"];
    let admins = |field: &str| {
        let message = format!("{{'error': 'Only proxy admins can set `{field}`.'}}");
        error(403, "auth_error", None, &message)
    };
    for id in [named, &json!("there-is-none")] {
        for body in [
            json!({ "budget_id": id }),
            json!({"budget_id": id, "soft_budget": 1}),
        ] {
            let answer = user.client.post("/key/generate", body).await;
            assert_eq!(answer.refused(), admins("budget_id"));
        }
    }
    let own = user.client.new_key(json!({"soft_budget": 2})).await;
    let own = &own["budget_id"];
    user.client.new_key(json!({ "budget_id": own })).await;
    let change = json!({"budget_id": own, "soft_budget": 3});
    assert_eq!(
        user.client.post("/key/generate", change).await.refused(),
        admins("soft_budget")
    );
}

on_both!(
    a_soft_budget_and_a_limit_of_one_budget_change_together,
    one_column
);
async fn one_column(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let team = json!({"team_member_budget": 10, "team_member_rpm_limit": 1000});
    let team = master.post("/team/new", team).await.ok();
    let shared = &team["metadata"]["team_member_budget_id"];
    let key = master.new_key(json!({ "budget_id": shared })).await;
    for round in 1..=20 {
        let limit = json!({"team_id": team["team_id"], "team_member_rpm_limit": round});
        let soft = json!({"key": key["key"], "soft_budget": round});
        let (limit, soft) = tokio::join!(
            master.post("/team/update", limit),
            master.post("/key/update", soft)
        );
        limit.ok();
        soft.ok();
        let info = format!("/key/info?key={}", text(&key, "token"));
        let info = master.get(&info).await.ok();
        assert_has(
            &info["info"]["litellm_budget_table"],
            &json!({"max_budget": 10.0, "rpm_limit": round, "soft_budget": f64::from(round)}),
        );
    }
}

on_both!(
    a_team_admin_adds_known_users_and_learns_only_who_they_are,
    adds_members
);
async fn adds_members(database: Database) {
    let api = Api::start(database).await;
    let admin = api.person("internal_user").await;
    let id = team(&api, &[&admin], json!({})).await;
    let joins = json!({"user_role": "internal_user", "user_email": "joins@x.com", "max_budget": 7,
        "metadata": {"secret": 1}});
    let joins = api.person_with(joins).await;
    let add = async |who: Value| {
        let body = json!({"team_id": id, "member": who});
        admin.client.post("/team/member_add", body).await
    };
    let added = add(json!({"role": "user", "user_email": "joins@x.com"})).await;
    assert_eq!(
        added.ok()["updated_users"],
        json!([{"user_id": joins.id, "user_email": "joins@x.com"}])
    );
    for (who, named) in [
        (json!({"role": "user", "user_id": "unknown"}), "unknown"),
        (
            json!({"role": "user", "user_email": "unknown@x.com"}),
            "unknown@x.com",
        ),
    ] {
        let message = format!("User {named} not found");
        let refused = add(who).await.refused();
        assert_eq!(refused, error(404, "invalid_request_error", None, &message));
    }
    let unknown = api.master().get("/user/info?user_id=unknown").await;
    assert_eq!(unknown.status, 404);
}
