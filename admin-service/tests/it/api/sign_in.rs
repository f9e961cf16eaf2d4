//! Signing in, sessions, passwords, and what throttles guessing.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::sign_in::password::Hasher;
use tollkeeper_admin::sign_in::secrets::Secret;

use super::clients::{
    Answer, Api, MASTER, ONE_MODEL, PASSWORD, assert_has, claims, detail, error, text,
};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::number;

const MINUTE_US: u64 = 60_000_000;

async fn login(api: &Api, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    api.anonymous().post("/v2/login", body).await
}

fn bad_credentials() -> (u16, Value) {
    error(
        401,
        "auth_error",
        Some("invalid_credentials"),
        "Invalid credentials used to access UI. Check 'UI_USERNAME' and 'UI_PASSWORD', or the password set for your user",
    )
}

/// A user with an address and a password.
async fn somebody(api: &Api, email: &str) -> String {
    let user = json!({"user_email": email, "user_role": "internal_user"});
    let user = api.master().post("/user/new", user).await.ok();
    let id = text(&user, "user_id").to_owned();
    api.signed_in(&id).await;
    id
}

async fn configured(database: Database, rest: &str) -> Api {
    Api::configured(database, &format!("{ONE_MODEL}\n{rest}\n"), Clock::System).await
}

async fn set_password(api: &Api, user_id: &str, hash: &str) {
    let statement = "INSERT INTO passwords (user_id, hash, changed_at) VALUES ($1, $2, 0) \
                     ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash";
    sqlx::query(statement)
        .bind(user_id.to_owned())
        .bind(hash.to_owned())
        .execute(&mut *api.database.store.read().await.unwrap())
        .await
        .unwrap();
}

async fn hash_of(api: &Api, user_id: &str) -> String {
    let row: (String,) = sqlx::query_as("SELECT hash FROM passwords WHERE user_id = $1")
        .bind(user_id.to_owned())
        .fetch_one(&mut *api.database.store.read().await.unwrap())
        .await
        .unwrap();
    row.0
}

on_both!(a_password_signs_in_by_form_and_by_json, both_ways);
async fn both_ways(database: Database) {
    let api = Api::start(database).await;
    let id = somebody(&api, "Ada@x.com").await;
    let form = async |body: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        api.anonymous()
            .call_with(Method::POST, "/login", Some(body), &headers)
            .await
    };
    assert_eq!(
        form("username=ada%40x.com&password=nope").await.refused(),
        bad_credentials()
    );
    let answer = form("username=ada%40x.com&password=Abcdef12345%21xyz").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/ui?login=success"));
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, rest) = cookie.split_once(';').unwrap();
    assert_eq!(rest, " Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
    assert!(
        pair.starts_with("tk_session=") && pair.len() == "tk_session=".len() + 43,
        "{pair}"
    );
    let browser = api.browser(&answer);
    assert_eq!(browser.get("/user/info").await.ok()["user_id"], json!(id));

    let answer = login(&api, "ADA@x.com ", PASSWORD).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let browser = api.browser(&answer);
    let body = answer.ok();
    assert_eq!(body["redirect_url"], "/ui?login=success");
    let told = claims(text(&body, "token"));
    assert_has(
        &told,
        &json!({"user_id": id, "key": null, "user_role": "internal_user", "login_method": "username_password"}),
    );
    let key = browser.post("/key/generate", json!({})).await.ok();
    assert_eq!(key["user_id"], json!(id), "a session acts as its user");
    assert_eq!(
        browser.post("/user/new", json!({})).await.status,
        401,
        "and may what its user may"
    );
    assert_eq!(
        api.client(Some(text(&body, "token")))
            .get("/user/info")
            .await
            .status,
        401,
        "the token is no credential"
    );
    // By id as well, and nobody else by anything else.
    assert_eq!(login(&api, &id, PASSWORD).await.status, 200);
    for (name, password) in [("nobody@x.com", PASSWORD), ("ada@x.com", ""), ("", "")] {
        assert_eq!(
            login(&api, name, password).await.refused(),
            bad_credentials()
        );
    }
    let nothing = json!({"username": "a"});
    assert_eq!(api.anonymous().post("/v2/login", nothing).await.status, 422);
    let stored = "SELECT COUNT(*) FROM sessions WHERE LENGTH(id_hash) = 64";
    assert_eq!(number(&api.database.store, stored).await, 4);
}

