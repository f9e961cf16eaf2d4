//! Every route × everybody who may come, asking for what is theirs and for what is somebody else's.
//!
//! What the policy table says must hold of every answer; the statuses themselves are in `sweep.txt`, for people to read: for each who comes the status
//! for somebody else's object, then after a slash the one for their own. `TOLLKEEPER_REGENERATE=1` writes the file. Every request is one that would be
//! done for whoever may, so that no mistake in it hides whether they may.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::json;
use tollkeeper_admin::caller::Role;
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::policy::{Action, Reach, Relation, Verdict};
use tollkeeper_admin::router::row::{Access, Row, Sent};
use tollkeeper_admin::router::rows;

use super::clients::{Answer, Api, ONE_MODEL};
use crate::on_both;
use crate::support::database::Database;

mod calls;
mod visitors;

use calls::{OPEN, OTHERS, TEAM_KEY, Target, UNKNOWN, request, target};
use visitors::{Related, Visitor, visitors};

async fn call(row: &Row, visitor: &Visitor, target: &Target) -> Answer {
    let (path, body) = request(row, target);
    let method = Method::from_bytes(row.method.as_bytes()).unwrap();
    let leaving = match &visitor.user {
        // A session that ends is none that others of these calls still need.
        Some(user) if visitor.browser && row.path.ends_with("logout") => {
            Some(visitor.client.again(user).await)
        }
        _ => None,
    };
    let client = leaving.as_ref().unwrap_or(&visitor.client);
    let answer = client.call_with(method, &path, body.as_deref(), visitor.headers);
    Box::pin(answer).await
}

/// Whatever is done names the field that nobody knows.
fn names_the_unknown(row: &Row, answer: &Answer) -> Result<(), String> {
    let sent = matches!(row.sent, Sent::Json(_)) || row.leaves_body();
    let named = || answer.header("x-tollkeeper-ignored-fields") == Some(UNKNOWN);
    if sent && answer.status.is_success() && !named() {
        return Err("does not say that it ignored a field".to_owned());
    }
    Ok(())
}

/// Holds an answer against the table.
fn judge(row: &Row, visitor: &Visitor, own: bool, answer: &Answer) -> Result<(), String> {
    let status = answer.status.as_u16();
    let refused = matches!(status, 401 | 403);
    let expected = |codes: &[u16]| {
        if codes.contains(&status) {
            Ok(())
        } else {
            Err(format!("the table says {codes:?}"))
        }
    };
    if !visitor.headers.is_empty() && row.method != "GET" {
        return expected(&[403]);
    }
    let Access::By(action) = row.access else {
        // What is proven there is proven by the request itself: a password, a link.
        return if refused && !row.also.contains(&status) {
            Err("a public route refuses".to_owned())
        } else {
            Ok(())
        };
    };
    let Some(role) = visitor.role else {
        return expected(&[401]);
    };
    if matches!(action, Action::SessionLogout | Action::PasswordChange) {
        // A session's own business, whoever else has a key: a wrong password is told as one.
        return expected(if visitor.browser { &[200, 400] } else { &[403] });
    }
    let policy = action.rule();
    let verdict = policy.verdict(role);
    let adds = visitor.adds(policy);
    match adds {
        Relation::Team | Relation::Organization | Relation::OrganizationAsOwn if own => {
            return match verdict {
                Verdict::May(_) | Verdict::ByRelation | Verdict::OnlyProxyAdmin => can(row, status),
                _ => expected(&[403]),
            };
        }
        // Without the permission too, what is one's own in the team is read.
        Relation::Permitted if own => {
            let reads_own = verdict == Verdict::May(Reach::Own) && !policy.writes;
            return if reads_own || visitor.relation == Some(Related::PermittedMember) {
                can(row, status)
            } else {
                expected(&[401, 403])
            };
        }
        _ => {}
    }
    let shows_a_key = || answer.status.is_success() && answer.body.to_string().contains(TEAM_KEY);
    if own && visitor.relation.is_some() && adds == Relation::Nothing && shows_a_key() {
        return Err("shows a key of the team".to_owned());
    }
    let sees = verdict == Verdict::May(Reach::Any) || adds != Relation::Nothing;
    if !own && !sees && answer.body.to_string().contains(OTHERS) {
        return Err("shows what is somebody else's".to_owned());
    }
    match verdict {
        Verdict::May(Reach::Any) if refused => Err("refused what it may".to_owned()),
        Verdict::May(Reach::Own) if own && visitor.relation.is_none() => can(row, status),
        Verdict::May(Reach::Own) if !own && policy.writes => expected(&[401, 403, 404]),
        Verdict::ViewerMayNot => expected(&[403]),
        Verdict::OnlyProxyAdmin | Verdict::WithSpendPermission | Verdict::OnlyMasterKey
            if adds == Relation::Nothing || !own =>
        {
            expected(&[401])
        }
        Verdict::ByRelation if adds == Relation::Nothing || !own && policy.writes => {
            // LiteLLM's codes for whoever may not invite, and for a team that is not one's own.
            expected(match action {
                Action::InvitationNew => &[400],
                Action::KeyServiceAccount | Action::KeyTeamBulkUpdate => &[400, 401],
                _ => &[401, 403, 404],
            })
        }
        _ => Ok(()),
    }
}

