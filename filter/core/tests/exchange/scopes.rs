//! Everything besides the key that a request may be limited by: which of it binds, in which words it refuses, and that a refusal by one limit
//! takes nothing from another.

use contract::id::{CustomerId, OrganizationId, TeamId, UserId};
use contract::limits::{Budget, Limits, ModelLimits, Raise};
use contract::money::NanoUsd;
use contract::records::{CustomerRecord, ModelRecord, OrganizationRecord, ProxySettings, Record};
use contract::redis_key::RecordId;
use contract::window::BudgetWindow;
use filter_core::event::Headers;
use filter_core::metric::Metric;
use serde_json::Value;

use crate::world::*;

/// A world with these settings beside the usual models.
fn with_settings(settings: &ProxySettings) -> World {
    let mut world = World::new();
    world.key(KEY, |_| ());
    world.settings(settings);
    world.raise_catalogue();
    world
}

fn of_model(model: &str, limits: ModelLimits) -> Limits {
    Limits {
        models: [(model.to_owned(), limits)].into(),
        ..Limits::default()
    }
}

fn model_rpm(rpm: u32) -> ModelLimits {
    ModelLimits {
        rpm: Some(rpm),
        ..ModelLimits::default()
    }
}

fn chat_body(model: &str) -> String {
    HELLO.replace("gpt-4o", model)
}

fn customer_id(name: &str) -> RecordId {
    RecordId::customer(&CustomerId::new(name))
}

fn customer(world: &mut World, name: &str, change: impl FnOnce(&mut CustomerRecord)) {
    let mut record = CustomerRecord {
        id: CustomerId::new(name),
        blocked: false,
        models: Vec::new(),
        limits: Limits::default(),
    };
    change(&mut record);
    world.record(&customer_id(name), Record::Customer(record));
}

fn naming(customer: &str) -> Headers {
    let own = [("api-key", KEY), ("x-litellm-customer-id", customer)];
    headers("POST", "/v1/chat/completions", &own)
}

fn in_flight(world: &World, id: &RecordId) -> u64 {
    world.redis.model.figures(id).in_flight
}

#[test]
fn a_limit_for_one_model_binds_that_model_alone_under_whichever_name() {
    let mut world = World::new();
    world.model("openai/gpt-4o", "openai", Some((1, 1)));
    world.key(KEY, |key| {
        key.limits = of_model("gpt-4o", model_rpm(2));
        key.aliases.insert("fast".to_owned(), "gpt-4o".to_owned());
    });
    world.raise_catalogue();
    assert!(world.chat(&chat_body("fast")).resumed());
    assert!(world.chat(&chat_body("openai/gpt-4o")).resumed());
    let refused = world.chat(HELLO);
    let (status, headers, _) = refused.reply().unwrap();
    assert_eq!(
        (status, headers["x-tollkeeper-scope"].as_str()),
        (429, "model_per_key")
    );
    assert!(headers.contains_key("x-ratelimit-model_per_key-limit-requests"));
    let message = refused.message();
    assert!(
        message.contains(":gpt-4o. Limit type: requests. Current limit: 2"),
        "{message}"
    );
    assert!(world.chat(&chat_body("gpt-3.5-turbo")).resumed());
    let id = key_id();
    assert_eq!(
        (
            in_flight(&world, &id),
            in_flight(&world, &id.of_model("gpt-4o"))
        ),
        (3, 2)
    );
}

#[test]
fn a_pattern_is_one_limit_for_all_models_that_match() {
    let mut world = World::with_limits(of_model("gpt-*", model_rpm(1)));
    assert!(world.chat(HELLO).resumed());
    assert_eq!(world.chat(&chat_body("gpt-3.5-turbo")).refusal().0, 429);
}

#[test]
fn a_budget_for_a_model_and_each_further_window_refuse_in_their_own_words() {
    let mut limits = of_model(
        "gpt-4o",
        ModelLimits {
            budget: budget("0").budget,
            ..ModelLimits::default()
        },
    );
    let mut world = World::with_limits(limits.clone());
    let hash = world.chat(HELLO).message();
    assert!(hash.starts_with("LiteLLM Virtual Key: "), "{hash}");
    assert!(
        hash.contains(", key_alias: None, exceeded budget for model=gpt-4o."),
        "{hash}"
    );

    limits.models.clear();
    let mut day = budget("0").budget.unwrap();
    day.window = BudgetWindow::Fixed {
        anchor_ms: 0,
        every_ms: 86_400_000,
    };
    limits.windows = [
        ("1d".to_owned(), day),
        ("30d".to_owned(), budget("5").budget.unwrap()),
    ]
    .into();
    let mut world = World::with_limits(limits);
    let message = world.chat(HELLO).message();
    assert!(
        message
            .starts_with("ExceededBudget: Key over 1d budget. Spend=$0.0, Limit=$0.0. Estimated"),
        "{message}"
    );
    assert_eq!(
        in_flight(&world, &key_id().window("30d")),
        0,
        "nothing else is burnt"
    );
}

