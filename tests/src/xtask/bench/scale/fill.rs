//! A large database, made by few statements that both engines understand.

use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe};
use tollkeeper_tests::{clock, setup};

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Users; a hundredth as many teams.
    pub users: u64,
    /// Keys, spread over users and teams.
    pub keys: u64,
    /// Rows of the spend log, spread over keys and over [`DAYS`].
    pub rows: u64,
}

/// Days that the spend log covers, the last one being today.
pub const DAYS: u64 = 90;
/// Rows of the spend log a statement.
const ROWS: u64 = 250_000;
const DAY_US: u64 = 86_400_000_000;

/// Fills an empty database whose tables exist; `now_us` is the present.
pub async fn fill(url: &str, size: Size, now_us: u64) -> Result<Duration> {
    sqlx::any::install_default_drivers();
    let pool = AnyPoolOptions::new()
        .max_connections(1)
        .connect(url)
        .await?;
    let began = clock::now();
    let postgres = url.starts_with("postgres");
    if !postgres {
        // Every row of every index is put somewhere else: few pages in memory would be read again and again.
        run(&pool, "PRAGMA synchronous = OFF").await?;
        run(&pool, "PRAGMA cache_size = -400000").await?;
        // A sample of each index says enough.
        run(&pool, "PRAGMA analysis_limit = 1000").await?;
    }
    people(&pool, size, now_us).await?;
    let mut made = 0;
    while made < size.rows {
        let upto = size.rows.min(made + ROWS);
        setup::progress(&format!("Spend rows: {upto} of {}", size.rows));
        let statement = spend_rows(size, made, upto, now_us);
        run(&pool, &statement).await?;
        made = upto;
    }
    setup::progress("Daily sums");
    for (table, owner) in [
        ("daily_user_spend", "user_id"),
        ("daily_team_spend", "team_id"),
    ] {
        run(&pool, &daily(table, owner, postgres)).await?;
    }
    for statement in over_keys() {
        run(&pool, &statement).await?;
    }
    setup::progress("Totals");
    for (kind, object) in [
        ("key", "key_id"),
        ("user", "user_id"),
        ("team", "team_id"),
        ("member", r#"'["' || team_id || '","' || user_id || '"]'"#),
    ] {
        run(&pool, &scopes(kind, object)).await?;
    }
    // What a database does by itself in time.
    let tidy: &[&str] = if postgres {
        &["VACUUM ANALYZE"]
    } else {
        // Nobody fills a database in an hour, so nobody has a log ahead of the file that is larger than the file.
        &["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"]
    };
    for statement in tidy {
        setup::progress(statement);
        run(&pool, statement).await?;
    }
    pool.close().await;
    Ok(began.elapsed())
}

async fn run(pool: &AnyPool, statement: &str) -> Result<()> {
    // Made of constants and numbers of this module.
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(pool)
        .await
        .with_context(|| {
            format!(
                "failed: {}",
                statement.chars().take(200).collect::<String>()
            )
        })?;
    Ok(())
}

/// `i` from `from` to `upto`, the end excluded, as a table `n`.
fn numbers(from: u64, upto: u64) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT i+1 FROM n WHERE i+1 < {upto})"
    )
}

/// 64 hexadecimal digits that tell the number.
fn digest(number: &str) -> String {
    let zeros = "0".repeat(48);
    format!("'{zeros}' || CAST(1000000000000000 + {number} AS TEXT)")
}

async fn people(pool: &AnyPool, size: Size, now_us: u64) -> Result<()> {
    let Size { users, keys, .. } = size;
    let teams = (users / 100).max(1);
    setup::progress(&format!("{users} users, {teams} teams, {keys} keys"));
    let statements = [
        format!(
            "{} INSERT INTO users (user_id, rev, user_alias, user_email, user_email_folded, user_role, models, max_budget, rpm_limit, \
             metadata, extra, created_at, updated_at) SELECT 'user-' || i, 1, 'User ' || i, 'user' || i || '@example.com', \
             'user' || i || '@example.com', 'internal_user', '[]', 1000000000000, 1000, '{{}}', '{{}}', {now_us} - i * 1000000, {now_us} FROM n",
            numbers(0, users)
        ),
        format!(
            "{} INSERT INTO teams (team_id, rev, team_alias, blocked, models, model_aliases, max_budget, team_member_permissions, \
             metadata, extra, created_at, updated_at) SELECT 'team-' || i, 1, 'Team ' || i, 0, '[]', '{{}}', 1000000000000, '[]', '{{}}', '{{}}', \
             {now_us} - i * 1000000, {now_us} FROM n",
            numbers(0, teams)
        ),
        format!(
            "{} INSERT INTO team_members (team_id, user_id, rev, position, role, created_at) \
             SELECT 'team-' || (i % {teams}), 'user-' || i, 1, i, 'user', {now_us} FROM n",
            numbers(0, users)
        ),
        format!(
            "{} INSERT INTO virtual_keys (key_id, rev, token, key_name, key_alias, user_id, team_id, models, aliases, allowed_routes, \
             max_budget, rpm_limit, tpm_limit, permissions, metadata, extra, created_at, created_by, updated_at) \
             SELECT 'key-' || i, 1, {}, 'sk-...' || (1000 + i % 9000), 'alias-' || i, 'user-' || (i % {users}), \
             CASE WHEN i % 2 = 0 THEN 'team-' || (i % {teams}) END, '[]', '{{}}', '[]', 100000000000, 1000, 100000, '{{}}', '{{}}', '{{}}', \
             {now_us} - i * 1000000, 'default_user_id', {now_us} FROM n",
            numbers(0, keys),
            digest("i"),
        ),
    ];
    for statement in statements {
        run(pool, &statement.replace("{{}}", "{}")).await?;
    }
    Ok(())
}