on_both!(the_environments_credentials_sign_in_as_admin, environment);
async fn environment(database: Database) {
    let file = "environment_variables:\n  UI_USERNAME: root\n  UI_PASSWORD: toor-toor\n  PROXY_ADMIN_ID: chief\n  PROXY_BASE_URL: https://gate.example/";
    let api = configured(database, file).await;
    for (name, password) in [("admin", MASTER), ("root", MASTER), ("admin", "toor-toor")] {
        assert_eq!(
            login(&api, name, password).await.refused(),
            bad_credentials()
        );
    }
    let answer = login(&api, "root", "toor-toor").await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-tk_session=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let browser = api.browser(&answer);
    assert_eq!(
        answer.ok()["redirect_url"],
        "https://gate.example/ui?login=success"
    );
    assert_has(
        &browser.get("/user/info?user_id=chief").await.ok(),
        &json!({"user_id": "chief", "user_info": {"user_role": "proxy_admin"}}),
    );
    browser.post("/user/new", json!({})).await.ok();
    // The row says less, the credentials say admin; blocked is blocked.
    let block = json!({"user_id": "chief", "blocked": true});
    api.master().post("/user/update", block).await.ok();
    assert_eq!(browser.get("/user/list").await.status, 401);
    assert_eq!(login(&api, "root", "toor-toor").await.status, 401);
}

on_both!(
    the_environments_credentials_are_admin_and_master_key_unless_disabled,
    default_environment
);
async fn default_environment(database: Database) {
    let url = database.url.clone();
    let api = Api::start(database).await;
    let answer = login(&api, "admin", MASTER).await;
    let browser = api.browser(&answer);
    let told = claims(text(&answer.ok(), "token"));
    assert_has(
        &told,
        &json!({"user_id": "default_user_id", "user_role": "proxy_admin"}),
    );
    browser.get("/user/info").await.ok();
    // The same database under a configuration that knows no such sign-in: the session ends with it.
    let off = format!("{ONE_MODEL}\ngeneral_settings: {{ disable_env_credential_login: true }}\n");
    let moved = Api::on(&url, &api.redis.server.url(), &off).await;
    assert_eq!(moved.call(&browser, "/user/info").await, 401);
    let body = json!({"username": "admin", "password": MASTER});
    assert_eq!(moved.post("/v2/login", &body).await, 401);
    // Nor does it outlive other credentials.
    let other = format!("{ONE_MODEL}\nenvironment_variables: {{ UI_PASSWORD: other }}\n");
    let moved = Api::on(&url, &api.redis.server.url(), &other).await;
    assert_eq!(moved.call(&browser, "/user/info").await, 401);
}

on_both!(a_session_ends_in_every_way_it_should, ends);
async fn ends(database: Database) {
    let now = Clock::System.now_us();
    let clock = Clock::manual(now);
    let file =
        format!("{ONE_MODEL}\nenvironment_variables: {{ LITELLM_UI_SESSION_DURATION: 12h }}\n");
    let api = Api::configured(database, &file, clock.clone()).await;
    let master = api.master();
    let id = somebody(&api, "a@x.com").await;
    let enter = async || api.browser(&login(&api, "a@x.com", PASSWORD).await);

    let (one, other) = (enter().await, enter().await);
    assert_eq!(
        one.post("/session/logout", json!({})).await.ok(),
        json!({"message": "Session revoked."})
    );
    assert_eq!(
        one.get("/user/info").await.refused(),
        error(
            401,
            "auth_error",
            None,
            "Authentication Error, the session is over. Sign in again."
        )
    );
    other.get("/user/info").await.ok();
    let left = other.get("/logout").await;
    assert_eq!(left.status, 303);
    assert_eq!(left.header("location"), Some("/ui/login"));
    assert!(
        left.header("set-cookie")
            .unwrap()
            .starts_with("tk_session=; Path=/; Max-Age=0")
    );
    assert_eq!(other.get("/user/info").await.status, 401);

    // Blocked, its role changed, unblocked.
    let browser = enter().await;
    let update = async |body: Value| master.post("/user/update", body).await.ok();
    update(json!({"user_id": id, "blocked": true})).await;
    assert_eq!(browser.get("/user/info").await.status, 401);
    assert_eq!(login(&api, "a@x.com", PASSWORD).await.status, 401);
    update(json!({"user_id": id, "blocked": false})).await;
    assert_eq!(browser.get("/user/list").await.status, 403);
    update(json!({"user_id": id, "user_role": "proxy_admin_viewer"})).await;
    browser.get("/user/list").await.ok();

    // Unused for eight hours; and after twelve in any case.
    let hour = 60 * MINUTE_US;
    let idle = enter().await;
    clock.set_us(now + 7 * hour);
    browser.get("/user/info").await.ok();
    clock.set_us(now + 8 * hour);
    assert_eq!(idle.get("/user/info").await.status, 401);
    browser.get("/user/info").await.ok();
    clock.set_us(now + 12 * hour - 1);
    browser.get("/user/info").await.ok();
    clock.set_us(now + 12 * hour);
    assert_eq!(browser.get("/user/info").await.status, 401);

    let browser = enter().await;
    master
        .post("/user/delete", json!({"user_ids": [id]}))
        .await
        .ok();
    assert_eq!(browser.get("/user/info").await.status, 401);
    for table in ["passwords", "invitations", "sessions"] {
        let statement = match table {
            "passwords" => "SELECT COUNT(*) FROM passwords",
            "invitations" => "SELECT COUNT(*) FROM invitations",
            _ => "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL",
        };
        assert_eq!(number(&api.database.store, statement).await, 0, "{table}");
    }
}

