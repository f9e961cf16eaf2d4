//! Limits hold exactly, across Envoys and workers, and let through what they allow. Counts are taken at the upstream.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollkeeper_tests::client::authority;
use tollkeeper_tests::load::{Load, chat_request};
use tollkeeper_tests::stack::Stack;
use tollkeeper_tests::upstream::{Call, most_in_any_window};

use crate::gateway::{
    Caller, SOON, capped, key_spend, offer, only, records, shared, streamed, tag, with, with_status,
};

const MINUTE: u64 = 60_000;

/// 503 is what a request gets whose call to Redis took longer than 200 ms, as happens where a small machine runs many tests at once: it was
/// not admitted, and what is admitted is what is judged.
const REFUSED_OR_NOT: [u16; 3] = [200, 429, 503];

/// From 60 s after an admission, its place is free once the segment that it was counted in (at most 250 ms) and the time in which the
/// request could still have been on its way (the 200 ms of a call to Redis) have passed too.
const SLACK: u64 = 450;

fn admitted(calls: &[Call]) -> Result<Vec<u64>> {
    calls
        .iter()
        .map(|call| {
            call.admitted_ms
                .context("the gateway added no admission time")
        })
        .collect()
}

/// Offers ten times the limit of 100 a minute: at once, steadily until the minute is over, and at once again.
async fn offered_over_the_minute_edge(
    stack: &'static Stack,
    key: &str,
    body: &Value,
    tag: &str,
) -> Result<Vec<Call>> {
    only(&offer(stack, key, body, 1_000, 40).await?, &REFUSED_OR_NOT)?;
    let first = *admitted(&records(stack).tagged(tag))?
        .iter()
        .min()
        .context("nothing was admitted")?;
    let steady = {
        let (key, body) = (key.to_owned(), body.clone());
        async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(60));
            let mut sent = JoinSet::new();
            let callers = [Caller::new(stack, 0, &key), Caller::new(stack, 1, &key)];
            for number in 0.. {
                ticks.tick().await;
                if tollkeeper_tests::clock::unix_ms() > first + MINUTE - 200 {
                    break;
                }
                let (caller, body) = (callers[number % 2].clone(), body.clone());
                sent.spawn(async move { caller.chat(&body).await });
            }
            sent.join_all()
                .await
                .into_iter()
                .collect::<Result<Vec<_>>>()
        }
    };
    only(&steady.await?, &REFUSED_OR_NOT)?;
    // The edge itself, from just before until everything of the first minute has left.
    let last = *admitted(&records(stack).tagged(tag))?
        .iter()
        .max()
        .context("nothing was admitted")?;
    let until = (last + MINUTE + SLACK).max(tollkeeper_tests::clock::unix_ms()) + 5_000;
    while tollkeeper_tests::clock::unix_ms() < until {
        only(&offer(stack, key, body, 200, 20).await?, &REFUSED_OR_NOT)?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(records(stack).tagged(tag))
}

#[test]
fn a_request_limit_holds_in_every_minute_and_admits_what_it_allows() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"rpm_limit": 100})).await?;
        let tag = tag("rpm");
        let body = capped(&format!("[[tag={tag} tokens=1]]"), 1);
        let calls = offered_over_the_minute_edge(stack, &key, &body, &tag).await?;
        let times = admitted(&calls)?;
        let arrivals: Vec<u64> = calls.iter().map(|call| call.arrived_ms).collect();
        let first = *times.iter().min().unwrap();
        assert!(
            most_in_any_window(&times, MINUTE) <= 100,
            "{} admitted within a minute",
            most_in_any_window(&times, MINUTE)
        );
        assert!(
            most_in_any_window(&arrivals, MINUTE) <= 100,
            "{} arrived within a minute",
            most_in_any_window(&arrivals, MINUTE)
        );
        let in_first = times.iter().filter(|time| **time < first + MINUTE).count();
        let in_second = times.len() - in_first;
        assert!(
            in_first >= 99 && in_second >= 99,
            "{in_first} in the first minute, {in_second} in the second"
        );
        Ok(())
    })
}