#[test]
fn an_organization_binds_the_keys_that_belong_to_it() {
    let mut world = World::new();
    let id = OrganizationId::new("o1");
    let mut key = key_record(KEY);
    key.organization = Some(id.clone());
    let record = |limits: Limits, models: &[&str]| {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let organization = OrganizationRecord {
            id: id.clone(),
            alias: None,
            models,
            limits,
        };
        (
            RecordId::organization(&id),
            Record::Organization(organization),
        )
    };
    world.publish(KEY, key.clone(), vec![record(budget("0"), &[])]);
    let message = world.chat(HELLO).message();
    assert!(
        message.starts_with("Budget has been exceeded! Organization=o1 Current cost: 0.0"),
        "{message}"
    );
    // The record alone changes: the next request knows.
    let (name, wider) = record(budget("1"), &["gpt-4o"]);
    world.record(&name, wider);
    let client = world.chat(HELLO);
    assert!(client.resumed());
    assert_eq!(
        world.chat(&chat_body("gpt-3.5-turbo")).reply().unwrap().2["error"]["type"],
        "org_model_access_denied"
    );
    world.record(&name, Record::Deleted);
    assert_eq!(world.chat(HELLO).refusal(), (401, "owner_gone".to_owned()));
    // An entry that does not lead to the organization is being repaired.
    world.key(KEY, |stored| *stored = key);
    assert_eq!(world.chat(HELLO).refusal(), (503, "not_ready".to_owned()));
}

#[test]
fn a_teams_own_model_is_for_keys_of_that_team_alone() {
    let own = ProxySettings {
        models: vec!["gpt-4o".to_owned()],
        team_models: [("gpt-4o".to_owned(), TeamId::new("t1"))].into(),
        ..ProxySettings::default()
    };
    let mut world = with_settings(&own);
    let denied = world.chat(HELLO);
    assert_eq!(
        denied.reply().unwrap().2["error"]["type"],
        "team_model_access_denied"
    );
    for (id, allowed) in [("t1", true), ("t2", false)] {
        let mut key = key_record(KEY);
        key.team = Some(TeamId::new(id));
        let record = (RecordId::team(&TeamId::new(id)), Record::Team(team(id)));
        world.publish(KEY, key, vec![record]);
        assert_eq!(world.chat(HELLO).resumed(), allowed, "{id}");
    }
}

/// Publishes a key of user `u1` in organization `o1`.
fn in_organization(world: &mut World, secret: &str, limits: Limits) {
    let (id, user_id) = (OrganizationId::new("o1"), UserId::new("u1"));
    let mut key = key_record(secret);
    key.organization = Some(id.clone());
    key.user = Some(user_id.clone());
    key.organization_member = Some(Box::new(limits)).filter(|limits| !limits.is_unlimited());
    let organization = OrganizationRecord {
        id: id.clone(),
        alias: None,
        models: Vec::new(),
        limits: Limits::default(),
    };
    let owners = vec![
        (RecordId::user(&user_id), Record::User(user("u1"))),
        (
            RecordId::organization(&id),
            Record::Organization(organization),
        ),
    ];
    world.publish(secret, key, owners);
}