on_both!(what_is_no_session_does_nothing, no_session);
async fn no_session(database: Database) {
    let api = Api::start(database).await;
    let person = api.person("internal_user").await;
    let other = api.person("internal_user").await;
    let browser = api.signed_in(&person.id).await;
    assert_eq!(
        person
            .client
            .post("/session/logout", json!({}))
            .await
            .refused(),
        detail(
            403,
            json!({"error": "Only UI session tokens can be revoked through this endpoint."})
        )
    );
    let stored = "SELECT COUNT(*) FROM sessions WHERE id_hash = 'x'";
    assert_eq!(number(&api.database.store, stored).await, 0);
    let get = async |headers: &[(&str, &str)]| {
        api.anonymous()
            .call_with(Method::GET, "/user/info", None, headers)
            .await
            .status
            .as_u16()
    };
    assert_eq!(get(&[("cookie", "tk_session=forged")]).await, 401);
    assert_eq!(get(&[("cookie", "tk_session=")]).await, 401);
    let cookie = browser.cookie();
    let hash: (String,) = sqlx::query_as("SELECT id_hash FROM sessions")
        .fetch_one(&mut *api.database.store.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        get(&[("cookie", &format!("tk_session={}", hash.0))]).await,
        401,
        "what the database knows is no cookie"
    );
    assert_eq!(
        get(&[("cookie", &format!("a=b; {cookie}; c=d"))]).await,
        200
    );

    // A key beside the cookie must be of the same user.
    let with = async |client: &super::clients::Client, cookie: &str| {
        client
            .call_with(Method::GET, "/user/info", None, &[("cookie", cookie)])
            .await
    };
    with(&person.client, cookie).await.ok();
    assert_eq!(with(&other.client, cookie).await.status, 400);
    assert_eq!(with(&api.master(), cookie).await.status, 400);
    assert_eq!(with(&api.stranger(), cookie).await.status, 401);
    with(&other.client, "tk_session=forged").await.ok();
}

on_both!(a_session_writes_from_own_pages_only, own_pages);
async fn own_pages(database: Database) {
    let api = Api::start(database).await;
    let person = api.person("internal_user").await;
    let browser = api.signed_in(&person.id).await;
    let cookie = browser.cookie();
    let host = api.address();
    let origin = format!("http://{host}");
    let call = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie)];
        all.extend(headers);
        let body = (method == Method::POST).then_some("{}");
        let answer = api.anonymous().call_with(method, path, body, &all).await;
        answer.status.as_u16()
    };
    let post = async |headers: &[(&str, &str)]| call(Method::POST, "/key/generate", headers).await;
    for (headers, why) in [
        (vec![], "nothing says where from"),
        (vec![("sec-fetch-site", "cross-site")], "another site"),
        (vec![("sec-fetch-site", "same-site")], "a neighbour"),
        (vec![("sec-fetch-site", "none")], "nowhere"),
        (vec![("origin", "https://evil.example")], "another origin"),
        (vec![("origin", "null")], "no origin"),
        (
            vec![("sec-fetch-site", "cross-site"), ("origin", &origin)],
            "what the browser says counts",
        ),
    ] {
        assert_eq!(post(&headers).await, 403, "{why}");
    }
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]).await, 200);
    assert_eq!(post(&[("origin", &origin)]).await, 200);
    assert_eq!(
        call(
            Method::GET,
            "/user/info",
            &[("sec-fetch-site", "cross-site")]
        )
        .await,
        200,
        "reading changes nothing, and no other page can read the answer"
    );
    // Nor does another site sign anybody in as whom it likes.
    let body = json!({"username": "admin", "password": MASTER}).to_string();
    let from = [("origin", "https://evil.example")];
    let login = api
        .anonymous()
        .call_with(Method::POST, "/v2/login", Some(&body), &from)
        .await;
    assert_eq!(login.status, 403);
}

