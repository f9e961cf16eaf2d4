//! Invitations and onboarding.

use reqwest::Method;
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;

use super::clients::{
    Answer, Api, Client, ONE_MODEL, PASSWORD, assert_has, claims, detail, error, text,
};
use crate::on_both;
use crate::support::database::Database;
use crate::support::rows::number;

const DAY_US: u64 = 86_400_000_000;

fn refused_link(why: &str) -> (u16, Value) {
    detail(401, json!({ "error": why }))
}

async fn new_user(api: &Api, body: Value) -> String {
    let user = api.master().post("/user/new", body).await.ok();
    text(&user, "user_id").to_owned()
}

async fn trade(api: &Api, link: &str) -> Answer {
    let path = format!("/onboarding/get_token?invite_link={link}");
    api.anonymous().get(&path).await
}

async fn claim_with(api: &Api, token: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let path = "/onboarding/claim_token";
    api.anonymous()
        .call_with(Method::POST, path, Some(&body.to_string()), &headers)
        .await
}

on_both!(an_invitation_is_answered_as_litellm_recorded_it, recorded);
async fn recorded(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user = json!({"user_email": "Inv@X.com", "user_role": "internal_user"});
    let user_id = new_user(&api, user).await;
    let missing = "{'error': \"User id does not exist in 'LiteLLM_UserTable'. Fix this by creating user via `/user/new`.\"}";
    let answer = master
        .post("/invitation/new", json!({"user_id": "nope"}))
        .await;
    assert_eq!(
        answer.refused(),
        error(400, "invalid_request_error", None, missing)
    );
    assert_eq!(
        master.post("/invitation/new", json!({})).await.refused(),
        (
            422,
            json!({"detail": [{"type": "missing", "loc": ["body", "user_id"], "msg": "Field required"}]})
        )
    );
    let answer = master
        .post("/invitation/new", json!({"user_id": user_id}))
        .await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let invitation = answer.ok();
    assert_has(
        &invitation,
        &json!({"id": "*", "user_id": user_id, "is_accepted": false, "accepted_at": null, "expires_at": "*",
            "created_at": "*", "created_by": "default_user_id", "updated_at": "*", "updated_by": "default_user_id"}),
    );
    let id = text(&invitation, "id");
    let info = format!("/invitation/info?invitation_id={id}");
    assert_eq!(master.get(&info).await.ok(), invitation);

    let traded = trade(&api, id).await.ok();
    assert_eq!(traded["user_email"], "Inv@X.com");
    let token = text(&traded, "token");
    assert_eq!(
        text(&traded, "login_url"),
        format!("/ui/onboarding?token={token}&user_email=Inv%40X.com")
    );
    let told = claims(token);
    assert_has(
        &told,
        &json!({"user_id": user_id, "key": "*", "user_email": "Inv@X.com", "user_role": "internal_user",
            "login_method": "username_password", "premium_user": "*", "auth_header_name": "Authorization",
            "disabled_non_admin_personal_key_creation": false, "server_root_path": "",
            "password_reset_required": false, "exp": "*"}),
    );
    let onboarding = text(&told, "key").to_owned();
    assert_has(
        &claims(&onboarding),
        &json!({"token_type": "litellm_onboarding", "invitation_link": id, "user_id": user_id, "exp": "*"}),
    );
}

