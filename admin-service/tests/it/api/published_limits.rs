//! Limits beyond one budget and its rates: what requests may say, and what of it the filter is told.

use contract::id::{TeamId, UserId};
use contract::limits::{Budget, Limits};
use contract::records::{Record, Versioned};
use contract::redis_key::{self, Partition, RecordId};
use contract::window::BudgetWindow;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::domain::budget_window::WindowRules;
use tollkeeper_admin::store::refresh::refresh;

use super::clients::{Api, ONE_MODEL};
use super::publication::{key_record, wait_until_published};
use crate::on_both;
use crate::support::database::Database;

async fn limits(api: &Api, id: &RecordId) -> Limits {
    let stored = api.redis.get(&redis_key::record(Partition(0), id)).await;
    let record = Versioned::<Record>::decode(&stored.expect("a record")).expect("a record");
    match record.value {
        Record::User(user) => user.limits,
        Record::Team(team) => team.limits,
        Record::Member(member) => member.limits,
        other => panic!("{other:?}"),
    }
}

fn cents(budget: &Budget) -> u64 {
    budget.max.get() / 10_000_000
}

fn everything() -> Value {
    json!({
        "budget_limits": [{"budget_duration": "1h", "max_budget": 1}, {"budget_duration": "1mo", "max_budget": 20.5}],
        "model_rpm_limit": {"gpt-4o": 3},
        "model_tpm_limit": {"gpt-4o": 900},
        "model_max_budget": {"gpt-4o": {"budget_limit": 0.25, "time_period": "1d"}, "gpt-*": {"max_budget": "2"}},
    })
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn assert_everything(limits: &Limits) {
    assert_eq!(cents(&limits.windows["1h"]), 100);
    assert!(matches!(
        limits.windows["1h"].window,
        BudgetWindow::Fixed {
            every_ms: 3_600_000,
            ..
        }
    ));
    assert_eq!(cents(&limits.windows["1mo"]), 2_050);
    assert!(matches!(
        limits.windows["1mo"].window,
        BudgetWindow::Calendar(_)
    ));
    let model = &limits.models["gpt-4o"];
    assert_eq!((model.rpm, model.tpm), (Some(3), Some(900)));
    assert_eq!(cents(model.budget.as_ref().unwrap()), 25);
    let pattern = &limits.models["gpt-*"];
    assert_eq!((pattern.rpm, pattern.tpm), (None, None));
    assert_eq!(
        pattern.budget.as_ref().unwrap().window,
        BudgetWindow::Lifetime
    );
}

on_both!(
    windows_and_models_of_a_key_a_user_and_a_team_are_published,
    published
);
async fn published(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let all = everything();
    let key = master
        .post("/key/generate", with(json!({"tags": ["a", "b"]}), &all))
        .await;
    assert_eq!(key.header("x-tollkeeper-unenforced-fields"), None);
    let key = key.ok();
    let found = key_record(&api, &key).await.value;
    assert_everything(&found.limits);
    assert_eq!(found.tags, ["a", "b"]);
    master
        .post("/user/new", with(json!({"user_id": "u"}), &all))
        .await
        .ok();
    assert_everything(&limits(&api, &RecordId::user(&UserId::new("u"))).await);
    master
        .post("/team/new", with(json!({"team_id": "t"}), &all))
        .await
        .ok();
    assert_everything(&limits(&api, &RecordId::team(&TeamId::new("t"))).await);

    let cleared = json!({"key": key["key"], "budget_limits": null, "model_max_budget": null, "model_rpm_limit": null,
        "model_tpm_limit": null});
    master.post("/key/update", cleared).await.ok();
    assert_eq!(key_record(&api, &key).await.value.limits, Limits::default());
}

on_both!(limits_of_models_in_metadata_bind_as_well, in_metadata);
async fn in_metadata(database: Database) {
    let api = Api::start(database).await;
    let metadata = json!({"metadata": {"model_rpm_limit": {"gpt-4o": 2}, "tags": ["x"]}});
    let key = api.master().new_key(metadata).await;
    let found = key_record(&api, &key).await.value;
    assert_eq!(found.limits.models["gpt-4o"].rpm, Some(2));
    assert_eq!(found.tags, ["x"]);
}

on_both!(a_budget_row_limits_models_of_its_keys, shared);
async fn shared(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let row = json!({"budget_id": "b", "model_max_budget": {"gpt-4o": {"max_budget": 1}, "o1": {"max_budget": 2}}});
    master.post("/budget/new", row).await.ok();
    let own = json!({"budget_id": "b", "model_max_budget": {"o1": {"max_budget": 5}}});
    let key = master.new_key(own).await;
    let models = key_record(&api, &key).await.value.limits.models;
    let of = |model: &str| models[model].budget.as_ref().map(cents);
    assert_eq!((of("gpt-4o"), of("o1")), (Some(100), Some(500)));
    let changed = json!({"budget_id": "b", "model_max_budget": {"gpt-4o": {"max_budget": 3}}});
    master.post("/budget/update", changed).await.ok();
    let models = key_record(&api, &key).await.value.limits.models;
    assert_eq!(models["gpt-4o"].budget.as_ref().map(cents), Some(300));
}

on_both!(a_limit_that_means_nothing_is_refused_and_named, refused);
async fn refused(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    for (body, loc) in [
        (
            json!({"budget_limits": [{"max_budget": 1}]}),
            json!(["body", "budget_limits", 0, "budget_duration"]),
        ),
        (
            json!({"model_rpm_limit": {"7": "many"}}),
            json!(["body", "model_rpm_limit", "7"]),
        ),
        (
            json!({"model_max_budget": {"m": {"max_budget": -1}}}),
            json!(["body", "model_max_budget", "m", "max_budget"]),
        ),
        (
            json!({"metadata": {"model_tpm_limit": {"m": []}}}),
            json!(["body", "metadata", "model_tpm_limit", "m"]),
        ),
    ] {
        for route in ["/key/generate", "/user/new", "/team/new"] {
            let answer = master.post(route, body.clone()).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["detail"][0]["loc"]),
                (422, &loc),
                "{route} {body}"
            );
        }
    }
}

