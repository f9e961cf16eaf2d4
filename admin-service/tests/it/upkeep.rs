//! What keeps the ledger in order: comparing it with itself, forgetting old rows, marking budgets that are nearly spent.

use contract::id::{CustomerId, OrganizationId};
use contract::redis_key::{self, RecordId};
use contract::spend_event::{ChargedScope, SpendBody};
use contract::window::BudgetWindow;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tollkeeper_admin::ledger::Retention;
use tollkeeper_admin::settings::{FileSettings, Live};
use tollkeeper_admin::store::Store;
use tollkeeper_admin::store::spend::Difference;

use crate::on_both;
use crate::support::database::Database;
use crate::support::gateway::{P0, Worker};
use crate::support::redis::TestRedis;
use crate::support::rows::{Key, number, run, texts};
use crate::support::service::Service;
use crate::support::stream::Request;

fn between(differences: &[Difference]) -> Vec<&'static str> {
    let mut all: Vec<_> = differences.iter().map(|found| found.between).collect();
    all.sort_unstable();
    all.dedup();
    all
}

const BY_KEY: &str = "rows and daily sums by key";
const OVER_KEYS: &str = "rows and daily sums";
const TOTALS: &str = "rows and totals";
const SUMS: &str = "daily sums and totals";
const COUNTERS: &str = "scopes and counters in Redis";

/// A corruption, what mends it, and between which sides it shows.
type Corruption = (&'static str, &'static str, &'static [&'static str]);

const CORRUPTIONS: &[Corruption] = &[
    (
        "UPDATE spend_logs SET spend = spend + 1 WHERE spend = 700",
        "UPDATE spend_logs SET spend = spend - 1 WHERE spend = 701",
        &[OVER_KEYS, BY_KEY, TOTALS],
    ),
    (
        "UPDATE spend_logs SET request_tags = '[\"t2\"]' WHERE spend = 700",
        "UPDATE spend_logs SET request_tags = '[\"t1\"]' WHERE spend = 700",
        &[OVER_KEYS, BY_KEY],
    ),
    (
        "UPDATE daily_user_spend SET spend = spend + 1",
        "UPDATE daily_user_spend SET spend = spend - 1",
        &[BY_KEY],
    ),
    (
        "UPDATE daily_team_spend SET prompt_tokens = prompt_tokens + 1",
        "UPDATE daily_team_spend SET prompt_tokens = prompt_tokens - 1",
        &[BY_KEY],
    ),
    (
        "UPDATE daily_tag_spend SET api_requests = api_requests + 1",
        "UPDATE daily_tag_spend SET api_requests = api_requests - 1",
        &[BY_KEY],
    ),
    (
        "UPDATE daily_spend SET successful_requests = successful_requests - 1 WHERE kind = 'tag'",
        "UPDATE daily_spend SET successful_requests = successful_requests + 1 WHERE kind = 'tag'",
        &[OVER_KEYS],
    ),
    (
        "UPDATE spend_scopes SET total = total + 1 WHERE kind = 'member'",
        "UPDATE spend_scopes SET total = total - 1 WHERE kind = 'member'",
        &[TOTALS],
    ),
    (
        "UPDATE api_key_spend SET spend = spend - 1",
        "UPDATE api_key_spend SET spend = spend + 1",
        &[TOTALS],
    ),
    (
        "UPDATE spend_scopes SET spent = spent + 1 WHERE kind = 'key'",
        "UPDATE spend_scopes SET spent = spent - 1 WHERE kind = 'key'",
        &[COUNTERS],
    ),
];

/// Corrupts each side in the database in turn, where nothing but `known` differs.
async fn each_side(service: &Service, store: &Store, all: &[Corruption], known: &[Difference]) {
    for (corrupt, mend, expected) in all {
        run(store, corrupt).await;
        let mut found = service.ledger.reconcile().await.unwrap();
        found.retain(|found| !known.contains(found));
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(between(&found), expected, "{corrupt}: {found:?}");
        run(store, mend).await;
        assert_eq!(service.ledger.reconcile().await.unwrap(), known, "{mend}");
    }
}