on_both!(a_claim_is_answered_as_litellm_recorded_it, claimed);
async fn claimed(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let user = json!({"user_email": "Inv@X.com", "user_role": "internal_user"});
    let user_id = new_user(&api, user).await;
    let id = api.invite(&user_id).await;
    let info = format!("/invitation/info?invitation_id={id}");
    let onboarding = api.onboarding_token(&id).await;
    let claim = |user: &str, password: &str| json!({"invitation_link": id, "user_id": user, "password": password});
    let anonymous = api.anonymous();
    let path = "/onboarding/claim_token";
    assert_eq!(
        anonymous
            .post(path, claim(&user_id, PASSWORD))
            .await
            .refused(),
        refused_link("Missing onboarding session for invitation link.")
    );
    let invalid = refused_link("Invalid onboarding session for invitation link.");
    assert_eq!(
        master.post(path, claim(&user_id, PASSWORD)).await.refused(),
        invalid
    );
    assert_eq!(
        claim_with(&api, &onboarding, claim("zzz", PASSWORD))
            .await
            .refused(),
        refused_link(&format!(
            "Invalid invitation link. The user id submitted does not match the user id this link is attached to. Got=zzz, Expected={user_id}"
        ))
    );
    assert_eq!(
        claim_with(&api, &onboarding, claim(&user_id, "abc"))
            .await
            .refused(),
        error(
            400,
            "validation_error",
            Some("password"),
            "Password does not meet the required policy: must be at least 12 characters long, include an uppercase letter, include a number, include a special character."
        )
    );
    let answer = claim_with(&api, &onboarding, claim(&user_id, PASSWORD)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let browser = api.browser(&answer);
    let claimed = answer.ok();
    assert_has(
        &claimed,
        &json!({"login_url": "/ui?login=success", "token": "*", "user_email": "Inv@X.com",
            "user": {"user_id": user_id, "user_role": "internal_user", "spend": 0.0, "user_email": "Inv@X.com"}}),
    );
    assert_eq!(
        browser.get("/user/info").await.ok()["user_id"],
        json!(user_id)
    );
    let over = refused_link("Invitation link has already been used.");
    assert_eq!(
        claim_with(&api, &onboarding, claim(&user_id, "Zbcdef12345!xyz"))
            .await
            .refused(),
        over
    );
    assert_eq!(trade(&api, &id).await.refused(), over);
    assert_has(
        &master.get(&info).await.ok(),
        &json!({"id": id, "is_accepted": true, "accepted_at": "*", "updated_by": user_id}),
    );
    // Nothing that was answered on the way is a credential by itself.
    for token in [onboarding.as_str(), text(&claimed, "token")] {
        let holder = api.client(Some(token));
        assert_eq!(holder.get("/user/info").await.status, 401);
    }
}

on_both!(an_admin_reads_changes_and_deletes_invitations, kept);
async fn kept(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let person = api.person("internal_user").await;
    let link = api.invite(&person.id).await;
    let missing = detail(
        400,
        json!({"error": "Invitation id does not exist in the database."}),
    );
    assert_eq!(
        master
            .get("/invitation/info?invitation_id=nope")
            .await
            .refused(),
        missing
    );
    assert_eq!(master.get("/invitation/info").await.refused().0, 422);

    let accept = |accepted: bool| json!({"invitation_id": link, "is_accepted": accepted});
    let accepted = master.post("/invitation/update", accept(true)).await.ok();
    assert_has(
        &accepted,
        &json!({"id": link, "is_accepted": true, "accepted_at": "*"}),
    );
    assert_eq!(
        trade(&api, &link).await.refused(),
        refused_link("Invitation link has already been used.")
    );
    let reopened = master.post("/invitation/update", accept(false)).await.ok();
    assert_eq!(
        reopened["is_accepted"], true,
        "a used link is never open again"
    );

    let named = json!({ "invitation_id": link });
    let deleted = master.post("/invitation/delete", named.clone()).await.ok();
    assert_eq!(deleted["id"], json!(link));
    assert_eq!(
        master.post("/invitation/delete", named).await.refused(),
        missing
    );
    assert_eq!(
        master
            .post("/invitation/update", accept(true))
            .await
            .refused(),
        missing
    );
    assert_eq!(
        trade(&api, &link).await.refused(),
        refused_link("Invitation link does not exist in db.")
    );

    // The audit log tells whom it was about; the link itself is a secret.
    let store = &api.database.store;
    assert_eq!(
        number(
            store,
            "SELECT COUNT(*) FROM audit_log WHERE table_name = 'LiteLLM_InvitationLink'"
        )
        .await,
        4
    );
    let like = "SELECT COUNT(*) FROM audit_log WHERE COALESCE(before_value, '') LIKE '%invitation_id%' OR object_id IN (SELECT id FROM invitations)";
    assert_eq!(number(store, like).await, 0);
}

on_both!(
    a_link_lasts_seven_days_to_the_second_and_its_token_fifteen_minutes,
    lasts
);
async fn lasts(database: Database) {
    let now = Clock::System.now_us();
    let clock = Clock::manual(now);
    let api = Api::configured(database, ONE_MODEL, clock.clone()).await;
    let person = api.person("internal_user").await;
    let link = api.invite(&person.id).await;
    let token = api.onboarding_token(&link).await;
    let claim = json!({"invitation_link": link, "user_id": person.id, "password": PASSWORD});

    clock.set_us(now + 15 * 60_000_000);
    assert_eq!(
        claim_with(&api, &token, claim.clone()).await.refused(),
        refused_link("Invalid onboarding session for invitation link.")
    );
    clock.set_us(now + 7 * DAY_US - 1);
    let token = api.onboarding_token(&link).await;
    clock.set_us(now + 7 * DAY_US);
    let expired = refused_link("Invitation link has expired.");
    assert_eq!(trade(&api, &link).await.refused(), expired);
    assert_eq!(claim_with(&api, &token, claim).await.refused(), expired);
    let link = api.invite(&person.id).await;
    assert_eq!(api.claim(&link, &person.id, PASSWORD).await.status, 200);
}

on_both!(
    a_newer_invitation_ends_the_older_and_resets_the_password,
    newer
);
async fn newer(database: Database) {
    let api = Api::start(database).await;
    let person = api
        .person_with(json!({"user_email": "a@x.com", "user_role": "internal_user"}))
        .await;
    let older = api.invite(&person.id).await;
    let token = api.onboarding_token(&older).await;
    let newer = api.invite(&person.id).await;
    let expired = refused_link("Invitation link has expired.");
    assert_eq!(trade(&api, &older).await.refused(), expired);
    let claim = json!({"invitation_link": older, "user_id": person.id, "password": PASSWORD});
    assert_eq!(
        claim_with(&api, &token, claim.clone()).await.refused(),
        expired
    );
    // A token of one link claims no other.
    let mut other = claim;
    other["invitation_link"] = json!(newer);
    assert_eq!(
        claim_with(&api, &token, other).await.refused(),
        refused_link("Invalid onboarding session for invitation link.")
    );
    let answer = api.claim(&newer, &person.id, PASSWORD).await;
    let browser = api.browser(&answer);
    browser.get("/user/info").await.ok();

    // A third link is how a password is reset: who signed in with the former one is out.
    let third = api.invite(&person.id).await;
    let answer = api.claim(&third, &person.id, "Zbcdef12345!xyz").await;
    assert_eq!(answer.status, 200);
    assert_eq!(browser.get("/user/info").await.status, 401);
    let login = |password: &str| json!({"username": "a@x.com", "password": password});
    let anonymous = api.anonymous();
    assert_eq!(
        anonymous.post("/v2/login", login(PASSWORD)).await.status,
        401
    );
    assert_eq!(
        anonymous
            .post("/v2/login", login("Zbcdef12345!xyz"))
            .await
            .status,
        200
    );
}

on_both!(a_forged_token_claims_nothing, forged);
async fn forged(database: Database) {
    use base64::Engine as _;
    let api = Api::start(database).await;
    let person = api.person("internal_user").await;
    let other = api.person("internal_user").await;
    let link = api.invite(&person.id).await;
    let others_token = api.onboarding_token(&api.invite(&other.id).await).await;
    let token = api.onboarding_token(&link).await;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let parts = token.split('.').collect::<Vec<_>>();
    let none = encode(r#"{"alg":"none","typ":"JWT"}"#.to_owned());
    let page = trade(&api, &link).await.ok();
    let claim = json!({"invitation_link": link, "user_id": person.id, "password": PASSWORD});
    for forged in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(43)),
        others_token,
        text(&page, "token").to_owned(),
    ] {
        assert_eq!(
            claim_with(&api, &forged, claim.clone()).await.refused(),
            refused_link("Invalid onboarding session for invitation link."),
            "{forged}"
        );
    }
    assert_eq!(claim_with(&api, &token, claim).await.status, 200);
}

