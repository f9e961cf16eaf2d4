//! What a batch of events changes in the database. Pure: everything it needs to know comes along.
//!
//! An event counts in the budget window that its stream entry's time falls in, which is the time the script saw: ledger and Redis
//! assign it alike. A settlement that follows a sweep of the same request corrects totals and sums always, and the window's spent
//! amount only while that window lasts, as the script does.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use contract::id::ReservationId;
use contract::money::NanoUsd;
use contract::spend_event::{ChargedScope, SpendBody, SpendEvent};
use contract::usage::Usage;

use super::stream::StreamEntry;
use crate::store::outbox::Kind;
use crate::store::spend::{
    DailyKey, DailySums, Dimension, ErrorKey, Prior, ScopeKey, ScopeState, SpendRow, Writes,
    scopes_of,
};

/// Longest text of a row that a client or provider chose, in bytes; the rest is cut off. Index entries of PostgreSQL end at 2,704.
const LONGEST_TEXT: usize = 256;
/// Longest name of a scope, in bytes.
const LONGEST_SCOPE: usize = 2_000;
/// Most tokens of one kind that a row holds: sums of many stay in 64 bits.
const MOST_TOKENS: u64 = 1 << 40;
/// Most tags of a row, the first ones: whoever sends thousands must not make thousands of sums.
const MOST_TAGS: usize = 32;

/// The scopes that an event is counted in: those of its key, user, team and membership, those that it names, and, for reports alone, its
/// organization and customer.
pub fn scopes(entry: &StreamEntry, event: &SpendEvent) -> Vec<ScopeKey> {
    let body = &event.body;
    let user = body.user.as_ref().map_or("", |user| user.as_str());
    let team = body.team.as_ref().map_or("", |team| team.as_str());
    let organization = body.organization.as_ref();
    let organization = organization.map(|id| (Kind::Organization, clean(id.as_str())));
    let customer = body.end_user.as_ref();
    let customer = customer.map(|id| (Kind::Customer, clean(id)));
    let charged = charged(body).map(|scope| (Kind::Scope, scope.id.as_str().to_owned()));
    scopes_of(body.key.as_str().to_owned(), user, team)
        .into_iter()
        .chain(organization)
        .chain(customer.filter(|(_, id)| !id.is_empty()))
        .chain(charged)
        .map(|(kind, object_id)| ScopeKey {
            kind,
            object_id,
            partition: entry.partition,
        })
        .collect()
}

/// The scopes that an event names. One with a name longer than an index entry may be belongs to nothing that could be named.
fn charged(body: &SpendBody) -> impl Iterator<Item = &ChargedScope> {
    let kept = |scope: &&ChargedScope| scope.id.as_str().len() <= LONGEST_SCOPE;
    body.charged.iter().filter(kept)
}

/// What these entries change, given what the database knew before. In the order of their streams; a repeated event changes nothing.
pub fn fold(entries: &[StreamEntry], prior: Prior) -> Writes {
    let mut fold = Fold {
        prior,
        rows: BTreeMap::new(),
        writes: Writes::default(),
    };
    for entry in entries {
        match &entry.event {
            Ok(event) => fold.event(entry, event),
            Err(letter) => fold.writes.dead_letters.push(letter.clone()),
        }
    }
    fold.writes.rows = fold.rows.into_values().collect();
    fold.writes
}

struct Fold {
    prior: Prior,
    rows: BTreeMap<ReservationId, SpendRow>,
    writes: Writes,
}

impl Fold {
    fn event(&mut self, entry: &StreamEntry, event: &SpendEvent) {
        let Some(mut row) = row(entry, event) else {
            let letter = entry.dead_letter("field `a` is no time of the calendar");
            self.writes.dead_letters.push(letter);
            return;
        };
        if !event.worker.is_empty() {
            let worker = (entry.partition, clean(&event.worker));
            let (sequence, seen_ms) = self.writes.watermarks.entry(worker).or_default();
            *sequence = event.sequence.max(*sequence);
            *seen_ms = entry.id.ms.max(*seen_ms);
        }
        let old = self
            .rows
            .get(&event.id)
            .or_else(|| self.prior.rows.get(&event.id))
            .cloned();
        if old.as_ref().is_some_and(|old| old.version >= row.version) {
            return;
        }
        for scope in scopes(entry, event) {
            // Whoever admitted the request knew the windows of the scopes it names.
            let named = (scope.kind == Kind::Scope)
                .then(|| {
                    charged(&event.body).find(|charged| charged.id.as_str() == scope.object_id)
                })
                .flatten();
            let (start, end) = match named {
                Some(named) => (
                    named.window.start(row.settled_ms),
                    named.window.next(row.settled_ms).unwrap_or(0),
                ),
                None => (self.prior.windows.start(&scope, row.settled_ms), 0),
            };
            let start = self.charge(&scope, (start, end), &row, old.as_ref());
            if row.version == 0 {
                row.windows.insert(window_name(&scope), start);
            }
        }
        if let Some(old) = &old {
            self.daily(old, -1);
        }
        self.daily(&row, 1);
        self.rows.insert(event.id, row);
    }