#[test]
fn a_token_limit_holds_in_every_minute_and_admits_what_it_allows() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"tpm_limit": 20_000})).await?;
        let tag = tag("tpm");
        // 200 tokens at most, whatever the message is estimated at: 100 of them fit.
        let body = capped(&format!("[[tag={tag} tokens=180 prompt=20]]"), 180);
        let calls = offered_over_the_minute_edge(stack, &key, &body, &tag).await?;
        let times = admitted(&calls)?;
        let first = *times.iter().min().unwrap();
        let most = most_in_any_window(&times, MINUTE) * 200;
        assert!(most <= 20_000, "{most} tokens within a minute");
        let in_first = times.iter().filter(|time| **time < first + MINUTE).count() * 200;
        let in_second = times.len() * 200 - in_first;
        // What is left is less than one more request needs.
        assert!(
            in_first >= 19_600 && in_second >= 19_600,
            "{in_first} tokens in the first minute, {in_second} in the second"
        );
        Ok(())
    })
}

#[test]
fn five_minutes_of_saturation_keep_nearly_all_that_a_limit_allows() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"rpm_limit": 300})).await?;
        let tag = tag("steady");
        let body = capped(&format!("[[tag={tag} tokens=1]]"), 1);
        let callers = [Caller::new(stack, 0, &key), Caller::new(stack, 1, &key)];
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let mut sent = JoinSet::new();
        // 20 a second for five minutes, four times what the limit allows.
        for number in 0..6_000 {
            ticks.tick().await;
            let (caller, body) = (callers[number % 2].clone(), body.clone());
            sent.spawn(async move { caller.chat(&body).await });
            while let Some(done) = sent.try_join_next() {
                only(&[done??], &REFUSED_OR_NOT)?;
            }
        }
        for reply in sent.join_all().await {
            only(&[reply?], &REFUSED_OR_NOT)?;
        }
        let mut times = admitted(&records(stack).tagged(&tag))?;
        times.sort_unstable();
        assert!(most_in_any_window(&times, MINUTE) <= 300);
        // Each place is used again 60 s later; 99 % of that is 60.6 s on average, once for each of the minutes that follow.
        let reused: Vec<u64> = times
            .iter()
            .skip(300)
            .zip(&times)
            .map(|(later, earlier)| later - earlier)
            .collect();
        let average = reused.iter().sum::<u64>() / u64::try_from(reused.len())?;
        assert!(
            reused.len() >= 1_100 && average <= 60_606,
            "{} places were used again, after {average} ms on average",
            reused.len()
        );
        Ok(())
    })
}

#[test]
fn a_parallel_limit_holds_while_clients_leave_and_gives_every_place_back() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_parallel_requests": 5})).await?;
        let tag = tag("parallel");
        let body = streamed(capped(&format!("[[tag={tag} tokens=6 chunk_ms=10]]"), 6));
        let mut tasks = JoinSet::new();
        for lane in 0..20_usize {
            let (caller, body) = (Caller::new(stack, lane % 2, &key), body.clone());
            tasks.spawn(async move {
                for turn in 0..15 {
                    let mut answer = caller.chat_arriving(&body).await?;
                    assert!(REFUSED_OR_NOT.contains(&answer.status), "{}", answer.status);
                    if answer.status == 200 && (lane + turn) % 3 == 0 {
                        // Leaves in the middle.
                        answer.next().await?;
                    } else {
                        answer.whole().await?;
                    }
                }
                anyhow::Ok(())
            });
        }
        for done in tasks.join_all().await {
            done?;
        }
        let most = records(stack).most_at_once(&tag);
        assert_eq!(most, 5, "{most} at once");
        // Every place is free again: five more are held at once, and only a sixth is refused.
        let gate = crate::gateway::tag("gate");
        let held = capped(&format!("[[tag={gate} hold={gate}]]"), 6);
        let mut waiting = JoinSet::new();
        for lane in 0..5 {
            let (caller, held) = (Caller::new(stack, lane % 2, &key), held.clone());
            waiting.spawn(async move {
                loop {
                    // The last places come back within 250 ms of the end.
                    let reply = caller.chat(&held).await?;
                    if reply.status == 200 {
                        return anyhow::Ok(reply);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        records(stack)
            .until(&gate, SOON, |calls| calls.len() == 5)
            .await?;
        let sixth = Caller::new(stack, 0, &key).chat(&held).await?;
        assert_eq!(
            (sixth.status, sixth.header("rate_limit_type")),
            (429, Some("max_parallel_requests")),
            "{}",
            sixth.text()
        );
        records(stack).release(&gate);
        for reply in waiting.join_all().await {
            assert_eq!(reply?.status, 200);
        }
        assert_eq!(records(stack).most_at_once(&gate), 5);
        Ok(())
    })
}

#[test]
fn a_connection_with_one_place_that_goes_on_at_once_is_never_told_to_wait() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_parallel_requests": 1})).await?;
        let envoy = stack.envoys.first().context("an Envoy")?;
        let address = authority(envoy.url()).parse()?;
        let bearer = format!("Bearer {key}");
        for stream in [false, true] {
            let load = Load {
                address,
                requests: vec![chat_request(
                    &address,
                    &[("authorization", &bearer)],
                    stream,
                    256,
                )],
                connections: 1,
                duration: Duration::from_secs(1),
            };
            // Any status but 200 is an error of the run.
            let answered = load.run().await?.whole_us.len();
            assert!(answered > 20, "{answered} in a second");
        }
        Ok(())
    })
}

