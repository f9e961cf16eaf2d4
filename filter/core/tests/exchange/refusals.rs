//! Every refusal, in LiteLLM's wording, and none of them with an upstream call.

use contract::records::{IndexEntry, ProxySettings, Record};
use contract::redis_key::RecordId;
use filter_core::event::Event;
use filter_core::metric::Metric;

use crate::world::*;

fn message_of(world: &mut World) -> (u16, String, String, String) {
    let refused = world.chat(HELLO);
    let (status, headers, body) = refused.reply().expect("a refusal");
    assert!(!refused.resumed());
    let kind = body["error"]["type"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (
        status,
        kind,
        headers["x-tollkeeper-refusal"].clone(),
        refused.message(),
    )
}

#[test]
fn paths_that_the_table_lacks_go_nowhere_whatever_their_spelling() {
    let spellings = [
        "/",
        "",
        "*",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions//",
        "/V1/chat/completions",
        "/v1/Chat/Completions",
        "/v1/chat/completions;x=1",
        "/v1/chat;a/completions",
        "/v1/chat/completions%2f",
        "/v1/chat%2fcompletions",
        "/v1%2Fchat/completions",
        "/%761/chat/completions",
        "/v1/./chat/completions",
        "/v1/../v1/chat/completions",
        "/v1/chat/completions/.",
        "/v1/chat/completions/..",
        "/./v1/chat/completions",
        "/v1/chat/completions%00",
        "/v1/chat/completions%20",
        "/v1/chat/completions ",
        " /v1/chat/completions",
        "\\v1\\chat\\completions",
        "/v1\\chat\\completions",
        "/v1/chat/completions\t",
        "/v1/chat/completions#a",
        "/v1/chat/completions%3Fa",
        "/v1/chat/completions&a=1",
        "/v1/chat/completion",
        "/v1/chat/completionss",
        "/openai/v1/chat/completions",
        "/v2/chat/completions",
        "/v1/messages",
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1/files",
        "/v1/models/gpt-4o",
        "/engines/gpt-4o/completions",
        "http://host/v1/chat/completions",
        "/key/info",
        "/v1/chat/\u{ff0f}completions",
    ];
    assert!(spellings.len() >= 40);
    let mut world = World::with_limits(rpm(10));
    for path in spellings {
        for key in [&[][..], &[("x-api-key", KEY)][..]] {
            let refused = world.send(&headers("POST", path, key), HELLO.as_bytes());
            assert_eq!(
                refused.refusal(),
                (404, "unknown_route".to_owned()),
                "{path:?}"
            );
            assert_eq!(refused.reply().unwrap().2["detail"], "Not Found");
        }
    }
    assert_eq!(
        world.redis.log,
        Vec::<String>::new(),
        "Redis is not asked either"
    );
}

#[test]
fn a_known_path_with_another_method_says_which_it_wants() {
    let mut world = World::with_limits(rpm(10));
    for (method, path, wants) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("post", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/models", "GET"),
        ("POST", "/models", "GET"),
        ("", "/v1/embeddings", "POST"),
    ] {
        let refused = world.send(&headers(method, path, &[("x-api-key", KEY)]), b"");
        assert_eq!(refused.refusal(), (405, "wrong_method".to_owned()));
        assert_eq!(refused.reply().unwrap().1["allow"], wants);
    }
}

#[test]
fn a_request_without_key_or_with_an_unknown_one_is_unauthenticated() {
    let mut world = World::with_limits(rpm(10));
    let none = world.send(
        &headers("POST", "/v1/chat/completions", &[]),
        HELLO.as_bytes(),
    );
    assert_eq!(none.refusal(), (401, "no_key".to_owned()));
    assert_eq!(
        none.message(),
        "Authentication Error, No api key passed in."
    );
    let malformed = world.send(
        &headers("POST", "/v1/chat/completions", &[("authorization", KEY)]),
        HELLO.as_bytes(),
    );
    assert_eq!(malformed.refusal(), (401, "malformed_key".to_owned()));
    let other = world.send(
        &headers(
            "POST",
            "/v1/chat/completions",
            &[("api-key", "abcdefghmnopijkl")],
        ),
        HELLO.as_bytes(),
    );
    assert_eq!(
        other.message(),
        "LiteLLM Virtual Key expected. Received=abcd****ijkl, expected to start with 'sk-'."
    );
    assert_eq!(
        world.redis.log,
        ["LookUp"],
        "the first tells where keys are looked for"
    );
    let unknown = world.send(
        &headers("POST", "/v1/chat/completions", &[("api-key", "sk-nobody")]),
        HELLO.as_bytes(),
    );
    let (status, _, body) = unknown.reply().unwrap();
    assert_eq!(
        (status, body["error"]["type"].as_str()),
        (401, Some("token_not_found_in_db"))
    );
    assert_eq!(body["error"]["param"], "key");
    assert_eq!(body["error"]["code"], "401");
    let both = world.send(
        &headers(
            "POST",
            "/v1/chat/completions",
            &[("api-key", KEY), ("authorization", "Bearer sk-other")],
        ),
        HELLO.as_bytes(),
    );
    assert_eq!(both.refusal(), (400, "conflicting_keys".to_owned()));
    assert_eq!(world.count(Metric::RefusedCredential), 5);
}

#[test]
fn a_key_that_is_blocked_expired_or_deleted_is_refused_and_let_in_again_at_once() {
    let mut world = World::with_limits(rpm(100));
    assert!(world.chat(HELLO).resumed());
    world.key(KEY, |key| key.blocked = true);
    let blocked =
        "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.";
    assert_eq!(
        message_of(&mut world),
        (
            401,
            "auth_error".to_owned(),
            "key_blocked".to_owned(),
            blocked.to_owned()
        )
    );
    world.key(KEY, |_| {});
    assert!(world.chat(HELLO).resumed(), "unblocked");
    let expires = world.redis_now() + 1_000;
    world.key(KEY, |key| key.expires_ms = Some(expires));
    assert!(world.chat(HELLO).resumed());
    world.now += 1_000;
    let (status, kind, reason, message) = message_of(&mut world);
    assert_eq!(
        (status, kind.as_str(), reason.as_str()),
        (401, "expired_key", "key_expired")
    );
    assert!(
        message.starts_with("Authentication Error - Expired Key. Key Expiry time 20"),
        "{message}"
    );
    world.key(KEY, |_| {});
    assert!(world.chat(HELLO).resumed(), "prolonged");
    world.record(&key_id(), Record::Deleted);
    assert_eq!(world.chat(HELLO).refusal(), (401, "unknown_key".to_owned()));
    world.key(KEY, |_| {});
    assert!(world.chat(HELLO).resumed(), "made anew");
}

#[test]
fn a_key_that_expires_between_check_and_admission_is_released_and_refused() {
    let mut world = World::with_limits(rpm(100));
    assert!(world.chat(HELLO).resumed());
    let expires = world.redis_now() + 50;
    world.key(KEY, |key| key.expires_ms = Some(expires));
    assert!(world.chat(HELLO).resumed());
    let admitted = world.redis.model.figures(&key_id()).in_flight;
    let mut client = Client::new();
    let headers = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
    world.step(
        &mut client,
        Event::RequestHeaders {
            headers: &headers,
            end: false,
            peer: None,
        },
    );
    let effects = world.step(
        &mut client,
        Event::RequestBody {
            chunk: HELLO.as_bytes(),
            end: true,
        },
    );
    let (call, commands, replies) = effects
        .into_iter()
        .find_map(|effect| match effect {
            filter_core::effect::Effect::CallRedis {
                call,
                commands,
                replies,
                ..
            } => Some((call, commands, replies)),
            _ => None,
        })
        .unwrap();
    world.now += 60;
    let answer = world.redis.run(world.redis_now(), &commands, replies);
    world.bring(&mut client, call, &answer);
    assert_eq!(client.refusal(), (401, "key_expired".to_owned()));
    world.tick();
    assert_eq!(world.redis.model.figures(&key_id()).in_flight, admitted);
}

#[test]
fn the_old_hash_of_a_rotated_key_works_until_its_grace_ends() {
    let mut world = World::with_limits(rpm(100));
    let until_ms = Some(world.redis_now() + 1_000);
    world.key(KEY, |_| {});
    world.index(
        KEY,
        &IndexEntry {
            home: P0,
            records: vec![key_id()],
            until_ms,
        },
    );
    assert!(world.chat(HELLO).resumed());
    world.now += 1_000;
    assert_eq!(world.chat(HELLO).refusal(), (401, "unknown_key".to_owned()));
}

#[test]
fn blocked_and_deleted_owners_close_their_keys() {
    let mut world = World::new();
    let mut key = key_record(KEY);
    key.user = Some(user("u1").id);
    key.team = Some(team("t1").id);
    let (user_id, team_id) = (
        RecordId::user(&user("u1").id),
        RecordId::team(&team("t1").id),
    );
    let open = |world: &mut World| {
        world.record(&RecordId::user(&user("u1").id), Record::User(user("u1")));
        world.record(&RecordId::team(&team("t1").id), Record::Team(team("t1")));
        assert!(world.chat(HELLO).resumed());
    };
    let owners = vec![
        (user_id.clone(), Record::User(user("u1"))),
        (team_id.clone(), Record::Team(team("t1"))),
    ];
    world.publish(KEY, key, owners);
    open(&mut world);
    let mut blocked = team("t1");
    blocked.blocked = true;
    world.record(&team_id, Record::Team(blocked));
    assert_eq!(
        message_of(&mut world).3,
        "Authentication Error, Team=t1 is blocked. Update via `/team/unblock` if you're an admin."
    );
    open(&mut world);
    let mut blocked = user("u1");
    blocked.blocked = true;
    world.record(&user_id, Record::User(blocked));
    assert_eq!(
        world.chat(HELLO).refusal(),
        (401, "user_blocked".to_owned())
    );
    open(&mut world);
    let mut viewer = user("u1");
    viewer.may_call_models = false;
    world.record(&user_id, Record::User(viewer));
    let (status, _, _, message) = message_of(&mut world);
    assert_eq!(status, 403);
    assert_eq!(
        message,
        "user not allowed to access this OpenAI routes, role= proxy_admin_viewer"
    );
    open(&mut world);
    for id in [&user_id, &team_id] {
        world.record(id, Record::Deleted);
        assert_eq!(world.chat(HELLO).refusal(), (401, "owner_gone".to_owned()));
        open(&mut world);
    }
}

#[test]
fn routes_that_a_key_may_not_call_are_forbidden_in_both_shapes() {
    for (allowed, calls, lists) in [
        (vec!["llm_api_routes"], true, true),
        (vec!["info_routes"], false, true),
        (vec!["management_routes"], false, false),
        (vec!["/v1/chat/completions"], true, false),
        (vec!["/chat/completions"], true, false),
        (vec!["/v1/chat*"], true, false),
        (vec!["/chat/*"], true, false),
        (vec!["/v1/models", "/key/info"], false, true),
        (vec!["/v1/chat/completion"], false, false),
        (vec!["*"], true, true),
    ] {
        let mut world = World::new();
        world.key(KEY, |key| {
            key.allowed_routes = allowed.iter().map(|&route| route.to_owned()).collect();
        });
        let chat = world.chat(HELLO);
        assert_eq!(chat.resumed(), calls, "{allowed:?}");
        let list = world.send(&headers("GET", "/models", &[("api-key", KEY)]), b"");
        assert_eq!(list.reply().unwrap().0 == 200, lists, "{allowed:?}");
        if !calls {
            let (status, _, body) = chat.reply().unwrap();
            assert_eq!(status, 403);
            let listed = allowed
                .iter()
                .map(|route| format!("'{route}'"))
                .collect::<Vec<_>>()
                .join(", ");
            let expected = format!(
                "Virtual key is not allowed to call this route. Only allowed to call routes: [{listed}]. Tried to call route: /v1/chat/completions"
            );
            assert_eq!(body["detail"], expected);
            assert_eq!(body["error"]["message"], expected);
        }
    }
}

#[test]
fn models_outside_the_lists_of_key_team_and_user_are_forbidden() {
    let list = |models: &[&str]| {
        models
            .iter()
            .map(|&model| model.to_owned())
            .collect::<Vec<_>>()
    };
    let denied = |kind: &'static str| Some(kind);
    for (of_key, of_team, of_user, outcome) in [
        (list(&[]), None, list(&[]), None),
        (list(&["gpt-4o"]), None, list(&[]), None),
        (
            list(&["gpt-3.5-turbo"]),
            None,
            list(&[]),
            denied("key_model_access_denied"),
        ),
        (list(&["gpt-4*"]), None, list(&[]), None),
        (list(&["*"]), None, list(&[]), None),
        (list(&["all-proxy-models"]), None, list(&[]), None),
        (
            list(&["no-default-models"]),
            None,
            list(&[]),
            denied("key_model_access_denied"),
        ),
        (list(&["openai/*"]), None, list(&[]), None),
        (
            list(&["openai/gpt-3*"]),
            None,
            list(&[]),
            denied("key_model_access_denied"),
        ),
        (
            list(&["anthropic/*"]),
            None,
            list(&[]),
            denied("key_model_access_denied"),
        ),
        (list(&["good-ones"]), None, list(&[]), None),
        (
            list(&["cheap-ones"]),
            None,
            list(&[]),
            denied("key_model_access_denied"),
        ),
        (list(&["all-team-models"]), None, list(&[]), None),
        (
            list(&["all-team-models"]),
            Some(list(&["gpt-4o"])),
            list(&[]),
            None,
        ),
        (
            list(&["all-team-models"]),
            Some(list(&["claude"])),
            list(&[]),
            denied("key_model_access_denied"),
        ),
        (
            list(&[]),
            Some(list(&["claude"])),
            list(&[]),
            denied("team_model_access_denied"),
        ),
        (
            list(&["gpt-4o"]),
            Some(list(&["good-ones"])),
            list(&["no-default-models"]),
            None,
        ),
        (
            list(&[]),
            None,
            list(&["no-default-models"]),
            denied("user_model_access_denied"),
        ),
        (list(&[]), None, list(&["gpt-4o"]), None),
    ] {
        let mut world = World::new();
        let mut settings = ProxySettings::default();
        settings
            .access_groups
            .insert("good-ones".to_owned(), list(&["gpt-4*", "claude"]));
        settings
            .access_groups
            .insert("cheap-ones".to_owned(), list(&["gpt-3.5-turbo"]));
        world.settings(&settings);
        let case = format!("{of_key:?} {of_team:?} {of_user:?}");
        let mut key = key_record(KEY);
        key.models = of_key;
        key.user = Some(user("u1").id);
        let mut owner = user("u1");
        owner.models = of_user;
        let mut owners = vec![(RecordId::user(&owner.id), Record::User(owner))];
        if let Some(models) = of_team {
            key.team = Some(team("t1").id);
            let mut of_team = team("t1");
            of_team.models = models;
            owners.push((RecordId::team(&of_team.id), Record::Team(of_team)));
        }
        world.publish(KEY, key, owners);
        let client = world.chat(HELLO);
        assert_eq!(client.resumed(), outcome.is_none(), "{case}");
        if let Some(kind) = outcome {
            let (status, _, body) = client.reply().unwrap();
            assert_eq!(
                (
                    status,
                    body["error"]["type"].as_str(),
                    body["error"]["param"].as_str()
                ),
                (403, Some(kind), Some("model")),
                "{case}"
            );
            assert_eq!(
                client.message(),
                "The requested model 'gpt-4o' is not available for this API key, or the model name is invalid. Check the models available to you and try again."
            );
        }
    }
}

#[test]
fn an_unknown_model_is_told_as_litellm_tells_it() {
    let mut world = World::with_limits(rpm(10));
    let client = world.chat(&HELLO.replace("gpt-4o", "zzz"));
    let (status, _, body) = client.reply().unwrap();
    assert_eq!(
        (status, body["error"]["type"].as_str()),
        (400, Some("invalid_request_error"))
    );
    assert_eq!(
        client.message(),
        "litellm.BadRequestError: You passed in model=zzz. There are no healthy deployments for this model\n\nLiteLLM: model group 'zzz' failed with the error above. No fallback was attempted."
    );
    world.key(KEY, |key| key.models = vec!["gpt-4o".to_owned()]);
    assert_eq!(
        world.chat(&HELLO.replace("gpt-4o", "zzz")).refusal().0,
        403,
        "a restricted key learns nothing"
    );
    let huge = "m".repeat(100_000);
    let client = world.chat(&HELLO.replace("gpt-4o", &huge));
    assert!(matches!(client.refusal().0, 400 | 403));
    assert!(client.message().len() < 500);
}

#[test]
fn a_model_without_price_is_refused_only_where_a_budget_applies() {
    let body = HELLO.replace("gpt-4o", "claude");
    let mut world = World::with_limits(budget("1"));
    let refused = world.chat(&body);
    assert_eq!(refused.refusal(), (400, "unknown_price".to_owned()));
    assert!(refused.message().contains("'claude'"));
    world.key(KEY, |key| key.limits = rpm(5));
    assert!(world.chat(&body).resumed());
    world.key(KEY, |key| key.limits = budget("1"));
    world.model("claude", "anthropic", Some((1, 1)));
    world.raise_catalogue();
    assert!(
        world.chat(&body).resumed(),
        "a price that was set is used at once"
    );
}

#[test]
fn the_master_key_calls_models_only_where_the_settings_allow() {
    let mut world = World::new();
    world.key(KEY, |key| key.master = true);
    assert!(world.chat(HELLO).resumed());
    world.settings(&ProxySettings {
        master_key_can_call_models: false,
        ..ProxySettings::default()
    });
    world.raise_catalogue();
    assert_eq!(
        world.chat(HELLO).refusal(),
        (403, "master_may_not_call".to_owned())
    );
    world.settings(&ProxySettings::default());
    world.raise_catalogue();
    assert!(world.chat(HELLO).resumed());
}

#[test]
fn bodies_that_are_none_of_ours_are_refused_before_any_admission() {
    let mut world = World::with_limits(rpm(10));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("{}", 400),
        (r#"{"model":"gpt-4o","model":"gpt-4o"}"#, 400),
        (
            r#"{"model":"gpt-4o","messages":[],"api_base":"http://evil"}"#,
            400,
        ),
        (r#"{"model":7,"messages":[]}"#, 400),
    ] {
        assert_eq!(world.chat(body).refusal().0, status, "{body}");
    }
    assert!(!world.redis.log.contains(&"Admit".to_owned()));
    let with = |name: &'static str, value: &'static str| {
        headers(
            "POST",
            "/v1/chat/completions",
            &[("api-key", KEY), (name, value)],
        )
    };
    assert_eq!(
        world
            .send(&with("content-encoding", "gzip"), HELLO.as_bytes())
            .refusal(),
        (415, "content_encoding".to_owned())
    );
    assert_eq!(
        world
            .send(&with("content-length", "99999999"), HELLO.as_bytes())
            .refusal(),
        (413, "invalid_body".to_owned())
    );
    assert!(
        world
            .send(&with("content-encoding", "identity"), HELLO.as_bytes())
            .resumed()
    );
    let small = filter_core::config::Config {
        max_body_bytes: 1_024,
        ..Default::default()
    };
    let mut world = World::with(small);
    world.key(KEY, |_| {});
    let long = HELLO.replace("hi", &"x".repeat(2_000));
    let refused = world.chat(&long);
    assert_eq!(refused.refusal().0, 413);
    assert!(refused.message().contains("1024"));
}

#[test]
fn a_request_that_ends_with_its_headers_has_no_body_to_admit() {
    let mut world = World::with_limits(rpm(10));
    let mut client = Client::new();
    let headers = headers("POST", "/v1/chat/completions", &[("api-key", KEY)]);
    world.drive(
        &mut client,
        Event::RequestHeaders {
            headers: &headers,
            end: true,
            peer: None,
        },
    );
    assert_eq!(client.refusal().0, 400);
}

#[test]
fn models_are_listed_from_the_keys_record_as_it_is_now() {
    let mut world = World::with_limits(rpm(1));
    let list = |world: &mut World| {
        let mut client = Client::new();
        let headers = headers(
            "GET",
            "/v1/models",
            &[("authorization", &format!("Bearer {KEY}"))],
        );
        world.drive(
            &mut client,
            Event::RequestHeaders {
                headers: &headers,
                end: true,
                peer: None,
            },
        );
        let (status, _, body) = client.reply().unwrap();
        assert_eq!((status, body["object"].as_str()), (200, Some("list")));
        let ids = body["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list(&mut world), ["gpt-4o", "gpt-3.5-turbo", "embed"]);
    world.key(KEY, |key| {
        key.models = vec!["gpt-*".to_owned(), "special".to_owned()];
    });
    assert_eq!(list(&mut world), ["gpt-4o", "gpt-3.5-turbo", "special"]);
    world.key(KEY, |key| key.models = vec!["no-default-models".to_owned()]);
    assert_eq!(list(&mut world), Vec::<String>::new());
    for _ in 0..3 {
        list(&mut world);
    }
    let expires = world.redis_now();
    world.key(KEY, |key| key.expires_ms = Some(expires));
    let asked = headers("GET", "/v1/models", &[("api-key", KEY)]);
    assert_eq!(
        world.send(&asked, b"").refusal(),
        (401, "key_expired".to_owned())
    );
    assert!(
        !world.redis.log.contains(&"Admit".to_owned()),
        "a list counts against no limit"
    );
    assert_eq!(world.count(Metric::ModelsListed), 6);
}

#[test]
fn a_budget_that_does_not_bind_a_key_needs_no_price() {
    let mut world = World::new();
    let mut of_user = user("u1");
    of_user.limits = budget("1");
    let mut key = key_record(KEY);
    key.user = Some(of_user.id.clone());
    key.team = Some(team("t1").id);
    let owners = vec![
        (RecordId::user(&of_user.id), Record::User(of_user)),
        (RecordId::team(&team("t1").id), Record::Team(team("t1"))),
    ];
    world.publish(KEY, key, owners);
    assert!(world.chat(&HELLO.replace("gpt-4o", "claude")).resumed());
}