on_both!(of_many_claims_of_one_link_one_wins, one_winner);
async fn one_winner(database: Database) {
    let file = format!(
        "{ONE_MODEL}\ngeneral_settings: {{ max_failed_login_attempts_per_source: 1000 }}\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let user = json!({"user_email": "a@x.com", "user_role": "internal_user"});
    let user_id = new_user(&api, user).await;
    let link = api.invite(&user_id).await;
    let token = api.onboarding_token(&link).await;
    let password = |at: usize| format!("Abcdef12345!xyz{at}");
    let all = (0..12).map(|at| {
        let claim = json!({"invitation_link": link, "user_id": user_id, "password": password(at)});
        claim_with(&api, &token, claim)
    });
    let all = futures::future::join_all(all).await;
    let winners = (0..all.len())
        .filter(|at| all[*at].status == 200)
        .collect::<Vec<_>>();
    assert_eq!(winners.len(), 1, "{all:?}");
    for loser in all.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(
            loser.refused(),
            refused_link("Invitation link has already been used.")
        );
    }
    let login = json!({"username": "a@x.com", "password": password(winners[0])});
    api.anonymous().post("/v2/login", login).await.ok();
}

on_both!(
    admins_of_a_team_invite_who_is_theirs_alone_and_has_no_password,
    scope
);
async fn scope(database: Database) {
    let api = Api::start(database).await;
    let master = api.master();
    let lead = api.person("internal_user").await;
    let mate = api.person("internal_user").await;
    let stranger = api.person("internal_user").await;
    let boss = api.person("proxy_admin").await;
    let team = async |members: Value| {
        let team = master
            .post("/team/new", json!({"members_with_roles": members}))
            .await;
        text(&team.ok(), "team_id").to_owned()
    };
    let member = |id: &str, role: &str| json!({"user_id": id, "role": role});
    team(json!([
        member(&lead.id, "admin"),
        member(&mate.id, "user"),
        member(&boss.id, "user")
    ]))
    .await;
    let invite = async |by: &Client, user: &str| {
        by.post("/invitation/new", json!({"user_id": user}))
            .await
            .status
            .as_u16()
    };
    assert_eq!(invite(&lead.client, &mate.id).await, 200);
    for (who, whom, why) in [
        (&lead.client, &stranger.id, "nobody of theirs"),
        (&lead.client, &boss.id, "more rights than theirs"),
        (&lead.client, &lead.id, "themselves"),
        (&mate.client, &stranger.id, "who administers nothing"),
        (&lead.client, &"nope".to_owned(), "nobody"),
    ] {
        assert_eq!(invite(who, whom).await, 400, "{why}");
    }
    assert_eq!(
        mate.client
            .post("/invitation/new", json!({"user_id": lead.id}))
            .await
            .refused(),
        error(
            400,
            "invalid_request_error",
            None,
            "{'error': 'Admin-only endpoint. Not allowed to access this., your role=internal_user'}"
        )
    );
    let elsewhere = team(json!([member(&mate.id, "user")])).await;
    assert_eq!(
        invite(&lead.client, &mate.id).await,
        400,
        "in another team too"
    );
    master
        .post("/team/delete", json!({"team_ids": [elsewhere]}))
        .await
        .ok();
    assert_eq!(invite(&lead.client, &mate.id).await, 200);
    api.signed_in(&mate.id).await;
    assert_eq!(
        invite(&lead.client, &mate.id).await,
        400,
        "who has a password"
    );
}