#[test]
fn a_budget_is_never_exceeded_and_refuses_nothing_that_still_fits() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_budget": 0.50})).await?;
        let (tag, gate) = (tag("budget"), tag("gate"));
        // Each costs at most 0.05 USD, and in the end a little less.
        let body = |text: String| with(capped(&text, 1_000), "model", json!("round-price"));
        let at_once = body(format!("[[tag={tag} hold={gate} tokens=950]]"));
        let mut tasks = JoinSet::new();
        for lane in 0..40 {
            let (caller, body) = (Caller::new(stack, lane % 2, &key), at_once.clone());
            tasks.spawn(async move { caller.chat(&body).await });
        }
        // The refused ones come back while the admitted ones are held: nothing can have become free between.
        let mut replies = Vec::new();
        while replies.len() < 30 {
            replies.push(
                tasks
                    .join_next()
                    .await
                    .context("too many were admitted")???,
            );
        }
        only(&replies, &[422])?;
        assert!(
            replies[0].text().contains("budget_exceeded"),
            "{}",
            replies[0].text()
        );
        records(stack).release(&gate);
        while let Some(reply) = tasks.join_next().await {
            replies.push(reply??);
        }
        assert_eq!(
            with_status(&replies, 200),
            10,
            "0.50 USD are ten times 0.05 USD"
        );
        // 10 × 0.0475 are spent: 0.025 are left, enough for 500 tokens and not for 501.
        crate::gateway::rows_until(stack, &key, 10, SOON).await?;
        assert_eq!(key_spend(stack, &key).await?, 475_000_000);
        let caller = Caller::new(stack, 1, &key);
        let too_much = with(
            body(format!("[[tag={tag} tokens=501]]")),
            "max_tokens",
            json!(501),
        );
        assert_eq!(caller.chat(&too_much).await?.status, 422);
        let fits = with(
            body(format!("[[tag={tag} tokens=500]]")),
            "max_tokens",
            json!(500),
        );
        assert_eq!(caller.chat(&fits).await?.status, 200);
        assert_eq!(
            caller
                .chat(&with(fits, "max_tokens", json!(1)))
                .await?
                .status,
            422
        );
        crate::gateway::rows_until(stack, &key, 11, SOON).await?;
        assert_eq!(key_spend(stack, &key).await?, 500_000_000);
        assert_eq!(records(stack).tagged(&tag).len(), 11);
        Ok(())
    })
}

#[test]
fn a_small_token_limit_answers_a_short_request_that_states_no_cap_and_again() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"tpm_limit": 1_000, "rpm_limit": 10, "max_parallel_requests": 10, "max_budget": 1})).await?;
        let caller = Caller::new(stack, 0, &key);
        for _ in 0..3 {
            let reply = caller
                .chat(&crate::gateway::chat(
                    "Twenty tokens, please. [[tokens=20]]",
                ))
                .await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        Ok(())
    })
}