on_both!(
    a_calendar_of_a_further_window_is_published_anew_before_it_runs_short,
    calendar
);
async fn calendar(database: Database) {
    let start = 1_795_417_796_000_000;
    let clock = Clock::manual(start);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let windows = json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 1}]});
    let key = api.master().new_key(windows).await;
    let ahead = async |now_us: u64| {
        let windows = key_record(&api, &key).await.value.limits.windows;
        let BudgetWindow::Calendar(boundaries) = &windows["1d"].window else {
            panic!()
        };
        boundaries.iter().filter(|at| **at > now_us / 1_000).count()
    };
    let store = &api.service.app().store;
    for day in 0..40_u64 {
        let now = start + day * 86_400_000_000;
        clock.set_us(now);
        refresh(store, &WindowRules::default()).await.unwrap();
        wait_until_published(&api).await;
        assert!(ahead(now).await >= 8, "day {day}");
    }
}

on_both!(
    what_a_member_may_spend_in_an_organization_binds_all_their_keys_there,
    in_organization
);
async fn in_organization(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let (person, other) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let organization = json!({"organization_id": "o", "organization_alias": "o", "max_budget": 50});
    master.post("/organization/new", organization).await.ok();
    let members = json!([{"role": "user", "user_id": person.id}]);
    let team = json!({"team_id": "t", "organization_id": "o", "members_with_roles": members});
    master.post("/team/new", team).await.ok();
    let owned = json!({"user_id": person.id});
    let [own, of_team, outside, others] = [
        with(owned.clone(), &json!({"organization_id": "o"})),
        with(owned.clone(), &json!({"team_id": "t"})),
        owned,
        json!({"user_id": other.id, "organization_id": "o"}),
    ];
    let own = master.new_key(own).await;
    let of_team = master.new_key(of_team).await;
    let outside = master.new_key(outside).await;
    let others = master.new_key(others).await;
    let bound = async |key: &Value| {
        let limits = key_record(&api, key).await.value.organization_member;
        limits.and_then(|limits| limits.budget.as_ref().map(cents))
    };
    assert_eq!(bound(&own).await, None);

    let add = json!({"organization_id": "o", "member": {"role": "internal_user", "user_id": person.id},
        "max_budget_in_organization": 5});
    let added = master.post("/organization/member_add", add).await;
    assert_eq!(added.header("x-tollkeeper-warning"), None);
    let added = added.ok();
    assert_eq!(bound(&own).await, Some(500));
    assert_eq!(bound(&of_team).await, Some(500));
    assert_eq!((bound(&outside).await, bound(&others).await), (None, None));
    let later = json!({"user_id": person.id, "team_id": "t"});
    let later = master.new_key(later).await;
    assert_eq!(bound(&later).await, Some(500));

    let more =
        json!({"organization_id": "o", "user_id": person.id, "max_budget_in_organization": 7});
    master.patch("/organization/member_update", more).await.ok();
    assert_eq!(bound(&of_team).await, Some(700));
    let row = &added["updated_organization_memberships"][0]["budget_id"];
    let windowed = json!({"budget_id": row, "max_budget": 8, "budget_duration": "1mo"});
    master.post("/budget/update", windowed).await.ok();
    let limits = key_record(&api, &own).await.value.organization_member;
    assert!(matches!(
        limits.unwrap().budget.unwrap().window,
        BudgetWindow::Calendar(_)
    ));
    let gone = json!({"organization_id": "o", "user_id": person.id});
    master
        .delete("/organization/member_delete", gone)
        .await
        .ok();
    assert_eq!((bound(&own).await, bound(&later).await), (None, None));
}