#[test]
fn keys_of_a_user_in_an_organization_share_what_the_membership_leaves_them() {
    const OTHER: &str = "sk-another-key-of-the-same-user";
    let mut world = World::new();
    let call = |world: &mut World, secret: &str| {
        let headers = headers("POST", "/v1/chat/completions", &[("api-key", secret)]);
        world.send(&headers, HELLO.as_bytes())
    };
    in_organization(&mut world, KEY, rpm(1));
    in_organization(&mut world, OTHER, rpm(1));
    assert!(call(&mut world, KEY).resumed());
    let scope = RecordId::organization_member(&OrganizationId::new("o1"), &UserId::new("u1"));
    assert_eq!(in_flight(&world, &scope), 1);
    let denied = call(&mut world, OTHER);
    assert_eq!(denied.refusal().0, 429);
    let message = denied.message();
    assert!(
        message.contains("Rate limit exceeded for organization_member: o1:u1."),
        "{message}"
    );
    // The limit comes and goes with the key's record; requests are counted either way.
    in_organization(&mut world, OTHER, budget("0"));
    let message = call(&mut world, OTHER).message();
    assert!(
        message.starts_with("Budget has been exceeded! User=u1 in Organization=o1 Current cost: "),
        "{message}"
    );
    in_organization(&mut world, OTHER, Limits::default());
    assert!(call(&mut world, OTHER).resumed());
    assert_eq!(in_flight(&world, &scope), 2);
}

#[test]
fn a_customer_is_held_to_the_record_that_redis_holds_now() {
    let mut world = World::new();
    world.key(KEY, |_| ());
    assert!(
        world.send(&naming("ada"), HELLO.as_bytes()).resumed(),
        "nobody knows ada"
    );
    assert_eq!(
        in_flight(&world, &customer_id("ada")),
        0,
        "so nothing counts her requests"
    );

    customer(&mut world, "ada", |record| record.limits = rpm(1));
    assert!(world.send(&naming("ada"), HELLO.as_bytes()).resumed());
    assert_eq!(
        world.count(Metric::Stale),
        1,
        "the admission itself told the record"
    );
    let refused = world.send(&naming("ada"), HELLO.as_bytes());
    assert!(
        refused
            .message()
            .contains("Rate limit exceeded for end_user: ada.")
    );
    assert!(world.send(&naming("bob"), HELLO.as_bytes()).resumed());

    customer(&mut world, "ada", |record| record.limits = budget("0"));
    let message = world.send(&naming("ada"), HELLO.as_bytes()).message();
    assert!(
        message.starts_with("ExceededBudget: End User=ada over budget. Spend="),
        "{message}"
    );

    customer(&mut world, "ada", |record| record.blocked = true);
    for _ in 0..2 {
        let refused = world.send(&naming("ada"), HELLO.as_bytes());
        assert_eq!(refused.refusal(), (403, "customer_blocked".to_owned()));
        assert!(refused.message().contains("User=ada"));
    }
    // What is remembered refuses, and is not believed without asking.
    customer(&mut world, "ada", |record| {
        record.models = vec!["gpt-3.5-turbo".to_owned()];
    });
    let refused = world.send(&naming("ada"), HELLO.as_bytes());
    assert_eq!(
        refused.refusal(),
        (403, "model_not_allowed_for_customer".to_owned())
    );
    world.record(&customer_id("ada"), Record::Deleted);
    assert!(world.send(&naming("ada"), HELLO.as_bytes()).resumed());
}

#[test]
fn a_customers_record_that_is_older_or_gone_admits_nothing() {
    let mut world = World::new();
    world.key(KEY, |_| ());
    customer(&mut world, "ada", |record| record.limits = rpm(9));
    assert!(world.send(&naming("ada"), HELLO.as_bytes()).resumed());
    let name = contract::redis_key::record(P0, &customer_id("ada"));
    world.redis.remove(&name);
    let refused = world.send(&naming("ada"), HELLO.as_bytes());
    assert_eq!(refused.refusal(), (503, "store_went_back".to_owned()));
    // After the time for which Redis keeps what a deletion leaves it is just that.
    world.now += 86_400_000;
    assert!(world.send(&naming("ada"), HELLO.as_bytes()).resumed());
}

#[test]
fn customers_without_a_record_have_the_default_limits_each() {
    let mut world = with_settings(&ProxySettings {
        customer_default: rpm(1),
        ..ProxySettings::default()
    });
    for name in ["ada", "bob"] {
        assert!(world.send(&naming(name), HELLO.as_bytes()).resumed());
        assert_eq!(world.send(&naming(name), HELLO.as_bytes()).refusal().0, 429);
    }
    assert!(
        world.chat(HELLO).resumed(),
        "who names nobody is not held to it"
    );
    customer(&mut world, "ada", |record| record.limits = rpm(5));
    assert!(world.send(&naming("ada"), HELLO.as_bytes()).resumed());
}