    /// Counts the row in a scope whose window began at `start` and ends at `end`; answers when the window began that it was counted in.
    fn charge(
        &mut self,
        scope: &ScopeKey,
        (start, end): (u64, u64),
        row: &SpendRow,
        old: Option<&SpendRow>,
    ) -> u64 {
        let known = self.prior.scopes.get(scope).copied();
        let state = self
            .writes
            .scopes
            .entry(scope.clone())
            .or_insert(known.unwrap_or_default());
        if state.window_start_ms < start {
            *state = ScopeState {
                window_start_ms: start,
                spent: NanoUsd::ZERO,
                ..*state
            };
        }
        state.window_end_ms = end;
        let was = old.map_or(NanoUsd::ZERO, |old| old.spend);
        state.total = exchange(state.total, was, row.spend);
        let same_window = old.is_none_or(|old| {
            old.windows
                .get(&window_name(scope))
                .is_none_or(|began| *began == state.window_start_ms)
        });
        if same_window {
            state.spent = exchange(state.spent, was, row.spend);
        }
        state.last_ms = state.last_ms.max(row.settled_ms);
        state.window_start_ms
    }

    fn daily(&mut self, row: &SpendRow, sign: i64) {
        let sums = sums(row);
        if !row.end_user.is_empty() {
            let customers = &mut self.writes.customers;
            *customers.entry(row.end_user.clone()).or_default() += sign * sums.spend;
        }
        let tags: BTreeSet<&String> = row.tags.iter().filter(|tag| !tag.is_empty()).collect();
        for tag in tags {
            *self.writes.tags.entry(tag.clone()).or_default() += sign * sums.spend;
        }
        let writes = &mut self.writes;
        for (dimension, entity) in entities(row) {
            let mut key = daily_key(row, entity);
            let by_key = writes.daily.entry((dimension, key.clone())).or_default();
            by_key.add_times(&sums, sign);
            key.api_key.clear();
            if dimension == Dimension::User {
                key.entity.clear();
            }
            let over_keys = writes.daily_over_keys.entry((dimension, key)).or_default();
            over_keys.add_times(&sums, sign);
        }
        let day = date(row.admitted_ms).unwrap_or_default();
        let (spend, last) = writes.api_keys.entry(row.api_key.clone()).or_default();
        *spend += sign * sums.spend;
        *last = std::mem::take(last).max(day.clone());
        if sums.failed_requests > 0 {
            let key = ErrorKey {
                date: day,
                api_key: row.api_key.clone(),
                user_id: row.user_id.clone(),
                model_group: row.model_group.clone(),
                endpoint: endpoint(&row.call_type).to_owned(),
                http_status: row.http_status,
            };
            *writes.errors.entry(key).or_default() += sign;
        }
    }
}

/// Whose sums a request counts in.
fn entities(row: &SpendRow) -> impl Iterator<Item = (Dimension, &str)> {
    let named = [
        (Dimension::Team, row.team_id.as_str()),
        (Dimension::Organization, row.organization_id.as_str()),
        (Dimension::EndUser, row.end_user.as_str()),
    ];
    let tags = row.tags.iter().map(|tag| (Dimension::Tag, tag.as_str()));
    let named = named.into_iter().chain(tags);
    std::iter::once((Dimension::User, row.user_id.as_str()))
        .chain(named.filter(|(_, entity)| !entity.is_empty()))
}

fn exchange(sum: NanoUsd, old: NanoUsd, new: NanoUsd) -> NanoUsd {
    // Added before it is taken off, as the scripts do: a sum that was set back since may be below what was charged before.
    sum.checked_add(new)
        .unwrap_or(NanoUsd::MAX)
        .saturating_sub(old)
}

fn window_name(scope: &ScopeKey) -> String {
    format!("{}:{}", scope.kind.as_str(), scope.object_id)
}