on_both!(a_password_is_changed_by_who_signed_in_with_it, change);
async fn change(database: Database) {
    let api = Api::start(database).await;
    let id = somebody(&api, "a@x.com").await;
    let path = "/user/password/change";
    let body = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let enter = async |password: &str| api.browser(&login(&api, "a@x.com", password).await);
    let (browser, other) = (enter(PASSWORD).await, enter(PASSWORD).await);
    let new = "Zbcdef12345!xyz";
    assert_eq!(
        browser.post(path, body("x", new)).await.refused(),
        detail(400, json!({"error": "Current password is incorrect."}))
    );
    let weak = browser.post(path, body(PASSWORD, "short")).await.refused();
    assert_eq!(
        (weak.0, &weak.1["error"]["param"]),
        (400, &json!("password"))
    );
    let long = "Aa1!".repeat(257);
    assert_eq!(browser.post(path, body(PASSWORD, &long)).await.status, 400);
    assert_eq!(
        browser.post(path, body(PASSWORD, new)).await.ok(),
        json!({"user_id": id, "message": "Password updated successfully."})
    );
    browser.get("/user/info").await.ok();
    assert_eq!(other.get("/user/info").await.status, 401, "others end");
    assert_eq!(login(&api, "a@x.com", PASSWORD).await.status, 401);
    assert_eq!(login(&api, "a@x.com", new).await.status, 200);

    let refused = detail(
        403,
        json!({"error": "Passwords can only be changed from a dashboard session created by logging in with a password."}),
    );
    let person = api.person("internal_user").await;
    assert_eq!(
        person.client.post(path, body("x", new)).await.refused(),
        refused
    );
    let admin = api.browser(&login(&api, "admin", MASTER).await);
    assert_eq!(admin.post(path, body(MASTER, new)).await.refused(), refused);
    // No hash is in the audit log, but that it was changed is.
    let store = &api.database.store;
    let told = "SELECT COUNT(*) FROM audit_log WHERE updated_values LIKE '%password%'";
    assert_eq!(number(store, told).await, 2);
    let leaked = "SELECT COUNT(*) FROM audit_log WHERE updated_values LIKE '%argon2%'";
    assert_eq!(number(store, leaked).await, 0);
}

on_both!(imported_hashes_sign_in_once_and_are_replaced, imported);
async fn imported(database: Database) {
    let api = Api::start(database).await;
    let id = somebody(&api, "a@x.com").await;
    // argon2id of less memory, as an earlier version might have stored it.
    let cheap = argon2::Params::new(64, 1, 1, None).unwrap();
    let secret = Secret::new(PASSWORD.to_owned());
    let argon2 = Hasher::with(cheap).hash(secret).await.unwrap();
    for former in [
        // hashlib.scrypt(b"Abcdef12345!xyz", salt=bytes(range(16)), n=16384, r=8, p=1, dklen=32)
        "scrypt:AAECAwQFBgcICQoLDA0ODwWnagZE/aki9KWJj5BAi1rYnx3u0UarIag0NDYOqdG6",
        // hashlib.sha256(b"Abcdef12345!xyz").hexdigest()
        "f8ffeca3509d9519438ae16984dbd2c2f53a21cb15a5d06c7bccbb09db8ebcdf",
        &argon2,
    ] {
        set_password(&api, &id, former).await;
        assert_eq!(
            login(&api, "a@x.com", "nope").await.refused(),
            bad_credentials()
        );
        assert_eq!(hash_of(&api, &id).await, former);
        assert_eq!(
            login(&api, "a@x.com", PASSWORD).await.status,
            200,
            "{former}"
        );
        let replaced = hash_of(&api, &id).await;
        assert!(
            replaced.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{replaced}"
        );
        assert_eq!(login(&api, "a@x.com", PASSWORD).await.status, 200);
        assert_eq!(hash_of(&api, &id).await, replaced);
    }
}

