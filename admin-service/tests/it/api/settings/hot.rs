//! The snapshot of settings: from the file and from the database, of this service and of others, without a restart.

use std::path::Path;
use std::sync::Arc;

use contract::window::BudgetWindow;
use reqwest::Method;
use serde_json::json;
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::config::{Config, Environment, Options};
use tollkeeper_admin::serve::Service;
use tollkeeper_admin::settings::Settings;

use crate::api::clients::{Api, MASTER, ONE_MODEL};
use crate::api::publication::{key_record, wait_until_published};
use crate::on_both;
use crate::support::database::Database;
use crate::support::redis::TestRedis;

/// A service whose configuration is a file on disk.
async fn with_file(database: &Database, redis: &TestRedis, file: &Path) -> Service {
    let options = Options {
        config: Some(file.to_owned()),
        database: Some(database.url.clone()),
        redis: Some(redis.server.url()),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        master_key: Some(MASTER.to_owned()),
        ..Options::default()
    };
    let config = Config::load(&options, Environment::default()).unwrap();
    Service::start(config, Clock::System).await.unwrap()
}

fn write(file: &Path, litellm: &str) {
    // As an editor or a ConfigMap does it: the file is never half there.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{ONE_MODEL}litellm_settings: {litellm}\n")).unwrap();
    std::fs::rename(&new, file).unwrap();
}

async fn until(api: &Api, wanted: impl Fn(&Settings) -> bool) -> Arc<Settings> {
    let mut changes = api.service.app().live.changes();
    let found = changes.wait_for(|settings| wanted(settings));
    let found = tokio::time::timeout(std::time::Duration::from_secs(10), found).await;
    Arc::clone(&found.expect("the settings change").unwrap())
}

on_both!(a_changed_file_is_in_force_without_a_restart, file);
async fn file(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    write(
        &path,
        "{ upperbound_key_generate_params: { max_budget: 100 } }",
    );
    let redis = TestRedis::start().await;
    let service = with_file(&database, &redis, &path).await;
    let api = Api::of(service, redis, database).await;
    let key = json!({"max_budget": 100, "budget_duration": "1d"});
    let key = api.master().new_key(key).await;
    let utc = calendar(&api, &key).await;
    assert!(utc.iter().all(|at| at % 86_400_000 == 0));

    write(
        &path,
        "{ upperbound_key_generate_params: { max_budget: 50 }, timezone: Asia/Tokyo, budget_reset_time: '03:00' }",
    );
    until(&api, |settings| {
        settings.windows.timezone.name() == "Asia/Tokyo"
    })
    .await;
    let master = api.master();
    let above = master.post("/key/generate", json!({"max_budget": 51}));
    assert_eq!(above.await.refused().0, 400, "the new bound holds");
    let mut published = api.service.app().store.changes();
    let mut tokyo = utc.clone();
    while tokyo == utc {
        wait_until_published(&api).await;
        tokyo = calendar(&api, &key).await;
        if tokyo == utc {
            published.changed().await.unwrap();
        }
    }
    assert_eq!(
        tokyo[..2],
        utc[..2],
        "the window that had begun goes on to its own end"
    );
    let to_come = tokyo.iter().skip(2);
    assert!(
        to_come.clone().count() >= 8 && to_come.clone().all(|at| at % 86_400_000 == 64_800_000),
        "from then on budgets start anew when it is 03:00 in Tokyo, 18:00 UTC: {tokyo:?}"
    );
    let info = format!("/key/info?key={}", key["token"].as_str().unwrap());
    let shown = master.get(&info).await.ok();
    let reset = chrono::DateTime::from_timestamp_millis(i64::try_from(utc[1]).unwrap()).unwrap();
    assert_eq!(shown["info"]["budget_reset_at"], reset.to_rfc3339());
    write(
        &path,
        "{ upperbound_key_generate_params: { max_budget: 50, rpm_limit: 3 } }",
    );
    let now = until(&api, |settings| settings.key_bounds.rpm_limit == Some(3)).await;
    assert_eq!(
        now.windows.timezone.name(),
        "UTC",
        "what the file no longer says is over"
    );
}

async fn calendar(api: &Api, key: &serde_json::Value) -> Vec<u64> {
    let record = key_record(api, key).await;
    match record.value.limits.budget.unwrap().window {
        BudgetWindow::Calendar(boundaries) => boundaries,
        other => panic!("expected a calendar, found {other:?}"),
    }
}

on_both!(
    the_header_of_keys_counts_here_and_is_published_when_the_file_names_it,
    key_header
);
async fn key_header(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    write(&path, "{}");
    let redis = TestRedis::start().await;
    let service = with_file(&database, &redis, &path).await;
    let api = Api::of(service, redis, database).await;
    let ask = async |header: &str| {
        let headers = [(header, MASTER)];
        let client = api.anonymous();
        let answer = client.call_with(Method::GET, "/key/list", None, &headers);
        answer.await.status.as_u16()
    };
    assert_eq!([ask("x-api-key").await, ask("x-my-key").await], [200, 401]);
    let text = format!("{ONE_MODEL}general_settings: {{ litellm_key_header_name: X-My-Key }}\n");
    // From before the change, so that none of what it writes is missed.
    let mut changes = api.service.app().store.changes();
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, &path).unwrap();
    until(&api, |settings| settings.proxy.key_header.is_some()).await;
    assert_eq!([ask("x-api-key").await, ask("x-my-key").await], [401, 200]);
    loop {
        wait_until_published(&api).await;
        let told = crate::api::tags::settings(&api).await.key_header;
        if told.as_deref() == Some("x-my-key") {
            break;
        }
        changes.changed().await.unwrap();
    }
}

on_both!(a_file_that_became_wrong_changes_nothing, wrong);
async fn wrong(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    write(&path, "{ budget_exceeded_status_code: 429 }");
    let redis = TestRedis::start().await;
    let service = with_file(&database, &redis, &path).await;
    let api = Api::of(service, redis, database).await;
    let mut source = api.service.app().config.source.clone().unwrap();
    assert!(source.changed().is_none(), "nothing has changed yet");
    write(&path, "{ budget_exceeded_status_code: 200 }");
    let error = source.changed().unwrap().unwrap_err();
    assert_eq!(error.path, "litellm_settings.budget_exceeded_status_code");
    assert!(source.changed().is_none(), "a file is read once");
    let status = api.service.app().settings().proxy.budget_exceeded_status;
    assert_eq!(status, 429);
    // Right again, with another value: so the service did look at it, and is alive.
    write(&path, "{ budget_exceeded_status_code: 401 }");
    until(&api, |settings| {
        settings.proxy.budget_exceeded_status == 401
    })
    .await;
    let name = contract::redis_key::settings(contract::redis_key::Partition(0));
    let mut published = api.service.app().store.changes();
    loop {
        wait_until_published(&api).await;
        let shown = api.redis.get(&name).await.unwrap();
        if String::from_utf8(shown).unwrap().contains("401") {
            break;
        }
        published.changed().await.unwrap();
    }
}
