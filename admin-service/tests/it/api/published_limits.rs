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