on_both!(
    an_admin_of_an_organization_gives_no_member_more_than_it_has,
    within_organization
);
async fn within_organization(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let admin = api.person("internal_user").await;
    let organization = json!({"organization_id": "o", "organization_alias": "o", "max_budget": 50});
    master.post("/organization/new", organization).await.ok();
    let add = json!({"organization_id": "o", "member": {"role": "org_admin", "user_id": admin.id}});
    master.post("/organization/member_add", add).await.ok();
    let give = |budget: u64| {
        json!({"organization_id": "o", "member": {"role": "internal_user", "user_id": format!("u{budget}")},
            "max_budget_in_organization": budget})
    };
    let (status, refused) = admin
        .client
        .post("/organization/member_add", give(51))
        .await
        .refused();
    assert_eq!(
        (status, &refused["error"]["param"]),
        (403, &json!("max_budget"))
    );
    let given = admin
        .client
        .post("/organization/member_add", give(50))
        .await;
    given.ok();
    master.post("/organization/member_add", give(51)).await.ok();
}

on_both!(
    a_members_temporary_increase_is_published_and_taken_back,
    temporary_of_member
);
async fn temporary_of_member(database: Database) {
    let start = 1_795_417_796_000_000;
    let clock = Clock::manual(start);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let master = api.master();
    let (admin, user) = (
        api.person("internal_user").await,
        api.person("internal_user").await,
    );
    let members =
        json!([{"role": "admin", "user_id": admin.id}, {"role": "user", "user_id": user.id}]);
    let team = json!({"team_id": "t", "members_with_roles": members, "max_budget": 5, "team_member_budget": 1});
    master.post("/team/new", team).await.ok();
    let member = RecordId::member(&TeamId::new("t"), &UserId::new(user.id.as_str()));
    let max = async || {
        let limits = limits(&api, &member).await;
        let raise = limits.raise.map_or(0, |raise| raise.by.get() / 10_000_000);
        cents(limits.budget.as_ref().unwrap()) + raise
    };
    let asked = |more: Value| with(json!({"team_id": "t", "user_id": user.id}), &more);
    let raise = asked(json!({"temp_budget_increase": 2.5, "temp_budget_expiry": "2026-11-24"}));
    let raised = master.post("/team/member_update", raise).await;
    assert_eq!(raised.header("x-tollkeeper-unenforced-fields"), None);
    let raised = raised.ok();
    assert_eq!(raised["temp_budget_increase"], 2.5);
    assert_eq!(max().await, 350);
    let info = master.get("/team/info?team_id=t").await.ok();
    let memberships = info["team_memberships"].as_array().unwrap().clone();
    let shown = memberships
        .into_iter()
        .find(|of| of["user_id"] == user.id.as_str());
    let row = shown.unwrap()["litellm_budget_table"].clone();
    assert_eq!(
        (
            &row["max_budget"],
            &row["temp_budget_increase"],
            &row["temp_budget_expiry"]
        ),
        (&json!(1.0), &json!(2.5), &json!("2026-11-24T00:00:00Z")),
        "{row}"
    );
    // The team's admin gives no more than the team has, increase included; one of the two fields alone means nothing.
    let beyond = asked(json!({"temp_budget_increase": 4.5, "temp_budget_expiry": "2026-11-24"}));
    let refused = admin.client.post("/team/member_update", beyond).await;
    assert_eq!(refused.status, 403);
    let alone = asked(json!({"temp_budget_increase": 1}));
    assert_eq!(
        master.post("/team/member_update", alone).await.refused(),
        (
            422,
            json!({"detail": [{"type": "value_error", "loc": ["body"],
                "msg": "Value error, temp_budget_increase and temp_budget_expiry must be set together"}]})
        )
    );
    // Another change leaves it, and its end takes it back.
    master
        .post("/team/member_update", asked(json!({"rpm_limit": 9})))
        .await
        .ok();
    assert_eq!(max().await, 350);
    clock.set_us(start + 86_400_000_000);
    refresh(&api.service.app().store, &WindowRules::default())
        .await
        .unwrap();
    wait_until_published(&api).await;
    assert_eq!(max().await, 100);

    let again = asked(json!({"temp_budget_increase": 1, "temp_budget_expiry": "2026-12-24"}));
    master.post("/team/member_update", again).await.ok();
    assert_eq!(max().await, 200);
    let cleared = asked(json!({"temp_budget_increase": null, "temp_budget_expiry": null}));
    master.post("/team/member_update", cleared).await.ok();
    assert_eq!(max().await, 100);
}