/// The same of what organizations, customers and tags have spent.
const OTHERS_CORRUPTED: &[Corruption] = &[
    (
        "UPDATE spend_scopes SET total = total + 1 WHERE kind = 'organization'",
        "UPDATE spend_scopes SET total = total - 1 WHERE kind = 'organization'",
        &[SUMS],
    ),
    (
        "UPDATE spend_scopes SET total = total - 1 WHERE kind = 'customer'",
        "UPDATE spend_scopes SET total = total + 1 WHERE kind = 'customer'",
        &[SUMS],
    ),
    (
        "UPDATE spend_scopes SET total = total + 1 WHERE kind = 'scope'",
        "UPDATE spend_scopes SET total = total - 1 WHERE kind = 'scope'",
        &[TOTALS],
    ),
    (
        "UPDATE customers SET spend = spend + 1 WHERE user_id = 'c1'",
        "UPDATE customers SET spend = spend - 1 WHERE user_id = 'c1'",
        &[SUMS],
    ),
    (
        "UPDATE tags SET spend = spend - 1 WHERE tag_name = 'night'",
        "UPDATE tags SET spend = spend + 1 WHERE tag_name = 'night'",
        &[SUMS],
    ),
    (
        "UPDATE daily_spend SET spend = spend + 1 WHERE kind = 'organization'",
        "UPDATE daily_spend SET spend = spend - 1 WHERE kind = 'organization'",
        &[OVER_KEYS, SUMS],
    ),
    (
        "UPDATE spend_logs SET charged = REPLACE(charged, 'tag:', 'tog:')",
        "UPDATE spend_logs SET charged = REPLACE(charged, 'tog:', 'tag:')",
        &[TOTALS],
    ),
];

/// The organization, customer and tags of these tests' requests.
fn of_others(body: &mut SpendBody) {
    body.organization = Some(OrganizationId::new("o1"));
    body.end_user = Some("c1".to_owned());
    body.tags = vec!["night".to_owned(), "day".to_owned()];
    body.charged = vec![ChargedScope {
        id: RecordId::tag("night"),
        window: BudgetWindow::Lifetime,
    }];
}

on_both!(
    what_organizations_customers_and_tags_spent_is_compared,
    others
);
async fn others(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let (key, store) = (Key::new("one"), &database.store);
    key.write(store).await;
    let now_ms = store.clock().now_ms();
    for (id, cost) in [(1, 700), (2, 300)] {
        let request = Request::with_key(id, &key, now_ms, cost).with(of_others);
        request.put(&redis).await;
    }
    service.drain_all().await;
    // These requests were never admitted: Redis has counted nothing of them.
    let known = service.ledger.reconcile().await.unwrap();
    assert_eq!(between(&known), [COUNTERS], "{known:?}");
    each_side(&service, store, OTHERS_CORRUPTED, &known).await;
    run(store, OTHERS_CORRUPTED[0].0).await;
    let found = service.ledger.reconcile().await.unwrap();
    assert_eq!(
        found[0].to_string(),
        "daily sums and totals: organization \"o1\": spend: expected 1000, found 1001"
    );
}