/// Whoever may is answered. No call of the sweep leaves a row in the spend log, so there is none to read.
fn can(row: &Row, status: u16) -> Result<(), String> {
    let no_row = row.path == "/spend/logs/ui/{request_id}" && status == 404;
    if status < 300 || no_row {
        Ok(())
    } else {
        Err("the table says that it may".to_owned())
    }
}

on_both!(
    every_route_answers_everybody_as_the_policy_says,
    everybody_asks_everything
);
async fn everybody_asks_everything(database: Database) {
    // Most of these sign-ins fail, and all come from one address.
    let file = format!(
        "{ONE_MODEL}\ngeneral_settings: {{ max_failed_login_attempts_per_source: 100000 }}\n\
         litellm_settings: {{ default_internal_user_params: {{ available_teams: [{OPEN}] }} }}\n"
    );
    let api = Api::configured(database, &file, Clock::System).await;
    let open = json!({ "team_id": OPEN });
    api.master().post("/team/new", open).await.ok();
    let visitors = visitors(&api).await;
    let others = target(&api, None).await;
    let mut shared = Vec::new();
    for visitor in &visitors {
        shared.push(target(&api, Some(visitor)).await);
    }
    let mut found = format!("{:<44}", "route");
    for visitor in &visitors {
        let width = visitor.name.len().max(7);
        write!(found, " {:<width$}", visitor.name).unwrap();
    }
    found = format!("{}\n", found.trim_end());
    let mut wrong = Vec::new();
    for row in rows() {
        let mut line = format!("{:<44}", format!("{} {}", row.method, row.path));
        for (visitor, own) in visitors.iter().zip(&shared) {
            let may = match row.access {
                Access::Public => true,
                Access::By(action) => visitor.role.is_some_and(|role| {
                    let rule = action.rule();
                    let by_role = rule.verdict(role);
                    matches!(by_role, Verdict::May(_) | Verdict::ByRelation)
                        || visitor.adds(rule) != Relation::Nothing
                }),
            };
            let fresh = may && row.method != "GET" && visitor.headers.is_empty();
            let mut cell = String::new();
            for is_own in [false, true] {
                // Whom nothing is ever shown is not asked twice.
                if is_own && (visitor.role.is_none() || visitor.role == Some(Role::ProxyAdmin)) {
                    continue;
                }
                let answer = if fresh {
                    let target = target(&api, is_own.then_some(visitor)).await;
                    call(&row, visitor, &target).await
                } else {
                    call(&row, visitor, if is_own { own } else { &others }).await
                };
                let judged = judge(&row, visitor, is_own, &answer);
                if let Err(why) = judged.and_then(|()| names_the_unknown(&row, &answer)) {
                    let whose = if is_own { "its own" } else { "others'" };
                    wrong.push(format!(
                        "{} {} by {} of {whose}: {} – {why}: {}",
                        row.method, row.path, visitor.name, answer.status, answer.body
                    ));
                }
                if is_own {
                    cell.push('/');
                }
                cell += answer.status.as_str();
            }
            let width = visitor.name.len().max(7);
            write!(line, " {cell:<width$}").unwrap();
        }
        found = format!("{found}{}\n", line.trim_end());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/api/sweep.txt");
    if std::env::var_os("TOLLKEEPER_REGENERATE").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let differ: Vec<String> = found
        .lines()
        .filter(|line| !there.lines().any(|known| known == *line))
        .map(str::to_owned)
        .collect();
    assert!(
        found == there,
        "new or other than in sweep.txt:\n{}",
        differ.join("\n")
    );
}