on_both!(
    budgets_of_models_for_a_teams_members_bind_each_of_them,
    models_of_members
);
async fn models_of_members(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user = api.person("internal_user").await;
    let models = json!({"gpt-4o": {"budget_limit": 0.25, "time_period": "1d"}});
    let team = json!({"team_id": "t", "members_with_roles": [{"role": "user", "user_id": user.id}],
        "team_member_model_max_budget": models});
    let made = master.post("/team/new", team).await;
    assert_eq!(made.header("x-tollkeeper-unenforced-fields"), None);
    made.ok();
    let member = RecordId::member(&TeamId::new("t"), &UserId::new(user.id.as_str()));
    let of = async || {
        let models = limits(&api, &member).await.models;
        models
            .get("gpt-4o")
            .and_then(|of| of.budget.as_ref())
            .map(cents)
    };
    assert_eq!(of().await, Some(25));
    // Another change of the shared limits leaves them.
    let update = json!({"team_id": "t", "team_member_budget": 3});
    master.post("/team/update", update).await.ok();
    assert_eq!(of().await, Some(25));
    let info = master.get("/team/info?team_id=t").await.ok();
    let shared = &info["team_info"]["team_member_budget_table"];
    assert_eq!(shared["model_max_budget"], models, "{info}");
    let cleared = json!({"team_id": "t", "team_member_model_max_budget": null});
    master.post("/team/update", cleared).await.ok();
    assert_eq!(of().await, None);
    let wrong = json!({"team_id": "t", "team_member_model_max_budget": {"m": {"max_budget": -1}}});
    let (status, refused) = master.post("/team/update", wrong).await.refused();
    assert_eq!(
        (status, &refused["detail"][0]["loc"]),
        (
            422,
            &json!(["body", "team_member_model_max_budget", "m", "max_budget"])
        )
    );
}