on_both!(every_side_that_is_off_by_one_is_named, compared);
async fn compared(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        user: Some("ada".to_owned()),
        team: Some("o\"ps".to_owned()),
        max_budget: Some(1_000_000),
        budget_duration: Some("1mo"),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    service.publisher.watch_once().await.unwrap();
    let mut worker = Worker::new(&redis);
    worker.request(&key, 700).await;
    worker.request(&key, 300).await;
    service.drain_all().await;
    // One more waits on the stream, and one is admitted and not settled.
    worker.request(&key, 5).await;
    worker.admitted(&key, 50).await;
    let ledger = &service.ledger;
    assert_eq!(ledger.reconcile().await.unwrap(), []);
    assert_eq!(service.health.report().ledger_differences, Some(0));
    each_side(&service, &database.store, CORRUPTIONS, &[]).await;
    // The counter in Redis: its amount is the eight bytes after the tenth.
    let name = redis_key::scope(P0, &key.record());
    let header = redis.get(&name).await.unwrap();
    let mut wrong = header.clone();
    wrong[17] ^= 1;
    let set = |value: Vec<u8>| {
        let (link, name) = (redis.link.clone(), name.clone());
        async move {
            link.command(&[b"SET", name.as_bytes(), &value])
                .await
                .unwrap()
        }
    };
    set(wrong).await;
    let found = ledger.reconcile().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (
            found[0].between,
            found[0].scope.as_str(),
            found[0].expected,
            found[0].found
        ),
        (COUNTERS, "key \"one\"", 1_005, 1_004)
    );
    assert_eq!(service.health.report().ledger_differences, Some(1));
    redis.words(&format!("DEL {name}")).await;
    let found = ledger.reconcile().await.unwrap();
    assert_eq!((found.len(), found[0].found), (1, 0));
    set(header).await;
    assert_eq!(ledger.reconcile().await.unwrap(), []);
}

/// Settings as a file would give them.
fn settings(general: &Value) -> Live {
    let general: Map<String, Value> = general.as_object().expect("an object").clone();
    let file = FileSettings {
        general,
        ..FileSettings::default()
    };
    Live::of(file).expect("settings")
}

const DAY_MS: u64 = 86_400_000;

on_both!(old_rows_go_and_sums_and_totals_stay, retained);
async fn retained(database: Database) {
    const OLD: u64 = 1_200;
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        user: Some("ada".to_owned()),
        team: Some("ops".to_owned()),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    let store = &database.store;
    let now_ms = store.clock().now_ms();
    for id in 0..OLD {
        let request = Request::with_key(id + 1, &key, now_ms - 40 * DAY_MS, 3).with(of_others);
        request.put(&redis).await;
    }
    for id in 0..10 {
        let request = Request::with_key(OLD + id + 1, &key, now_ms - 5 * DAY_MS, 5);
        request.put(&redis).await;
    }
    service.drain_all().await;
    let (_stop, mut stop) = watch::channel(false);
    let retention = |general| Retention {
        store: store.clone(),
        settings: settings(&general),
        holder: "a".to_owned(),
    };
    // Without the setting nothing goes.
    assert_eq!(retention(json!({})).turn(&mut stop).await.unwrap(), 0);
    let month = retention(json!({"maximum_spend_logs_retention_period": "30d"}));
    assert_eq!(month.turn(&mut stop).await.unwrap(), OLD);
    assert_eq!(month.turn(&mut stop).await.unwrap(), 0);
    assert_eq!(number(store, "SELECT COUNT(*) FROM spend_logs").await, 10);
    for (sum, expected) in [
        (
            "SELECT CAST(SUM(spend) AS BIGINT) FROM daily_user_spend",
            3_650,
        ),
        (
            "SELECT CAST(SUM(spend) AS BIGINT) FROM daily_spend WHERE kind = 'all'",
            3_650,
        ),
        ("SELECT total FROM spend_scopes WHERE kind = 'team'", 3_650),
    ] {
        assert_eq!(number(store, sum).await, expected, "{sum}");
    }
    let differs = |differences: Vec<Difference>| {
        let rest = differences
            .into_iter()
            .filter(|found| found.between != COUNTERS);
        rest.collect::<Vec<_>>()
    };
    assert_eq!(differs(service.ledger.reconcile().await.unwrap()), []);
    // What is left is still compared.
    run(
        store,
        "UPDATE spend_scopes SET total = total + 1 WHERE kind = 'user'",
    )
    .await;
    assert_eq!(differs(service.ledger.reconcile().await.unwrap()).len(), 1);
    let wrong = FileSettings {
        general: json!({"maximum_spend_logs_retention_period": "1h"})
            .as_object()
            .unwrap()
            .clone(),
        ..FileSettings::default()
    };
    let said = Live::of(wrong).unwrap_err().to_string();
    assert!(
        said.contains("general_settings.maximum_spend_logs_retention_period"),
        "{said}"
    );
}

