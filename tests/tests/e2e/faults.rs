//! Parts of the product stop, hang, lose their memory or are killed. Each test has a stack of its own and breaks it by process id; what the
//! upstream saw is compared with what the spend log says afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollkeeper_tests::client::{Reply, raw};
use tollkeeper_tests::clock;
use tollkeeper_tests::stack::Stack;
use tollkeeper_tests::upstream::Outcome;

use crate::gateway::{
    Caller, SOON, alone, alone_on_postgresql, capped, key_spend, nano_usd, offer, only, records,
    rows, rows_until, streamed, tag, with, with_status,
};

/// Nano-dollars of one completion token of `round-price`; its prompt tokens are free.
const TOKEN: u64 = 50_000;

fn priced(text: &str, cap: u64) -> Value {
    with(capped(text, cap), "model", json!("round-price"))
}

/// Waits until `ask` gives a reply with this status.
async fn until(
    status: u16,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Result<Reply>,
) -> Result<Duration> {
    let started = clock::now();
    loop {
        let reply = ask().await?;
        if reply.status == status {
            return Ok(started.elapsed());
        }
        anyhow::ensure!(
            started.elapsed() < within,
            "{} instead of {status} for {within:?}: {}",
            reply.status,
            reply.text()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every call that the upstream answered in full has exactly one row, with the upstream's own counts; there is no other row, and the key's
/// spend is the sum of its rows.
async fn ledger_agrees(stack: &Stack, key: &str, tag: &str, within: Duration) -> Result<()> {
    let calls = records(stack).tagged(tag);
    let rows = rows_until(stack, key, calls.len(), within).await?;
    let mut by_id: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for row in &rows {
        by_id
            .entry(
                row["request_id"]
                    .as_str()
                    .context("a row without request_id")?,
            )
            .or_default()
            .push(row);
    }
    for call in calls
        .iter()
        .filter(|call| call.outcome == Outcome::Finished && call.usage.is_some())
    {
        let id = call
            .response_id
            .as_deref()
            .context("an answer without id")?;
        let found = by_id.get(id).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(found.len(), 1, "{} rows of {id}: {found:?}", found.len());
        let usage = call.usage.unwrap_or_default();
        assert_eq!(
            (&found[0]["prompt_tokens"], &found[0]["completion_tokens"]),
            (&json!(usage.prompt), &json!(usage.completion)),
            "{}",
            found[0]
        );
    }
    assert_eq!(rows.len(), calls.len(), "rows without a call: {rows:?}");
    let sum = rows
        .iter()
        .map(|row| nano_usd(&row["spend"]))
        .sum::<Result<u64>>()?;
    assert_eq!(key_spend(stack, key).await?, sum);
    Ok(())
}

fn unavailable(reply: &Reply) {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(
        reply.json()["error"]["type"],
        "limiter_unavailable",
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("retry-after"), Some("1"));
}

async fn flush(stack: &Stack) -> Result<()> {
    let url = stack.redis_url.replace("redis://", "http://");
    let answer = raw(&url, b"FLUSHALL\r\nQUIT\r\n", SOON).await?;
    anyhow::ensure!(answer.starts_with(b"+OK"), "{}", answer.escape_ascii());
    Ok(())
}

#[test]
fn a_killed_redis_lets_nobody_in_and_forgets_nothing() -> Result<()> {
    alone(
        "redis-killed",
        |_| {},
        async |stack| {
            let key = stack
                .key(&json!({"rpm_limit": 10, "max_budget": 10}))
                .await?;
            let (tag, gate) = (tag("killed"), tag("gate"));
            let body = priced(&format!("[[tag={tag} tokens=10]]"), 10);
            let caller = Caller::new(stack, 0, &key);
            for _ in 0..5 {
                assert_eq!(caller.chat(&body).await?.status, 200);
            }
            let held = streamed(priced(
                &format!("[[tag={tag} tokens=4 hold_end={gate}]]"),
                10,
            ));
            let mut running = caller.chat_arriving(&held).await?;
            assert_eq!(running.status, 200);
            running.next().await?;
            // Appends are synced every second; a kill of the process loses none, as the kernel has them.
            stack
                .redis
                .as_ref()
                .context("no Redis")?
                .process()
                .kill()
                .await?;
            for _ in 0..5 {
                unavailable(&caller.chat(&body).await?);
            }
            assert_eq!(records(stack).tagged(&tag).len(), 6);
            // The stream that runs goes on to its end.
            records(stack).release(&gate);
            let mut rest = Vec::new();
            while let Some(piece) = running.next().await? {
                rest.extend_from_slice(&piece);
            }
            assert!(rest.ends_with(b"data: [DONE]\n\n"));
            stack.redis.as_mut().context("no Redis")?.restart().await?;
            let took = until(200, SOON, async || caller.chat(&body).await).await?;
            let replies = offer(stack, &key, &body, 20, 4).await?;
            only(&replies, &[200, 429])?;
            // 6 before, 1 to see that it is back, 3 more: the limit remembers.
            assert_eq!(with_status(&replies, 200), 3, "back after {took:?}");
            ledger_agrees(stack, &key, &tag, SOON).await
        },
    )
}

#[test]
fn a_hung_redis_costs_a_time_out_and_settles_everything_once_when_it_goes_on() -> Result<()> {
    alone(
        "redis-hung",
        |options| options.workers = 2,
        async |stack| {
            let key = stack.key(&json!({"max_budget": 10})).await?;
            let (tag, gate) = (tag("hung"), tag("gate"));
            let caller = Caller::new(stack, 0, &key);
            let held = streamed(priced(
                &format!("[[tag={tag} tokens=4 hold_end={gate}]]"),
                10,
            ));
            let mut running = Vec::new();
            for _ in 0..6 {
                let mut answer = caller.chat_arriving(&held).await?;
                assert_eq!(answer.status, 200);
                answer.next().await?;
                running.push(answer);
            }
            stack.redis.as_ref().context("no Redis")?.process().freeze();
            let refused = caller.chat(&priced(&format!("[[tag={tag}]]"), 10)).await?;
            unavailable(&refused);
            // They end while Redis hangs: their settlements time out, whether or not Redis will still carry them out.
            records(stack).release(&gate);
            for answer in running {
                assert!(answer.whole().await?.text().ends_with("data: [DONE]\n\n"));
            }
            // The breaker answers at once instead of at the time-out.
            let started = clock::now();
            for _ in 0..20 {
                unavailable(&caller.chat(&priced(&format!("[[tag={tag}]]"), 10)).await?);
            }
            assert!(
                started.elapsed() < Duration::from_secs(3),
                "20 refusals took {:?}",
                started.elapsed()
            );
            stack.redis.as_ref().context("no Redis")?.process().thaw();
            until(200, SOON, async || {
                caller
                    .chat(&priced(&format!("[[tag={tag} tokens=1]]"), 10))
                    .await
            })
            .await?;
            assert_eq!(records(stack).tagged(&tag).len(), 7);
            ledger_agrees(stack, &key, &tag, SOON).await?;
            assert_eq!(key_spend(stack, &key).await?, (6 * 4 + 1) * TOKEN);
            Ok(())
        },
    )
}

#[test]
fn a_wiped_redis_is_filled_again_from_the_ledger_and_is_no_amnesty() -> Result<()> {
    alone(
        "redis-wiped",
        |options| options.envoys = 2,
        async |stack| {
            let budget = stack.key(&json!({"max_budget": 0.50})).await?;
            let rate = stack.key(&json!({"rpm_limit": 20})).await?;
            let (budget_tag, rate_tag) = (tag("budget"), tag("rate"));
            let dear = priced(&format!("[[tag={budget_tag} tokens=1000]]"), 1_000);
            let quick = capped(&format!("[[tag={rate_tag} tokens=1]]"), 1);
            only(&offer(stack, &budget, &dear, 4, 2).await?, &[200])?;
            only(&offer(stack, &rate, &quick, 15, 2).await?, &[200])?;
            rows_until(stack, &budget, 4, SOON).await?;
            rows_until(stack, &rate, 15, SOON).await?;
            flush(stack).await?;
            let wiped = clock::now();
            let caller = Caller::new(stack, 0, &rate);
            let first = caller.chat(&quick).await?;
            assert!(
                matches!(first.status, 200 | 503),
                "{} {}",
                first.status,
                first.text()
            );
            let back = until(200, Duration::from_secs(5), async || {
                caller.chat(&quick).await
            })
            .await?;
            let more = offer(stack, &rate, &quick, 60, 6).await?;
            only(&more, &[200, 429])?;
            let admitted = records(stack).tagged(&rate_tag).len();
            assert!(
                (19..=20).contains(&admitted),
                "{admitted} of 20 in the minute of the wipe, back after {back:?}"
            );
            // Budgets open one renewal interval later, when live reservations have registered again.
            let payer = Caller::new(stack, 1, &budget);
            until(200, Duration::from_secs(40), async || {
                payer.chat(&dear).await
            })
            .await?;
            only(&offer(stack, &budget, &dear, 20, 4).await?, &[200, 422])?;
            assert_eq!(
                records(stack).tagged(&budget_tag).len(),
                10,
                "0.50 USD are ten calls, {:?} after the wipe",
                wiped.elapsed()
            );
            ledger_agrees(stack, &budget, &budget_tag, SOON).await?;
            ledger_agrees(stack, &rate, &rate_tag, SOON).await
        },
    )
}

#[test]
fn a_promoted_replica_misses_admissions_of_the_gap_and_no_settlement() -> Result<()> {
    alone(
        "redis-promoted",
        |options| options.workers = 2,
        async |stack| {
            let key = stack
                .key(&json!({"rpm_limit": 30, "max_budget": 10}))
                .await?;
            let (tag, gate) = (tag("promoted"), tag("gate"));
            let body = priced(&format!("[[tag={tag} tokens=10]]"), 10);
            let caller = Caller::new(stack, 0, &key);
            only(&offer(stack, &key, &body, 5, 2).await?, &[200])?;
            let mut replica = stack.redis.as_ref().context("no Redis")?.replica().await?;
            // From here on the replica lags behind for ever. What the ledger reads of it, it knows; what it does not, Envoy alone does.
            replica.promote().await?;
            only(&offer(stack, &key, &body, 5, 2).await?, &[200])?;
            rows_until(stack, &key, 10, SOON).await?;
            stack.admin.process().freeze();
            let held = streamed(priced(
                &format!("[[tag={tag} tokens=4 hold_end={gate}]]"),
                10,
            ));
            let mut running = caller.chat_arriving(&held).await?;
            assert_eq!(running.status, 200);
            running.next().await?;
            only(&offer(stack, &key, &body, 4, 2).await?, &[200])?;
            let master = stack.redis.take().context("no Redis")?;
            master.process().kill().await?;
            unavailable(&caller.chat(&body).await?);
            replica.replace(&master).await?;
            stack.redis = Some(replica);
            stack.admin.process().thaw();
            let took = until(200, SOON, async || caller.chat(&body).await).await?;
            records(stack).release(&gate);
            assert!(running.whole().await?.text().ends_with("data: [DONE]\n\n"));
            let more = offer(stack, &key, &body, 60, 6).await?;
            only(&more, &[200, 429, 503])?;
            until(429, SOON, async || caller.chat(&body).await).await?;
            let admitted = records(stack).tagged(&tag).len();
            // The ten that only the lost Redis admitted are all that the minute's count may miss: the replica is open, as it was told to be, until
            // the admin service sees that it is another and went back.
            assert!(
                (29..=40).contains(&admitted),
                "{admitted} of 30 in the minute of the fail-over, back after {took:?}"
            );
            ledger_agrees(stack, &key, &tag, Duration::from_secs(45)).await
        },
    )
}

#[test]
fn a_key_seen_within_a_minute_passes_a_dead_redis_where_that_is_allowed_and_pays_later()
-> Result<()> {
    let allow = |options: &mut tollkeeper_tests::stack::Options| {
        options
            .filter
            .insert("on_store_failure".to_owned(), json!("allow"));
    };
    alone("store-failure-allow", allow, async |stack| {
        let seen = stack.key(&json!({"max_budget": 10})).await?;
        let unseen = stack.key(&json!({"max_budget": 10})).await?;
        let tag = tag("allow");
        let body = priced(&format!("[[tag={tag} tokens=10]]"), 10);
        let caller = Caller::new(stack, 0, &seen);
        assert_eq!(caller.chat(&body).await?.status, 200);
        stack
            .redis
            .as_ref()
            .context("no Redis")?
            .process()
            .kill()
            .await?;
        for _ in 0..3 {
            let reply = caller.chat(&body).await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        unavailable(&Caller::new(stack, 0, &unseen).chat(&body).await?);
        unavailable(
            &Caller::new(stack, 0, "sk-nobody-has-this-one")
                .chat(&body)
                .await?,
        );
        assert_eq!(records(stack).tagged(&tag).len(), 4);
        // Workers tell Envoy their figures now and then.
        let started = clock::now();
        loop {
            let allowed = stack.envoys[0]
                .stats(&stack.client, "allowed_without_store")
                .await?;
            if allowed.iter().map(|(_, value)| value).sum::<u64>() == 3 {
                break;
            }
            anyhow::ensure!(started.elapsed() < SOON, "{allowed:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stack.redis.as_mut().context("no Redis")?.restart().await?;
        ledger_agrees(stack, &seen, &tag, SOON).await?;
        assert_eq!(key_spend(stack, &seen).await?, 4 * 10 * TOKEN);
        Ok(())
    })
}

#[test]
fn a_killed_admin_service_is_not_missed_by_callers_and_catches_up() -> Result<()> {
    alone(
        "admin-killed",
        |options| options.workers = 2,
        async |stack| {
            let key = stack
                .key(&json!({"max_budget": 10, "rpm_limit": 10_000}))
                .await?;
            let tag = tag("admin");
            let body = priced(&format!("[[tag={tag} tokens=5 delay_ms=2]]"), 10);
            let mut load = JoinSet::new();
            for _ in 0..4 {
                let (caller, body) = (Caller::new(stack, 0, &key), body.clone());
                load.spawn(async move {
                    let mut replies = Vec::new();
                    for _ in 0..150 {
                        replies.push(caller.chat(&body).await?);
                    }
                    anyhow::Ok(replies)
                });
            }
            for calls in [100, 300] {
                records(stack)
                    .until(&tag, SOON, |seen| seen.len() >= calls)
                    .await?;
                stack.admin.process().kill().await?;
                records(stack)
                    .until(&tag, SOON, |seen| seen.len() >= calls + 100)
                    .await?;
                stack.admin.restart(&stack.client).await?;
            }
            for replies in load.join_all().await {
                only(&replies?, &[200])?;
            }
            assert_eq!(records(stack).tagged(&tag).len(), 600);
            ledger_agrees(stack, &key, &tag, Duration::from_secs(30)).await?;
            assert_eq!(key_spend(stack, &key).await?, 600 * 5 * TOKEN);
            Ok(())
        },
    )
}

/// Waits until Redis knows of so many reservations that their calls went upstream.
async fn told_under_way(stack: &Stack, calls: usize) -> Result<()> {
    let script = "local n=0 for _,key in ipairs(redis.call('KEYS','tk:{p0}:res:*')) do if redis.call('GETRANGE',key,0,0)=='S' then n=n+1 end end return n";
    let request = format!("EVAL \"{script}\" 0\r\nQUIT\r\n");
    let url = stack.redis_url.replace("redis://", "http://");
    let started = clock::now();
    loop {
        let answer = raw(&url, request.as_bytes(), SOON).await?;
        if answer.starts_with(format!(":{calls}\r\n").as_bytes()) {
            return Ok(());
        }
        anyhow::ensure!(
            started.elapsed() < SOON,
            "not {calls} under way: {}",
            String::from_utf8_lossy(&answer)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_killed_envoy_gives_its_places_back_and_its_calls_are_charged_as_reserved() -> Result<()> {
    alone(
        "envoy-killed",
        |options| options.envoys = 2,
        async |stack| {
            let key = stack
                .key(&json!({"max_parallel_requests": 2, "max_budget": 10}))
                .await?;
            let (tag, gate) = (tag("crash"), tag("gate"));
            let held = streamed(priced(
                &format!("[[tag={tag} tokens=3 hold_end={gate}]]"),
                100,
            ));
            let doomed = Caller::new(stack, 0, &key);
            let mut streams = Vec::new();
            for _ in 0..2 {
                let mut stream = doomed.chat_arriving(&held).await?;
                assert_eq!(stream.status, 200);
                stream.next().await?;
                streams.push(stream);
            }
            let other = Caller::new(stack, 1, &key);
            let quick = priced(&format!("[[tag={tag} tokens=1]]"), 1);
            assert_eq!(other.chat(&quick).await?.status, 429);
            // A call is charged if it had lasted for a second: then Redis was told that it is under way.
            told_under_way(stack, 2).await?;
            stack.envoys[0].process().kill().await?;
            let free = until(200, Duration::from_secs(45), async || {
                other.chat(&quick).await
            })
            .await?;
            assert!(free <= Duration::from_secs(32), "free after {free:?}");
            let all = rows_until(stack, &key, 3, Duration::from_secs(45)).await?;
            let spends: Vec<u64> = all
                .iter()
                .map(|row| nano_usd(&row["spend"]))
                .collect::<Result<_>>()?;
            assert_eq!(
                spends.iter().filter(|spend| **spend == 100 * TOKEN).count(),
                2,
                "{all:?}"
            );
            let estimated = |row: &&Value| row["metadata"]["tollkeeper"]["estimated"] == true;
            assert_eq!(all.iter().filter(estimated).count(), 2, "{all:?}");
            assert_eq!(key_spend(stack, &key).await?, (2 * 100 + 1) * TOKEN);
            // It comes back at its address and serves.
            stack.envoys[0].restart(&stack.client).await?;
            assert_eq!(Caller::new(stack, 0, &key).chat(&quick).await?.status, 200);
            assert_eq!(rows_until(stack, &key, 4, SOON).await?.len(), 4);
            assert_eq!(rows(stack, &key).await?.len(), 4);
            Ok(())
        },
    )
}

#[test]
fn a_killed_database_is_not_missed_by_callers_and_every_call_is_written_down_once() -> Result<()> {
    alone_on_postgresql("database-killed", async |stack, database| {
        let key = stack.key(&json!({"max_budget": 10})).await?;
        let tag = tag("database");
        let body = priced(&format!("[[tag={tag} tokens=5 delay_ms=2]]"), 10);
        let mut load = JoinSet::new();
        for _ in 0..4 {
            let (caller, body) = (Caller::new(stack, 0, &key), body.clone());
            load.spawn(async move {
                let mut replies = Vec::new();
                for _ in 0..100 {
                    replies.push(caller.chat(&body).await?);
                }
                anyhow::Ok(replies)
            });
        }
        for calls in [80, 200] {
            records(stack)
                .until(&tag, SOON, |seen| seen.len() >= calls)
                .await?;
            database.process().kill().await?;
            records(stack)
                .until(&tag, SOON, |seen| seen.len() >= calls + 80)
                .await?;
            database.restart().await?;
        }
        for replies in load.join_all().await {
            only(&replies?, &[200])?;
        }
        ledger_agrees(stack, &key, &tag, Duration::from_secs(30)).await?;
        assert_eq!(key_spend(stack, &key).await?, 400 * 5 * TOKEN);
        Ok(())
    })
}