/// The event as a row; `None` where its time is none.
fn row(entry: &StreamEntry, event: &SpendEvent) -> Option<SpendRow> {
    date(event.admitted_ms)?;
    let body: &SpendBody = &event.body;
    let text = |text: &Option<String>| text.as_deref().map(clean).unwrap_or_default();
    Some(SpendRow {
        event_id: event.id,
        version: event.version,
        partition: entry.partition,
        settled_ms: entry.id.ms,
        admitted_ms: event.admitted_ms,
        duration_ms: body.duration_ms.min(MOST_TOKENS),
        first_byte_ms: body.first_byte_ms.map(|ms| ms.min(MOST_TOKENS)),
        request_id: body
            .response_id
            .as_deref()
            .map_or_else(|| event.id.to_string(), clean),
        call_type: clean(&body.call_type),
        api_key: body.hash.to_string(),
        key_id: body.key.as_str().to_owned(),
        user_id: body
            .user
            .as_ref()
            .map(|user| user.as_str().to_owned())
            .unwrap_or_default(),
        team_id: body
            .team
            .as_ref()
            .map(|team| team.as_str().to_owned())
            .unwrap_or_default(),
        organization_id: body
            .organization
            .as_ref()
            .map(|organization| clean(organization.as_str()))
            .unwrap_or_default(),
        end_user: text(&body.end_user),
        model: clean(&body.model),
        model_group: clean(&body.model_group),
        provider: clean(&body.provider),
        http_status: body.status,
        exact: body.exact,
        spend: event.cost,
        usage: bounded(&body.usage),
        tags: tags(&body.tags),
        client_ip: text(&body.client_ip),
        windows: BTreeMap::new(),
        charged: charged(body)
            .map(|scope| scope.id.as_str().to_owned())
            .collect(),
    })
}

/// Each tag once.
fn tags(sent: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let tags = sent.iter().map(|tag| clean(tag));
    tags.filter(|tag| !tag.is_empty() && seen.insert(tag.clone()))
        .take(MOST_TAGS)
        .collect()
}

/// Text that both databases take: without NUL, and no longer than an index entry may be.
fn clean(text: &str) -> String {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}

fn bounded(usage: &Usage) -> Usage {
    let bound = |tokens: u64| tokens.min(MOST_TOKENS);
    Usage {
        input: bound(usage.input),
        output: bound(usage.output),
        cache_read: bound(usage.cache_read),
        cache_write: bound(usage.cache_write),
        cache_write_1h: bound(usage.cache_write_1h),
        audio_input: bound(usage.audio_input),
        audio_output: bound(usage.audio_output),
        image_input: bound(usage.image_input),
        reasoning: bound(usage.reasoning),
    }
}

fn date(ms: u64) -> Option<String> {
    let at = DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)?;
    (ms < 253_402_300_800_000).then(|| at.format("%Y-%m-%d").to_string())
}

fn daily_key(row: &SpendRow, entity: &str) -> DailyKey {
    DailyKey {
        entity: entity.to_owned(),
        date: date(row.admitted_ms).unwrap_or_default(),
        api_key: row.api_key.clone(),
        model: row.model.clone(),
        model_group: row.model_group.clone(),
        provider: row.provider.clone(),
        endpoint: endpoint(&row.call_type).to_owned(),
    }
}

/// The path that a call type is called at, as LiteLLM's daily sums name it.
fn endpoint(call_type: &str) -> &str {
    match call_type {
        "completion" => "/chat/completions",
        "text_completion" => "/completions",
        "embedding" => "/embeddings",
        "responses" => "/responses",
        other => CALL_TYPES
            .iter()
            .find(|(known, _)| *known == other)
            .map_or(other, |(_, endpoint)| endpoint),
    }
}

/// Call types of the gateway and their paths.
pub const CALL_TYPES: [(&str, &str); 4] = [
    ("acompletion", "/chat/completions"),
    ("atext_completion", "/completions"),
    ("aembedding", "/embeddings"),
    ("aresponses", "/responses"),
];

fn sums(row: &SpendRow) -> DailySums {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let succeeded = i64::from((200..300).contains(&row.http_status));
    let cache_creation = row
        .usage
        .cache_write
        .saturating_add(row.usage.cache_write_1h);
    DailySums {
        spend: number(row.spend.get()),
        prompt_tokens: number(row.usage.prompt_tokens()),
        completion_tokens: number(row.usage.completion_tokens()),
        cache_read: number(row.usage.cache_read),
        cache_creation: number(cache_creation),
        cache_hits: i64::from(succeeded > 0 && row.usage.cache_read > 0),
        api_requests: 1,
        successful_requests: succeeded,
        failed_requests: 1 - succeeded,
        total_response_time_ms: number(row.duration_ms),
        timed_requests: i64::from(row.duration_ms > 0),
    }
}

#[cfg(test)]
mod tests;