const MAILS: &str = "SELECT COUNT(*) FROM mail_events";
const SOFT: &str = "SELECT COUNT(*) FROM mail_events WHERE kind = 'soft_budget_crossed'";
const ALERTS: &str = "SELECT COUNT(*) FROM mail_events WHERE kind = 'budget_alert'";

on_both!(
    a_soft_budget_is_marked_once_a_window_and_a_share_once_a_day,
    marked
);
async fn marked(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        team: Some("ops".to_owned()),
        max_budget: Some(100),
        budget_duration: Some("1h"),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    let store = &database.store;
    run(
        store,
        "INSERT INTO budgets (budget_id, soft_budget, created_at, created_by, updated_at, updated_by) \
         VALUES ('b', 50, 1, 'x', 1, 'x')",
    )
    .await;
    run(store, "UPDATE virtual_keys SET budget_id = 'b'").await;
    // A full hour, long after the budget was given.
    let hour = 4_000_000_000_000 / 3_600_000 * 3_600_000;
    let at = |id, cost, settled_ms| Request {
        settled_ms: Some(settled_ms),
        ..Request::with_key(id, &key, settled_ms, cost)
    };
    at(1, 49, hour).put(&redis).await;
    service.drain_all().await;
    assert_eq!(number(store, MAILS).await, 0);
    // A crash between commit and trim: the same events again, by another service.
    at(2, 36, hour + 1).put(&redis).await;
    service.ledger.commit(&[P0], 100, None).await.unwrap();
    assert_eq!(
        (number(store, SOFT).await, number(store, ALERTS).await),
        (1, 1)
    );
    service.drain_all().await;
    at(3, 4, hour + 2).put(&redis).await;
    service.drain_all().await;
    assert_eq!(
        (number(store, SOFT).await, number(store, ALERTS).await),
        (1, 1)
    );
    assert_eq!(
        number(
            store,
            "SELECT threshold FROM budget_marks WHERE kind = 'key' AND mark = 'soft'"
        )
        .await,
        50
    );
    // The next window: the soft budget is told anew, the share was told today.
    at(4, 90, hour + 3_600_000).put(&redis).await;
    service.drain_all().await;
    assert_eq!(
        (number(store, SOFT).await, number(store, ALERTS).await),
        (2, 1)
    );
    // Another soft budget is another matter.
    run(store, "UPDATE budgets SET soft_budget = 60").await;
    at(5, 1, hour + 3_600_001).put(&redis).await;
    at(6, 1, hour + 3_600_002).put(&redis).await;
    service.drain_all().await;
    assert_eq!(
        (number(store, SOFT).await, number(store, ALERTS).await),
        (3, 1)
    );
    let mut connection = store.read().await.unwrap();
    let (payload,): (String,) = sqlx::query_as(
        "SELECT payload FROM mail_events WHERE kind = 'budget_alert' AND subject_id = 'one'",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload["spend"], "0.000000085");
    assert_eq!(
        (&payload["percent"], &payload["scope"]),
        (&json!(80), &json!("key"))
    );
}

