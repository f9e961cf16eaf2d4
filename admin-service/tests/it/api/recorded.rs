//! What a client of `LiteLLM` 1.109.1 was answered, asked of this service: the recorded scenarios one after the other, every difference on the list.
//!
//! `recorded.jsonl` holds people and calls, in the order in which they were recorded; `recorded.differences.txt` each difference with its reason: a
//! number is that of the README's list of differences. A difference that is not there fails, and one that is there no more. With
//! `TOLLKEEPER_REGENERATE` set the file is written, known reasons kept.
//!
//! Held equal: the status, every field of the recorded answer, its type, and its value unless chance or time makes it. Identifiers are learnt from
//! the answers. Lists are held by their first entries, figures of reports by their types. Where this service did what a licence kept the recorded one
//! from – gave a key another value – the cases that follow name what came of it, so that they are compared too.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::clients::{Answer, Api, MASTER, claims, text};
use crate::on_both;
use crate::support::database::Database;

const SCENARIOS: &str = include_str!("recorded.jsonl");
const DIFFERENCES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/api/recorded.differences.txt"
);
const CONFIG: &str = "
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o }
  - model_name: gpt-4
    litellm_params: { model: openai/gpt-4 }
";

/// What was learnt on the way.
#[derive(Default)]
struct Learnt {
    /// Recorded identifiers, and what they are here.
    ids: BTreeMap<String, String>,
    /// Keys by who has them (`user:…`) or by the case that made them (`key:…`).
    keys: BTreeMap<String, String>,
}

impl Learnt {
    /// A recorded text with the identifiers of here.
    fn here(&self, recorded: &str) -> String {
        let mut text = recorded.replace("$master", MASTER);
        for (from, to) in &self.ids {
            text = text.replace(from, to).replace(&masked(from), &masked(to));
        }
        for (name, key) in &self.keys {
            text = text.replace(&format!("${name}"), key);
        }
        text
    }

    /// From now on the key that a call named has the value that it was answered.
    fn rotated(&mut self, call: &str, new: &str) {
        let hash = |key: &str| tollkeeper_admin::store::keys::token_of(key);
        let old = self.keys.values().find(|key| call.contains(&hash(key)));
        let Some(old) = old.cloned() else { return };
        for key in self.keys.values_mut().filter(|key| **key == old) {
            new.clone_into(key);
        }
        for token in self.ids.values_mut().filter(|id| **id == hash(&old)) {
            *token = hash(new);
        }
    }

    /// Notes what stands where a recorded identifier stood.
    fn learn(&mut self, recorded: &Value, found: &Value) {
        match (recorded, found) {
            (Value::Object(recorded), Value::Object(found)) => {
                for (name, value) in recorded {
                    if let Some(found) = found.get(name) {
                        self.learn(value, found);
                    }
                }
            }
            (Value::String(recorded), Value::String(found))
                if is_id(recorded) && is_id(found) && !self.ids.contains_key(recorded) =>
            {
                self.ids.insert(recorded.clone(), found.clone());
            }
            _ => {}
        }
    }
}

/// Whether chance made a text: a UUID or a hash.
fn is_id(text: &str) -> bool {
    let text = text.strip_prefix("team-budget-").unwrap_or(text);
    let hex = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    matches!(text.len(), 32 | 36 | 64) && hex(text)
}

fn is_time(text: &str) -> bool {
    text.len() >= 19 && text.starts_with("20") && text.as_bytes().get(10) == Some(&b'T')
}

/// As messages show the id of a user.
fn masked(id: &str) -> String {
    match (id.get(..6), id.get(id.len().saturating_sub(2)..)) {
        (Some(first), Some(last)) if id.len() > 8 => {
            format!("{first}{}{last}", "*".repeat(id.len() - 8))
        }
        _ => id.to_owned(),
    }
}

/// Replaces what changes from run to run.
fn steady(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_alphanumeric() || matches!(letter, '-' | ':' | '.' | '*' | '+') {
            word.push(letter);
            continue;
        }
        let bare = word.trim_end_matches('.');
        if is_id(bare) || bare.contains("********") {
            out.push_str("<id>");
        } else if is_time(bare) {
            out.push_str("<time>");
        } else if bare.starts_with("sk-") {
            out.push_str("<key>");
        } else {
            out.push_str(&word);
        }
        word.clear();
        if letter != '\0' {
            out.push(letter);
        }
    }
    out
}

fn shown(value: &Value) -> String {
    let text = steady(&value.to_string());
    text.chars().take(200).collect()
}