/// Who is charged for a request.
fn end_user(world: &mut World, own: &[(&str, &str)], body: &str) -> Option<String> {
    let mut all = vec![("api-key", KEY)];
    all.extend_from_slice(own);
    let headers = headers("POST", "/v1/chat/completions", &all);
    let mut client = world.send(&headers, body.as_bytes());
    assert!(client.resumed());
    world.answer(&mut client, "200", ANSWER);
    world.tick();
    let event = world.redis.model.events().last().unwrap();
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    body["e"].as_str().map(str::to_owned)
}

#[test]
fn the_first_source_that_names_a_customer_counts() {
    let mut world = with_settings(&ProxySettings {
        user_header_name: Some("x-user".to_owned()),
        user_header_mappings: vec!["x-mapped-1".to_owned(), "x-mapped-2".to_owned()],
        ..ProxySettings::default()
    });
    let mut own = vec![
        ("x-litellm-customer-id", "1"),
        ("x-litellm-end-user-id", "2"),
        ("x-mapped-1", "3"),
        ("x-mapped-2", " 4 "),
        ("x-user", "5"),
    ];
    let all = r#"{"model":"gpt-4o","max_tokens":5,"messages":[],"user":"6","litellm_metadata":{"user":"7"},"metadata":{"user_id":"8"},"safety_identifier":"9"}"#;
    for expected in ["1", "2", "3", "4", "5"] {
        assert_eq!(end_user(&mut world, &own, all).as_deref(), Some(expected));
        own.remove(0);
    }
    let mut body: Value = serde_json::from_str(all).unwrap();
    for (field, expected) in [
        ("user", Some("6")),
        ("litellm_metadata", Some("7")),
        ("metadata", Some("8")),
        ("safety_identifier", Some("9")),
        ("", None),
    ] {
        assert_eq!(
            end_user(&mut world, &[], &body.to_string()).as_deref(),
            expected
        );
        body.as_object_mut().unwrap().remove(field);
    }
    // A worker that does not know the settings yet keeps what may be asked for.
    let mut cold = with_settings(&ProxySettings {
        user_header_name: Some("x-user".to_owned()),
        ..ProxySettings::default()
    });
    let named = end_user(&mut cold, &[("x-user", "5")], all);
    assert_eq!(named.as_deref(), Some("5"));
}