on_both!(guessing_is_throttled_per_name_and_per_source, throttled);
async fn throttled(database: Database) {
    let now = Clock::System.now_us();
    let clock = Clock::manual(now);
    let file =
        format!("{ONE_MODEL}\ngeneral_settings: {{ trusted_proxy_ranges: [127.0.0.0/8] }}\n");
    let api = Api::configured(database, &file, clock.clone()).await;
    somebody(&api, "a@x.com").await;
    somebody(&api, "b@x.com").await;
    let from = async |source: &str, name: &str, password: &str| {
        let body = json!({"username": name, "password": password}).to_string();
        let headers = [("x-forwarded-for", source)];
        api.anonymous()
            .call_with(Method::POST, "/v2/login", Some(&body), &headers)
            .await
    };
    let blocked = |answer: Answer, seconds: &str| {
        assert_eq!(answer.header("retry-after"), Some(seconds));
        assert_eq!(
            answer.refused(),
            error(
                429,
                "auth_error",
                Some("username"),
                "Too many failed sign-in attempts. Try again later."
            )
        );
    };
    // Six failures of one name, each from another address: whatever comes then is refused, right or wrong.
    for at in 0..6 {
        let source = format!("10.0.0.{at}");
        assert_eq!(from(&source, "A@x.com", "nope").await.status, 401);
    }
    blocked(from("10.0.0.9", "a@x.com", PASSWORD).await, "300");
    assert_eq!(
        from("10.0.0.9", "b@x.com", PASSWORD).await.status,
        200,
        "others go in"
    );
    clock.set_us(now + 299 * 1_000_000 + 500_000);
    blocked(from("10.0.0.9", "a@x.com", PASSWORD).await, "1");
    clock.set_us(now + 300 * 1_000_000);
    assert_eq!(
        from("10.0.0.9", "a@x.com", PASSWORD).await.status,
        200,
        "not longer for trying"
    );

    // Ten failures of one address, each of another name.
    let now = now + 1_000 * 1_000_000;
    clock.set_us(now);
    for at in 0..10 {
        let name = format!("n{at}@x.com");
        assert_eq!(from("10.1.0.1", &name, "nope").await.status, 401);
    }
    blocked(from("10.1.0.1", "b@x.com", PASSWORD).await, "300");
    assert_eq!(from("10.1.0.2", "b@x.com", PASSWORD).await.status, 200);
    // What a caller claims beyond the trusted proxies says nothing.
    blocked(from("9.9.9.9, 10.1.0.1", "b@x.com", PASSWORD).await, "300");

    // A window of a minute from the first failure.
    let now = now + 1_000 * 1_000_000;
    clock.set_us(now);
    for at in 0..5 {
        clock.set_us(now + at);
        assert_eq!(from("10.2.0.1", "a@x.com", "nope").await.status, 401);
    }
    clock.set_us(now + MINUTE_US);
    for _ in 0..5 {
        assert_eq!(from("10.2.0.1", "a@x.com", "nope").await.status, 401);
    }
    assert_eq!(from("10.2.0.1", "a@x.com", PASSWORD).await.status, 200);
    assert_eq!(
        number(
            &api.database.store,
            "SELECT COUNT(*) FROM sign_in_attempts WHERE scope LIKE '%@%'"
        )
        .await,
        0,
        "names are kept hashed"
    );
}

on_both!(
    many_guesses_at_once_are_not_more_than_one_after_another,
    at_once
);
async fn at_once(database: Database) {
    let api = Api::start(database).await;
    somebody(&api, "a@x.com").await;
    let all = (0..20).map(|_| login(&api, "a@x.com", "nope"));
    let all = futures::future::join_all(all).await;
    let looked_at = all.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 6);
    assert!(
        all.iter()
            .all(|answer| answer.status == 401 || answer.status == 429)
    );
    assert_eq!(login(&api, "a@x.com", PASSWORD).await.status, 429);
}