on_both!(
    the_soft_budget_of_a_customer_and_of_a_tag_is_marked_once_a_window,
    customers_and_tags
);
async fn customers_and_tags(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key::new("one");
    let store = &database.store;
    key.write(store).await;
    let budget = |id: &str, max: &str, duration: &str| {
        format!(
            "INSERT INTO budgets (budget_id, soft_budget, max_budget, budget_duration, created_at, created_by, updated_at, \
             updated_by) VALUES ('{id}', 50, {max}, {duration}, 1, 'x', 1, 'x')"
        )
    };
    for statement in [
        budget("by-the-hour", "1000", "'1h'"),
        budget("for-ever", "NULL", "NULL"),
        "INSERT INTO customers (user_id, rev, record, blocked, models, budget_id, extra, created_at, updated_at) \
         VALUES ('ada', 1, 'r', 0, '[]', 'by-the-hour', '{}', 1, 1)"
            .to_owned(),
        "INSERT INTO tags (tag_name, made, models, budget_id, created_at, updated_at) \
         VALUES ('night', 1, '[]', 'by-the-hour', 1, 1), ('day', 1, '[]', 'for-ever', 1, 1)"
            .to_owned(),
    ] {
        run(store, &statement).await;
    }
    let hour = 4_000_000_000_000 / 3_600_000 * 3_600_000;
    let put = async |id: u64, cost: u64, settled_ms: u64| {
        let mut request = Request {
            settled_ms: Some(settled_ms),
            ..Request::with_key(id, &key, settled_ms, cost)
        };
        request.body.end_user = Some("ada".to_owned());
        request.body.tags = vec!["night".to_owned(), "day".to_owned(), "other".to_owned()];
        request.body.charged = vec![ChargedScope {
            id: RecordId::tag("night"),
            window: BudgetWindow::Fixed {
                anchor_ms: hour,
                every_ms: 3_600_000,
            },
        }];
        request.put(&redis).await;
        service.drain_all().await;
    };
    let marked = async || {
        let mut of = texts(
            store,
            "SELECT subject_id FROM mail_events WHERE kind = 'soft_budget_crossed'",
        )
        .await;
        of.sort();
        of
    };
    put(1, 49, hour).await;
    assert_eq!(marked().await, [""; 0]);
    put(2, 1, hour + 1).await;
    assert_eq!(marked().await, ["ada", "day", "night"]);
    put(3, 1, hour + 2).await;
    assert_eq!(marked().await, ["ada", "day", "night"]);
    // In the next window anew; what has no window is marked for ever.
    put(4, 49, hour + 3_600_000).await;
    assert_eq!(marked().await, ["ada", "day", "night"]);
    put(5, 2, hour + 3_600_001).await;
    assert_eq!(marked().await, ["ada", "ada", "day", "night", "night"]);
    let scopes = texts(
        store,
        "SELECT DISTINCT kind FROM budget_marks WHERE mark = 'soft' ORDER BY kind",
    )
    .await;
    assert_eq!(scopes, ["customer", "tag"]);
}

