//! What is charged when an answer does not simply arrive: cut streams, failing upstreams, answers without counts.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tollkeeper_tests::clock;
use tollkeeper_tests::stack::Stack;

use crate::gateway::{
    Caller, SOON, capped, key_spend, nano_usd, records, rows_until, shared, streamed, tag, with,
};

/// Dollars of one completion token of `round-price`, in nano-dollars; its prompt tokens are free.
const TOKEN: u64 = 50_000;

fn priced(text: &str, cap: u64) -> Value {
    with(capped(text, cap), "model", json!("round-price"))
}

async fn one_row(stack: &Stack, key: &str) -> Result<Value> {
    let rows = rows_until(stack, key, 1, SOON).await?;
    assert_eq!(rows.len(), 1, "{rows:?}");
    Ok(rows[0].clone())
}

#[test]
fn a_client_that_leaves_pays_for_what_was_delivered_and_no_more_than_was_reserved() -> Result<()> {
    shared(async |stack| {
        let mut charged = Vec::new();
        for chunks in [0_usize, 1, 5, 20] {
            let key = stack.key(&json!({"max_budget": 1})).await?;
            let (tag, gate) = (tag("cut"), tag("gate"));
            let hold = if chunks == 0 {
                format!("hold={gate}")
            } else {
                format!("hold_end={gate}")
            };
            let body = streamed(priced(
                &format!("[[tag={tag} tokens={} {hold}]]", chunks.max(1)),
                100,
            ));
            let caller = Caller::new(stack, 0, &key);
            if chunks == 0 {
                // Leaves before the answer's head.
                let sent = tokio::spawn(async move { caller.chat_arriving(&body).await });
                records(stack)
                    .until(&tag, SOON, |calls| calls.len() == 1)
                    .await?;
                sent.abort();
            } else {
                let mut answer = caller.chat_arriving(&body).await?;
                let mut seen = Vec::new();
                while memchr::memmem::find_iter(&seen, b"\"content\":\"").count() < chunks + 1 {
                    seen.extend(answer.next().await?.context("the stream ended")?);
                }
                drop(answer);
            }
            records(stack)
                .until(&tag, SOON, |calls| calls[0].ended_ms.is_some())
                .await?;
            let row = one_row(stack, &key).await?;
            let spend = nano_usd(&row["spend"])?;
            assert!(spend <= 100 * TOKEN, "{chunks} chunks: {row}");
            assert_eq!(key_spend(stack, &key).await?, spend, "{row}");
            charged.push(spend);
        }
        // Nothing delivered costs no output; more delivered costs more, at least what was written.
        assert_eq!(charged[0], 0, "{charged:?}");
        assert!(
            charged.is_sorted() && charged[1] >= TOKEN && charged[3] >= 20 * TOKEN,
            "{charged:?}"
        );
        Ok(())
    })
}

#[test]
fn the_place_of_a_client_that_left_is_free_within_a_quarter_of_a_second() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_parallel_requests": 1})).await?;
        let mut took = Vec::new();
        for _ in 0..5 {
            let (tag, gate) = (tag("leave"), tag("gate"));
            let held = streamed(capped(
                &format!("[[tag={tag} tokens=2 hold_end={gate}]]"),
                2,
            ));
            let mut answer = Caller::new(stack, 0, &key).chat_arriving(&held).await?;
            assert_eq!(answer.status, 200);
            answer.next().await?;
            let other = Caller::new(stack, 1, &key);
            assert_eq!(other.chat(&capped("[[tokens=1]]", 1)).await?.status, 429);
            drop(answer);
            let left = clock::now();
            while other.chat(&capped("[[tokens=1]]", 1)).await?.status != 200 {
                assert!(left.elapsed() < SOON);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            took.push(left.elapsed());
            // The request that went through ends too before the next turn.
            while other.chat(&capped("[[tokens=1]]", 1)).await?.status != 200 {}
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        took.sort_unstable();
        assert!(took[2] <= Duration::from_millis(250), "{took:?}");
        Ok(())
    })
}