on_both!(two_services_count_failures_together, together);
async fn together(database: Database) {
    let url = database.url.clone();
    let api = Api::start(database).await;
    let other = Api::on(&url, &api.redis.server.url(), ONE_MODEL).await;
    let body = json!({"username": "a@x.com", "password": "nope"});
    for _ in 0..3 {
        assert_eq!(login(&api, "a@x.com", "nope").await.status, 401);
        assert_eq!(other.post("/v2/login", &body).await, 401);
    }
    assert_eq!(login(&api, "a@x.com", "nope").await.status, 429);
    assert_eq!(other.post("/v2/login", &body).await, 429);
}

on_both!(unknown_users_cost_what_known_ones_cost, same_cost);
async fn same_cost(database: Database) {
    let api = Api::start(database).await;
    let id = somebody(&api, "a@x.com").await;
    let person = api.person_with(json!({"user_email": "b@x.com"})).await;
    let hasher = &api.service.app().passwords;
    for name in ["a@x.com", "b@x.com", "nobody@x.com", &id, &person.id] {
        let before = hasher.computed();
        assert_eq!(login(&api, name, "nope").await.refused(), bad_credentials());
        assert_eq!(hasher.computed() - before, 1, "{name}");
    }
}

on_both!(pages_are_told_what_they_must_know, pages);
async fn pages(database: Database) {
    let file = "environment_variables:\n  PROXY_BASE_URL: https://gate.example\n  PROXY_LOGOUT_URL: https://www.google.com\n  GOOGLE_CLIENT_ID: g\ngeneral_settings:\n  default_team_disabled: true\n  disable_password_login_when_sso_enabled: true";
    let api = configured(database, file).await;
    assert_has(
        &api.anonymous()
            .get("/.well-known/litellm-ui-config")
            .await
            .ok(),
        &json!({"server_root_path": "/", "proxy_base_url": "https://gate.example", "auto_redirect_to_sso": false,
            "admin_ui_disabled": false, "sso_configured": true, "is_control_plane": false}),
    );
    assert_eq!(
        api.keyholder().await.get("/sso/get/ui_settings").await.ok(),
        json!({"PROXY_BASE_URL": "https://gate.example", "PROXY_LOGOUT_URL": "https://www.google.com",
            "LITELLM_UI_API_DOC_BASE_URL": null, "DEFAULT_TEAM_DISABLED": true, "SSO_ENABLED": true,
            "NUM_SPEND_LOGS_ROWS": -1, "DISABLE_EXPENSIVE_DB_QUERIES": false})
    );
    let (status, body) = api.master().get("/sso/readiness").await.refused();
    assert_eq!(status, 503);
    assert!(text(&body["detail"], "error").ends_with("GOOGLE_CLIENT_SECRET"));
    let left = api.anonymous().get("/logout").await;
    assert_eq!(left.header("location"), Some("https://www.google.com"));
    assert_eq!(login(&api, "admin", MASTER).await.status, 403, "SSO only");
    // Links are built from PROXY_BASE_URL, whatever host was asked.
    let person = api.person("internal_user").await;
    let link = api.invite(&person.id).await;
    let path = format!("/onboarding/get_token?invite_link={link}");
    let traded = api
        .anonymous()
        .call_with(Method::GET, &path, None, &[("host", "evil.example")])
        .await
        .ok();
    assert!(text(&traded, "login_url").starts_with("https://gate.example/ui/onboarding?token="));
}

on_both!(
    without_a_provider_sso_is_ready_and_not_configured,
    no_provider
);
async fn no_provider(database: Database) {
    let api = Api::start(database).await;
    assert_eq!(
        api.master().get("/sso/readiness").await.ok(),
        json!({"status": "healthy", "sso_configured": false, "message": "No SSO provider configured"})
    );
}

on_both!(admin_only_pages_let_admins_in, admin_only);
async fn admin_only(database: Database) {
    let api = configured(database, "general_settings: { ui_access_mode: admin_only }").await;
    let user = json!({"user_email": "a@x.com", "user_role": "internal_user"});
    let user = api.master().post("/user/new", user).await.ok();
    let id = text(&user, "user_id");
    let link = api.invite(id).await;
    assert_eq!(
        api.claim(&link, id, PASSWORD).await.refused(),
        detail(
            401,
            json!({"error": "User not allowed to access proxy. User role=internal_user, proxy mode=admin_only"})
        )
    );
    assert_eq!(login(&api, "admin", MASTER).await.status, 200);
    let viewer = api.person("proxy_admin_viewer").await;
    api.signed_in(&viewer.id).await;
}