on_both!(
    the_default_budget_of_customers_is_marked_like_a_budget_of_their_own,
    defaulted_customers
);
async fn defaulted_customers(database: Database) {
    let redis = TestRedis::start().await;
    let mut service = Service::new("a", &database, &redis);
    let set = |settings: Value| {
        let litellm = settings.as_object().unwrap().clone();
        let file = FileSettings {
            litellm,
            ..FileSettings::default()
        };
        Live::of(file).unwrap()
    };
    let key = Key::new("one");
    let store = &database.store;
    key.write(store).await;
    for (id, soft, max) in [
        ("hourly", 50, "1000"),
        ("soft", 50, "NULL"),
        ("own", 70, "1000"),
    ] {
        let row = format!(
            "INSERT INTO budgets (budget_id, soft_budget, max_budget, budget_duration, created_at, created_by, updated_at, \
             updated_by) VALUES ('{id}', {soft}, {max}, '1h', 1, 'x', 1, 'x')"
        );
        run(store, &row).await;
    }
    run(
        store,
        "INSERT INTO customers (user_id, rev, record, blocked, models, budget_id, extra, created_at, updated_at) \
         VALUES ('ada', 1, 'r', 1, '[]', NULL, '{}', 1, 1), ('cy', 1, 's', 0, '[]', 'own', '{}', 1, 1)",
    )
    .await;
    let hour = 4_000_000_000_000 / 3_600_000 * 3_600_000;
    let put = async |service: &Service, id: u64, who: &str, cost: u64, settled_ms: u64| {
        let mut request = Request {
            settled_ms: Some(settled_ms),
            ..Request::with_key(id, &key, settled_ms, cost)
        };
        request.body.end_user = Some(who.to_owned());
        request.body.charged = vec![ChargedScope {
            id: RecordId::customer(&CustomerId::new(who)),
            window: BudgetWindow::Fixed {
                anchor_ms: hour,
                every_ms: 3_600_000,
            },
        }];
        request.put(&redis).await;
        service.drain_all().await;
    };
    let marked = async |select: &'static str| {
        let mut of = texts(store, select).await;
        of.sort();
        of
    };
    let soft = "SELECT subject_id FROM mail_events WHERE kind = 'soft_budget_crossed'";
    let share = "SELECT subject_id FROM mail_events WHERE kind = 'budget_alert'";

    put(&service, 1, "ada", 60, hour).await;
    assert_eq!(marked(soft).await, [""; 0], "no default, no mark");
    service.ledger.settings = set(json!({"max_end_user_budget_id": "hourly"}));
    // In the next window they begin with nothing, however much they spent before.
    let next = hour + 3_600_000;
    for (at, who) in ["ada", "bob", "cy"].into_iter().enumerate() {
        put(&service, 2 + at as u64, who, 49, next).await;
    }
    assert_eq!(marked(soft).await, [""; 0]);
    for (at, who) in ["ada", "bob", "cy"].into_iter().enumerate() {
        put(&service, 5 + at as u64, who, 2, next + 1).await;
    }
    let both = ["ada", "bob"];
    assert_eq!(
        marked(soft).await,
        both,
        "who has a row of their own goes by that"
    );
    put(&service, 8, "bob", 1, next + 2).await;
    assert_eq!(marked(soft).await, both, "once a window");
    put(&service, 9, "bob", 50, next + 3_600_000).await;
    assert_eq!(marked(soft).await, ["ada", "bob", "bob"]);

    // A default that limits nothing is marked by all that was ever spent.
    service.ledger.settings = set(json!({"max_end_user_budget_id": "soft"}));
    put(&service, 10, "dot", 30, next + 7_200_000).await;
    put(&service, 11, "dot", 30, next + 10_800_000).await;
    assert_eq!(marked(soft).await, ["ada", "bob", "bob", "dot"]);

    // An amount without a row has no soft budget, but a share that is told.
    let before = marked(share).await;
    service.ledger.settings = set(json!({"max_end_user_budget": 0.000_000_1}));
    put(&service, 12, "eve", 85, next + 14_400_000).await;
    let told = marked(share).await;
    assert_eq!(told.len(), before.len() + 1);
    assert!(told.contains(&"eve".to_owned()), "{told:?}");
}

on_both!(addresses_of_shares_come_from_the_key, shares);
async fn shares(database: Database) {
    let redis = TestRedis::start().await;
    let service = Service::new("a", &database, &redis);
    let key = Key {
        max_budget: Some(100),
        ..Key::new("one")
    };
    key.write(&database.store).await;
    let store = &database.store;
    run(
        store,
        "UPDATE virtual_keys SET metadata = '{\"max_budget_alert_emails\": {\"50\": [\"a@x.com\"], \"90\": [\"b@x.com\"]}}'",
    )
    .await;
    let now_ms = store.clock().now_ms();
    Request::with_key(1, &key, now_ms, 85).put(&redis).await;
    service.drain_all().await;
    assert_eq!(number(store, MAILS).await, 1);
    Request::with_key(2, &key, now_ms, 10).put(&redis).await;
    service.drain_all().await;
    assert_eq!(number(store, ALERTS).await, 2);
    // What is spent is told by the refusals.
    Request::with_key(3, &key, now_ms, 10).put(&redis).await;
    service.drain_all().await;
    assert_eq!(number(store, MAILS).await, 2);
}