#[test]
fn tags_bind_whether_the_key_its_team_the_header_or_the_body_names_them() {
    let body = |tags: &str| format!(r#"{{"model":"gpt-4o","max_tokens":5,"messages":[],{tags}}}"#);
    let tagged = |name: &str| ProxySettings {
        tags: [(name.to_owned(), rpm(1))].into(),
        ..ProxySettings::default()
    };
    let mut world = with_settings(&tagged("prod"));
    assert!(world.chat(&body(r#""tags":["prod","other"]"#)).resumed());
    let refused = world.chat(&body(r#""metadata":{"tags":["prod"]}"#));
    assert!(
        refused
            .message()
            .contains("Rate limit exceeded for tag: prod.")
    );
    let header = [("api-key", KEY), ("x-litellm-tags", "a, prod")];
    let headers = headers("POST", "/v1/chat/completions", &header);
    assert_eq!(world.send(&headers, HELLO.as_bytes()).refusal().0, 429);
    assert!(world.chat(&body(r#""tags":["other"]"#)).resumed());
    world.key(KEY, |key| key.tags = vec!["prod".to_owned()]);
    assert_eq!(world.chat(HELLO).refusal().0, 429);
    let mut key = key_record(KEY);
    let mut of_team = team("t1");
    key.team = Some(of_team.id.clone());
    of_team.tags = vec!["prod".to_owned()];
    world.publish(
        KEY,
        key,
        vec![(RecordId::team(&of_team.id), Record::Team(of_team))],
    );
    assert_eq!(world.chat(HELLO).refusal().0, 429);
}

#[test]
fn a_tag_a_model_and_the_proxy_say_whose_budget_is_used_up() {
    let tags = [("prod".to_owned(), budget("0"))].into();
    let tagged = HELLO.replacen('{', r#"{"tags":["prod"],"#, 1);
    let mut world = with_settings(&ProxySettings {
        tags,
        ..ProxySettings::default()
    });
    let message = world.chat(&tagged).message();
    assert!(
        message.starts_with("Budget has been exceeded! Tag=prod Current cost: 0.0"),
        "{message}"
    );
    assert!(world.chat(HELLO).resumed());

    let mut world = with_settings(&ProxySettings {
        budget: budget("0").budget,
        ..ProxySettings::default()
    });
    let message = world.chat(HELLO).message();
    assert!(
        message.starts_with("ExceededBudget: proxy over budget. Spend=0.0, Budget=0.0"),
        "{message}"
    );

    let mut world = with_settings(&ProxySettings::default());
    world.model_record(&ModelRecord {
        limits: rpm(1),
        ..priced("gpt-4o")
    });
    world.raise_catalogue();
    assert!(world.chat(HELLO).resumed());
    let refused = world.chat(HELLO);
    assert!(
        refused
            .message()
            .contains("Rate limit exceeded for model: gpt-4o.")
    );
    assert!(world.chat(&chat_body("gpt-3.5-turbo")).resumed());
}

#[test]
fn a_members_models_and_nobodys_default_models_are_held() {
    let mut world = World::new();
    let mut key = key_record(KEY);
    let of_user = user("u1");
    (key.user, key.team) = (Some(of_user.id.clone()), Some(team("t1").id));
    let mut of_member = member("t1", "u1");
    of_member.models = vec!["gpt-3.5-turbo".to_owned()];
    let owners = vec![
        (RecordId::user(&of_user.id), Record::User(of_user.clone())),
        (RecordId::team(&team("t1").id), Record::Team(team("t1"))),
        (
            RecordId::member(&of_member.team, &of_member.user),
            Record::Member(of_member),
        ),
    ];
    world.publish(KEY, key, owners);
    assert_eq!(
        world.chat(HELLO).refusal(),
        (403, "model_not_allowed_for_member".to_owned())
    );
    assert!(world.chat(&chat_body("gpt-3.5-turbo")).resumed());
}

#[test]
fn no_slots_admit_nothing() {
    let mut world = World::with_limits(Limits {
        parallel: Some(0),
        ..Limits::default()
    });
    let refused = world.chat(HELLO);
    let (status, headers, _) = refused.reply().unwrap();
    assert_eq!(
        (status, headers["rate_limit_type"].as_str()),
        (429, "max_parallel_requests")
    );
    assert_eq!(
        headers["x-should-retry"], "false",
        "no end of a request frees one"
    );
}

#[test]
fn what_every_scope_was_charged_is_in_the_event() {
    let tags = [("prod".to_owned(), budget("9"))].into();
    let mut world = with_settings(&ProxySettings {
        tags,
        budget: budget("9").budget,
        customer_default: rpm(9),
        ..ProxySettings::default()
    });
    world.key(KEY, |key| {
        key.limits = of_model("gpt-*", model_rpm(9));
        key.limits.windows = [("1d".to_owned(), budget("9").budget.unwrap())].into();
    });
    let tagged = HELLO.replacen('{', r#"{"tags":["prod"],"#, 1);
    let mut client = world.send(&naming("ada"), tagged.as_bytes());
    assert!(client.resumed());
    world.answer(&mut client, "200", ANSWER);
    world.tick();
    let event = world.redis.model.events().last().unwrap();
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    let charged = body["c"].as_array().unwrap();
    let names = charged
        .iter()
        .map(|scope| scope["i"].as_str().unwrap().to_owned());
    let id = key_id();
    let expected = [
        id.window("1d"),
        id.of_model("gpt-*"),
        customer_id("ada"),
        RecordId::tag("prod"),
        RecordId::proxy(),
    ];
    assert_eq!(
        names.collect::<Vec<_>>(),
        expected.each_ref().map(|id| id.as_str().to_owned())
    );
    for id in &expected {
        assert_eq!(world.spent(id), event.cost.get(), "{id}");
    }
    assert!(event.cost.get() > 0);
    // Money that no budget limits is counted for a minute at a time, so that the scope does not stay.
    assert_eq!(charged[2]["w"]["fixed"]["every_ms"], 60_000);
}

#[test]
fn the_proxys_budget_opens_on_the_dot_of_its_next_window() {
    const DAY: u64 = 86_400_000;
    let mut world = World::new();
    world.key(KEY, |_| ());
    let opens = world.redis_now() + 20_000;
    let window = BudgetWindow::Fixed {
        anchor_ms: opens - DAY,
        every_ms: DAY,
    };
    let budget = budget("0.001")
        .budget
        .map(|budget| Budget { window, ..budget });
    world.settings(&ProxySettings {
        budget,
        ..ProxySettings::default()
    });
    world.raise_catalogue();
    let mut admitted = 0;
    let refused = loop {
        let mut client = world.chat(HELLO);
        if client.reply().is_some() {
            break client;
        }
        world.answer(&mut client, "200", ANSWER);
        world.tick();
        admitted += 1;
        assert!(admitted < 100, "a budget holds");
    };
    assert!(admitted > 0);
    let over = |client: &Client| {
        client
            .message()
            .contains("ExceededBudget: proxy over budget")
    };
    assert!(over(&refused), "{}", refused.message());
    world.now = opens - AHEAD - 1;
    let last = world.chat(HELLO);
    let (status, headers, _) = last.reply().unwrap();
    assert_eq!((status, headers["retry-after"].as_str()), (422, "1"));
    assert!(over(&last));
    assert!(world.spent(&RecordId::proxy()) > 0);
    world.now += 1;
    assert!(world.chat(HELLO).resumed(), "the next window has begun");
    assert_eq!(world.spent(&RecordId::proxy()), 0);
}

#[test]
fn a_raised_budget_is_what_it_was_from_the_end_of_the_raise_on() {
    let of = |who: &str, raise: Raise| {
        let mut world = World::new();
        let limits = Limits {
            raise: Some(raise),
            ..budget("0")
        };
        let mut key = key_record(KEY);
        let mut of_member = member("t1", "u1");
        (key.user, key.team) = (Some(of_member.user.clone()), Some(of_member.team.clone()));
        match who {
            "key" => key.limits = limits,
            _ => of_member.limits = limits,
        }
        let owners = vec![
            (RecordId::user(&of_member.user), Record::User(user("u1"))),
            (RecordId::team(&of_member.team), Record::Team(team("t1"))),
            (
                RecordId::member(&of_member.team, &of_member.user),
                Record::Member(of_member),
            ),
        ];
        world.publish(KEY, key, owners);
        world
    };
    let by = NanoUsd::parse("0.001").unwrap();
    for who in ["key", "member"] {
        let until_ms = World::new().redis_now() + 20_000;
        let mut world = of(who, Raise { by, until_ms });
        let mut one = world.chat(HELLO);
        assert!(one.resumed(), "{who}");
        world.answer(&mut one, "200", ANSWER);
        world.tick();
        world.now = until_ms - AHEAD - 1;
        let mut last = world.chat(HELLO);
        assert!(last.resumed(), "{who}: until its end");
        world.now += 1;
        world.answer(&mut last, "200", ANSWER);
        world.tick();
        if who == "key" {
            let shown = [one, last].map(|client| client.shown_header("x-litellm-key-max-budget"));
            assert_eq!(shown, [Some("0.001".to_owned()), Some("0.0".to_owned())]);
        }
        // Nobody publishes another record, and nobody asks for one.
        let refused = world.chat(HELLO);
        assert_eq!(refused.refusal().0, 422, "{who}");
        let message = refused.message();
        assert!(message.contains("Max budget: 0"), "{message}");
        // A raise is a budget too.
        let mut spent = of(
            who,
            Raise {
                by: NanoUsd::ZERO,
                until_ms,
            },
        );
        assert_eq!(spent.chat(HELLO).refusal().0, 422, "{who}");
    }
}

#[test]
fn a_request_that_nothing_else_applies_to_carries_its_keys_scope_alone() {
    let mut world = with_settings(&ProxySettings {
        tags: [("prod".to_owned(), rpm(1))].into(),
        ..ProxySettings::default()
    });
    let mut client = world.chat(HELLO);
    world.answer(&mut client, "200", ANSWER);
    world.tick();
    let event = world.redis.model.events().last().unwrap();
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(
        (body.get("c"), body.get("z"), body.get("e")),
        (None, None, None)
    );
}

#[test]
fn more_scopes_than_can_be_checked_at_once_are_refused() {
    let tags = (0..70).map(|number| (format!("t{number}"), Limits::default()));
    let mut world = with_settings(&ProxySettings {
        tags: tags.collect(),
        ..ProxySettings::default()
    });
    world.key(KEY, |key| {
        let budget = budget("9").budget.unwrap();
        let windows = (1..=40).map(|days| (format!("{days}d"), budget.clone()));
        key.limits.windows = windows.collect();
    });
    let tags = (0..32)
        .map(|number| format!("\"t{number}\""))
        .collect::<Vec<_>>()
        .join(",");
    let tagged = HELLO.replacen('{', &format!(r#"{{"tags":[{tags}],"#), 1);
    assert_eq!(
        world.chat(&tagged).refusal(),
        (400, "too_many_scopes".to_owned())
    );
    assert!(world.chat(HELLO).resumed());
}