/// Collects where `found` is not what was recorded. `figures`: whether values of numbers count.
fn differences(recorded: &Value, found: &Value, path: &str, figures: bool, into: &mut Vec<String>) {
    match (recorded, found) {
        (Value::Object(recorded), Value::Object(found)) => {
            for (name, value) in recorded {
                let path = format!("{path}.{name}");
                match found.get(name) {
                    Some(found) => differences(value, found, &path, figures, into),
                    None => into.push(format!("{path} is not there")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(found)) => {
            if let (Some(recorded), Some(found)) = (recorded.first(), found.first()) {
                differences(recorded, found, &format!("{path}[0]"), figures, into);
            }
        }
        (Value::Number(recorded), Value::Number(found)) => {
            let counts = figures && !path.ends_with("total_count");
            if counts && recorded.as_f64() != found.as_f64() {
                into.push(format!("{path}: {recorded} → {found}"));
            }
        }
        (Value::String(recorded), Value::String(found)) => {
            let chance = |text: &str| is_id(text) || is_time(text) || text.starts_with("sk-");
            let both = chance(recorded) && chance(found);
            if !both && recorded != found && figures {
                let (recorded, found) = (steady(recorded), steady(found));
                if recorded != found {
                    into.push(format!("{path}: {recorded:?} → {found:?}"));
                }
            }
        }
        _ if recorded == found => {}
        _ => into.push(format!("{path}: {} → {}", shown(recorded), shown(found))),
    }
}

async fn send(api: &Api, learnt: &Learnt, case: &Value) -> Answer {
    let by = text(case, "by");
    let client = match by {
        "master" => api.master(),
        "none" => api.anonymous(),
        _ => match by.strip_prefix("raw:") {
            Some(raw) => api.client(Some(raw)),
            None => api.client(Some(
                learnt.keys.get(by).map_or("sk-not-made", String::as_str),
            )),
        },
    };
    let call = learnt.here(text(case, "call"));
    let (method, path) = call.split_once(' ').unwrap();
    let body = case.get("send").map(|body| learnt.here(&body.to_string()));
    let headers: Vec<(String, String)> = case["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), learnt.here(value.as_str().unwrap())))
        .collect();
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let answer = client.call_with(method, path, body.as_deref(), &headers);
    Box::pin(answer).await
}

async fn replay(api: &Api) -> BTreeSet<String> {
    let mut learnt = Learnt::default();
    let mut all = BTreeSet::new();
    for line in SCENARIOS.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        if let Some(user) = entry["user"].as_str() {
            let new = json!({"user_id": user, "user_role": entry["role"], "user_email": entry["email"],
                "auto_create_key": entry["auto_create_key"] != false});
            let made = api.master().post("/user/new", new).await.ok();
            if let Some(key) = made["key"].as_str() {
                learnt.keys.insert(format!("user:{user}"), key.to_owned());
            }
            continue;
        }
        let case = text(&entry, "case");
        let answer = send(api, &learnt, &entry).await;
        let key = answer.body["key"].as_str();
        if let Some(key) = key.filter(|key| key.starts_with("sk-")) {
            if text(&entry, "call").ends_with("/regenerate") {
                let call = learnt.here(text(&entry, "call"));
                learnt.rotated(&call, key);
            }
            learnt.keys.insert(format!("key:{case}"), key.to_owned());
        }
        if case == "onb.get_token" {
            let token = claims(text(&answer.body, "token"));
            let key = text(&token, "key").to_owned();
            learnt.keys.insert("onboarding".to_owned(), key);
        }
        learnt.learn(&entry["answer"], &answer.body);
        let (was, is) = (
            entry["status"].as_u64().unwrap(),
            u64::from(answer.status.as_u16()),
        );
        let mut found = Vec::new();
        if was != is {
            let why = if is < 400 {
                String::new()
            } else {
                format!(" {}", shown(&answer.body))
            };
            found.push(format!("{was} → {is}{why}"));
        } else if let Some(recorded) = entry.get("answer") {
            let recorded: Value =
                serde_json::from_str(&learnt.here(&recorded.to_string())).unwrap();
            let reports = ["global", "daily", "list", "aliases"];
            let figures = !(is < 400 && reports.iter().any(|part| case.contains(part)));
            differences(&recorded, &answer.body, "", figures, &mut found);
        }
        all.extend(
            found
                .into_iter()
                .map(|difference| format!("{case} | {difference}")),
        );
    }
    all
}

on_both!(
    what_litellm_was_recorded_to_answer_is_answered_or_the_difference_is_listed,
    compared
);
async fn compared(database: Database) {
    let clock = tollkeeper_admin::clock::Clock::System;
    let api = Api::configured(database, CONFIG, clock).await;
    let found = replay(&api).await;
    let listed = std::fs::read_to_string(DIFFERENCES).unwrap_or_default();
    let listed: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.rsplit_once(" | "))
        .collect();
    if std::env::var_os("TOLLKEEPER_REGENERATE").is_some() {
        let line = |difference: &String| {
            let reason = listed.get(difference.as_str()).unwrap_or(&"?");
            format!("{difference} | {reason}\n")
        };
        std::fs::write(DIFFERENCES, found.iter().map(line).collect::<String>()).unwrap();
    }
    let mut wrong: Vec<String> = Vec::new();
    for difference in &found {
        match listed.get(difference.as_str()) {
            None | Some(&"?") => wrong.push(format!("no reason: {difference}")),
            Some(_) => {}
        }
    }
    for difference in listed.keys().filter(|listed| !found.contains(**listed)) {
        wrong.push(format!("no difference any more: {difference}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