#[test]
fn an_upstream_that_fails_before_it_delivers_costs_nothing() -> Result<()> {
    shared(async |stack| {
        for (script, status) in [("status=500", 500), ("status=429", 429), ("reset", 503)] {
            let key = stack
                .key(&json!({"max_budget": 1, "tpm_limit": 1_000}))
                .await?;
            let tag = tag("fail");
            let reply = Caller::new(stack, 0, &key)
                .chat(&priced(&format!("[[tag={tag} {script}]]"), 100))
                .await?;
            assert_eq!(reply.status, status, "{script}: {}", reply.text());
            assert_eq!(
                records(stack).tagged(&tag).len(),
                1,
                "{script}: one admission is one upstream call"
            );
            let row = one_row(stack, &key).await?;
            assert_eq!(nano_usd(&row["spend"])?, 0, "{script}: {row}");
            assert_eq!(key_spend(stack, &key).await?, 0);
        }
        Ok(())
    })
}

#[test]
fn a_stream_that_the_upstream_cuts_is_charged_for_what_was_delivered() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_budget": 1})).await?;
        let body = streamed(priced("[[tokens=40 reset_after=10]]", 100));
        let mut answer = Caller::new(stack, 0, &key).chat_arriving(&body).await?;
        while let Ok(Some(_)) = answer.next().await {}
        let row = one_row(stack, &key).await?;
        let spend = nano_usd(&row["spend"])?;
        assert!((10 * TOKEN..=100 * TOKEN).contains(&spend), "{row}");
        Ok(())
    })
}

#[test]
fn an_answer_that_does_not_say_what_it_used_is_charged_by_estimate() -> Result<()> {
    shared(async |stack| {
        for stream in [false, true] {
            let key = stack.key(&json!({"max_budget": 1})).await?;
            let body = with(
                priced("[[tokens=30 no_usage]]", 100),
                "stream",
                json!(stream),
            );
            assert_eq!(Caller::new(stack, 0, &key).chat(&body).await?.status, 200);
            let row = one_row(stack, &key).await?;
            let spend = nano_usd(&row["spend"])?;
            assert!(
                (30 * TOKEN..=100 * TOKEN).contains(&spend),
                "stream {stream}: {row}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_provider_that_writes_more_than_was_asked_is_charged_as_it_counts() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({"max_budget": 1})).await?;
        let body = priced("[[tokens=30 ignore_cap]]", 10);
        assert_eq!(Caller::new(stack, 0, &key).chat(&body).await?.status, 200);
        assert_eq!(nano_usd(&one_row(stack, &key).await?["spend"])?, 30 * TOKEN);
        assert_eq!(key_spend(stack, &key).await?, 30 * TOKEN);
        Ok(())
    })
}

#[test]
fn usage_is_read_from_streams_in_any_framing() -> Result<()> {
    shared(async |stack| {
        for framing in ["split=1", "crlf", "crlf split=3", "split=7"] {
            let key = stack.key(&json!({"max_budget": 1})).await?;
            let body = streamed(priced(&format!("[[tokens=12 {framing}]]"), 100));
            let reply = Caller::new(stack, 0, &key).chat(&body).await?;
            assert!(
                reply.status == 200 && reply.text().trim_end().ends_with("data: [DONE]"),
                "{framing}: {}",
                reply.text()
            );
            assert!(
                !reply.text().contains("completion_tokens"),
                "{framing}: {}",
                reply.text()
            );
            assert_eq!(
                nano_usd(&one_row(stack, &key).await?["spend"])?,
                12 * TOKEN,
                "{framing}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_stream_is_passed_on_chunk_by_chunk() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let (tag, gate) = (tag("flow"), tag("gate"));
        let body = streamed(capped(
            &format!("[[tag={tag} tokens=3 hold_end={gate}]]"),
            3,
        ));
        let mut answer = Caller::new(stack, 0, &key).chat_arriving(&body).await?;
        let mut seen = Vec::new();
        // All three chunks arrive though the stream's end is held back.
        while memchr::memmem::find_iter(&seen, b"\"content\":\"").count() < 4 {
            seen.extend(answer.next().await?.context("the stream ended")?);
        }
        records(stack).release(&gate);
        while answer.next().await?.is_some() {}
        Ok(())
    })
}