fn spend_rows(size: Size, from: u64, upto: u64, now_us: u64) -> String {
    let Size { users, keys, rows } = size;
    let teams = (users / 100).max(1);
    let step_ms = (DAYS * DAY_US / 1_000 / rows.max(1)).max(1);
    let today = now_us / 1_000;
    // A key has one user and mostly one team, as above.
    format!(
        "{} INSERT INTO spend_logs (event_id, version, partition_no, settled_ms, admitted_ms, duration_ms, request_id, call_type, api_key, \
         key_id, user_id, team_id, end_user, model, model_group, custom_llm_provider, http_status, exact, spend, prompt_tokens, \
         completion_tokens, token_kinds, request_tags, requester_ip_address, windows) \
         SELECT '0000000000000000' || CAST(1000000000000000 + i AS TEXT), 1, 0, {today} - i * {step_ms} + 900, {today} - i * {step_ms}, 900, 'chatcmpl-' || i, 'acompletion', {key}, \
         'key-' || (i * 7919 % {keys}), 'user-' || (i * 7919 % {keys} % {users}), \
         CASE WHEN i * 7919 % {keys} % 2 = 0 THEN 'team-' || (i * 7919 % {keys} % {teams}) ELSE '' END, '', \
         CASE WHEN i % 3 = 0 THEN 'gpt-4o' ELSE 'gpt-4o-mini' END, CASE WHEN i % 3 = 0 THEN 'gpt-4o' ELSE 'gpt-4o-mini' END, 'openai', \
         200, 1, 1000 + i % 1000, 20 + i % 100, 10 + i % 50, '{{}}', '[]', '10.0.0.1', '{{}}' FROM n",
        numbers(from, upto),
        key = digest(&format!("i * 7919 % {keys}")),
    )
}

fn daily(table: &str, owner: &str, postgres: bool) -> String {
    let day = if postgres {
        "to_char(to_timestamp(admitted_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    } else {
        "strftime('%Y-%m-%d', admitted_ms / 1000, 'unixepoch')"
    };
    format!(
        "INSERT INTO {table} ({owner}, date, api_key, model, model_group, custom_llm_provider, endpoint, spend, prompt_tokens, \
         completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, api_requests, successful_requests, failed_requests, \
         total_response_time_ms, timed_requests) \
         SELECT {owner}, {day}, api_key, model, model_group, custom_llm_provider, '/chat/completions', SUM(spend), SUM(prompt_tokens), \
         SUM(completion_tokens), 0, 0, COUNT(*), COUNT(*), 0, SUM(duration_ms), COUNT(*) FROM spend_logs \
         WHERE '{owner}' = 'user_id' OR {owner} <> '' GROUP BY {owner}, {day}, api_key, model, model_group, custom_llm_provider"
    )
}

/// What each object of a kind has spent.
fn scopes(kind: &str, object: &str) -> String {
    let teams = if kind == "key" || kind == "user" {
        ""
    } else {
        "WHERE team_id <> ''"
    };
    format!(
        "INSERT INTO spend_scopes (kind, object_id, partition_no, window_start_ms, spent, total, last_ms) \
         SELECT '{kind}', {object}, 0, 0, SUM(spend), SUM(spend), MAX(settled_ms) FROM spend_logs {teams} GROUP BY {object}"
    )
}

/// The sums over all keys, and what each key ever spent, of the sums by key.
fn over_keys() -> [String; 3] {
    const SUMS: &str = "spend, prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens, cache_hits, \
         api_requests, successful_requests, failed_requests, total_response_time_ms, timed_requests";
    let summed = SUMS
        .split(", ")
        .map(|sum| format!("SUM({})", sum.trim()))
        .collect::<Vec<_>>()
        .join(", ");
    let insert = |kind: &str, entity: &str, table: &str, which: &str| {
        let group = "date, model, model_group, custom_llm_provider, endpoint";
        format!(
            "INSERT INTO daily_spend (kind, entity_id, {group}, {SUMS}) SELECT '{kind}', {entity}, {group}, {summed} \
             FROM {table} {which} GROUP BY {entity}, {group}"
        )
    };
    [
        insert("all", "'' || ''", "daily_user_spend", ""),
        insert("team", "team_id", "daily_team_spend", "WHERE team_id <> ''"),
        "INSERT INTO api_key_spend (api_key, spend, last_date) \
         SELECT api_key, SUM(spend), MAX(date) FROM daily_user_spend GROUP BY api_key"
            .to_owned(),
    ]
}
