//! Hostile requests: no upstream call, no reload of the VM, and streams that run meanwhile are unhurt.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tollkeeper_tests::client::{authority, raw};
use tollkeeper_tests::stack::Stack;

use crate::gateway::{Caller, capped, chat, records, shared, streamed, tag};

const QUIET: Duration = Duration::from_millis(500);

/// Sends bytes with `connection: close` and gives the status line's number; 0 where the connection was just closed.
async fn status(stack: &Stack, request: &[u8]) -> Result<u16> {
    let answer = raw(stack.envoys[0].url(), request, QUIET).await?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0))
}

fn post(stack: &Stack, path: &str, headers: &[u8], body: &[u8]) -> Vec<u8> {
    let host = authority(stack.envoys[0].url());
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    request.extend_from_slice(headers);
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    request
}

/// Reloads and failures of wasm VMs, over all Envoys.
async fn vm_failures(stack: &Stack) -> Result<u64> {
    let mut failures = 0;
    for envoy in &stack.envoys {
        for (name, value) in envoy.stats(&stack.client, "wasm").await? {
            if name.contains("reload") || name.contains("failed") || name.contains("crash") {
                failures += value;
            }
        }
    }
    Ok(failures)
}

/// Runs `attack` while a stream is open; the stream has to end well, and no VM may have failed.
async fn under_attack(
    stack: &'static Stack,
    attack: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let key = stack.key(&json!({})).await?;
    let (running, gate) = (tag("running"), tag("gate"));
    let mut streams = Vec::new();
    for lane in 0..4 {
        let body = streamed(capped(
            &format!("[[tag={running} tokens=3 hold_end={gate}]]"),
            3,
        ));
        let mut stream = Caller::new(stack, lane % 2, &key)
            .chat_arriving(&body)
            .await?;
        assert_eq!(stream.status, 200);
        stream.next().await?.context("the stream ended at once")?;
        streams.push(stream);
    }
    let before = vm_failures(stack).await?;
    attack().await?;
    records(stack).release(&gate);
    for stream in streams {
        assert!(stream.whole().await?.text().ends_with("data: [DONE]\n\n"));
    }
    assert_eq!(vm_failures(stack).await?, before);
    Ok(())
}

#[test]
fn credentials_of_any_bytes_are_refused_and_hurt_nobody() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let other = stack.key(&json!({})).await?;
        let tag = tag("bytes");
        let body = chat(&format!("[[tag={tag}]]")).to_string().into_bytes();
        let long = [
            b"authorization: Bearer sk-".as_slice(),
            &[b'a'; 5_000],
            b"\r\n",
        ]
        .concat();
        let doubled = format!("authorization: Bearer {key}\r\nauthorization: Bearer {other}\r\n")
            .into_bytes();
        let disagree =
            format!("authorization: Bearer {key}\r\nx-api-key: {other}\r\n").into_bytes();
        let attacks: Vec<Vec<u8>> = vec![
            b"authorization: Bearer sk-\xff\xfe\r\n".to_vec(),
            b"authorization: \xff\xfe\xfd\r\n".to_vec(),
            b"x-api-key: sk-\x80\x81\r\n".to_vec(),
            b"x-other: \xc3\x28\r\nauthorization: Bearer sk-\xed\xa0\x80\r\n".to_vec(),
            b"authorization: Bearer\r\n".to_vec(),
            b"authorization: Bearer sk-\r\n".to_vec(),
            b"authorization: Bearer sk-a b\r\n".to_vec(),
            b"authorization: Bearer sk-a,sk-b\r\n".to_vec(),
            b"authorization:\r\n".to_vec(),
            b"authorization: Basic \xff\xff\r\n".to_vec(),
            long,
            doubled,
            disagree,
        ];
        under_attack(stack, async || {
            for attack in &attacks {
                let status =
                    status(stack, &post(stack, "/v1/chat/completions", attack, &body)).await?;
                assert!(
                    matches!(status, 400 | 401),
                    "{}: {status}",
                    attack.escape_ascii()
                );
            }
            Ok(())
        })
        .await?;
        assert!(records(stack).tagged(&tag).is_empty());
        Ok(())
    })
}

#[test]
fn no_spelling_of_a_path_reaches_the_upstream_without_a_key() -> Result<()> {
    shared(async |stack| {
        let tag = tag("spelling");
        let body = chat(&format!("[[tag={tag}]]")).to_string().into_bytes();
        let spellings = [
            "/v1/chat/completions",
            "/chat/completions",
            "//v1/chat/completions",
            "/v1//chat/completions",
            "/v1/chat//completions",
            "/v1/chat/completions/",
            "/v1/chat/completions//",
            "/v1/chat/completions;x=1",
            "/v1/chat/completions;",
            "/v1;a/chat/completions",
            "/v1/chat/completions?x=1",
            "/v1/chat/completions#x",
            "/V1/chat/completions",
            "/v1/Chat/Completions",
            "/v1/chat/COMPLETIONS",
            "/v1/./chat/completions",
            "/v1/../v1/chat/completions",
            "/./v1/chat/completions",
            "/../v1/chat/completions",
            "/v1/chat/./completions",
            "/v1/chat/x/../completions",
            "/%76%31/chat/completions",
            "/v1/%63hat/completions",
            "/v1/chat%2fcompletions",
            "/v1%2Fchat%2Fcompletions",
            "/v1/chat%5ccompletions",
            "/v1\\chat\\completions",
            "/v1/chat/completions%00",
            "/v1/chat/completions%20",
            "/v1/chat/completions%2e",
            "/v1/chat/%2e/completions",
            "/v1/chat/%2e%2e/chat/completions",
            "/v1/chat/completions.json",
            "/v1/chat/completion",
            "/v2/chat/completions",
            "/openai/v1/chat/completions",
            "/v1/embeddings",
            "/v1/responses",
            "/v1/completions",
            "/v1/files",
            "/v1/audio/speech",
            "/",
            "/_upstream/calls",
            "/v1/models/x",
        ];
        assert!(spellings.len() >= 40);
        let before = records(stack).seen();
        under_attack(stack, async || {
            for spelling in spellings {
                let status = status(stack, &post(stack, spelling, b"", &body)).await?;
                assert!(
                    matches!(status, 0 | 400 | 401 | 404 | 405),
                    "{spelling}: {status}"
                );
            }
            Ok(())
        })
        .await?;
        assert!(records(stack).tagged(&tag).is_empty());
        assert!(
            records(stack)
                .all()
                .iter()
                .all(|call| call.number <= before || !call.path.contains("_upstream"))
        );
        Ok(())
    })
}

#[test]
fn hostile_bodies_are_refused_before_the_upstream() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let tag = tag("body");
        let message = format!(r#""messages":[{{"role":"user","content":"[[tag={tag}]]"}}]"#);
        let deep = format!(
            r#"{{"model":"gpt-4o-mini",{message},"x":{}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"{".to_vec(),
            b"[]".to_vec(),
            b"null".to_vec(),
            b"\xff\xfe{}".to_vec(),
            format!(r"{{{message}}}").into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","model":"round-price",{message}}}"#).into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","mod\u0065l":"round-price",{message}}}"#)
                .into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","max_tokens":1,"max_tokens":9,{message}}}"#)
                .into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","max_tokens":-1,{message}}}"#).into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","max_tokens":1e999,{message}}}"#).into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","max_tokens":99999999999999999999999,{message}}}"#)
                .into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","n":-5,{message}}}"#).into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","n":9007199254740993,{message}}}"#).into_bytes(),
            format!(r#"{{"model":17,{message}}}"#).into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","api_base":"http://127.0.0.1:1",{message}}}"#)
                .into_bytes(),
            format!(r#"{{"model":"gpt-4o-mini","api_key":"sk-stolen",{message}}}"#).into_bytes(),
            format!("{{\"model\":\"gpt-4o-mini\",{message}}}\u{0}").into_bytes(),
            format!("{{\"model\":\"gpt-4o-mini\",{message}}} trailing").into_bytes(),
            [
                b"{\"model\":\"gpt-4o-mini\",\"x\":\"\xc3\x28\",".as_slice(),
                message.as_bytes(),
                b"}",
            ]
            .concat(),
            deep.into_bytes(),
        ];
        let bearer = format!("authorization: Bearer {key}\r\n").into_bytes();
        under_attack(stack, async || {
            for body in &bodies {
                let status =
                    status(stack, &post(stack, "/v1/chat/completions", &bearer, body)).await?;
                let shown = &body[..body.len().min(120)];
                assert!(
                    (400..500).contains(&status),
                    "{}: {status}",
                    shown.escape_ascii()
                );
            }
            let good = format!(r#"{{"model":"gpt-4o-mini",{message}}}"#);
            let coded = [bearer.as_slice(), b"content-encoding: gzip\r\n"].concat();
            assert_eq!(
                status(
                    stack,
                    &post(stack, "/v1/chat/completions", &coded, good.as_bytes())
                )
                .await?,
                415
            );
            Ok(())
        })
        .await?;
        assert!(records(stack).tagged(&tag).is_empty());
        Ok(())
    })
}

#[test]
fn a_client_cannot_speak_in_the_gateways_own_headers() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let tag = tag("namespace");
        let body = chat(&format!("[[tag={tag}]]")).to_string().into_bytes();
        let headers = format!(
            "authorization: Bearer {key}\r\nx-tollkeeper-provider: nowhere\r\nx-tollkeeper-model: other\r\nx-tollkeeper-admitted-ms: 1\r\n"
        );
        assert_eq!(
            status(
                stack,
                &post(stack, "/v1/chat/completions", headers.as_bytes(), &body)
            )
            .await?,
            200
        );
        let calls = records(stack).tagged(&tag);
        assert_eq!(calls.len(), 1);
        assert!(
            calls[0].admitted_ms.is_some_and(|ms| ms > 1),
            "{:?}",
            calls[0].headers
        );
        assert!(
            calls[0]
                .headers
                .iter()
                .all(|(_, value)| value != "nowhere" && value != "other"),
            "{:?}",
            calls[0].headers
        );
        Ok(())
    })
}

#[test]
fn a_body_over_the_limit_is_refused_with_the_limit_named() -> Result<()> {
    shared(async |stack| {
        let key = stack.key(&json!({})).await?;
        let tag = tag("large");
        let reply = Caller::new(stack, 0, &key)
            .chat(&chat(&format!(
                "[[tag={tag}]]{}",
                "x".repeat(33 * 1024 * 1024)
            )))
            .await;
        // The connection may be closed while the rest of the body is still being sent.
        if let Ok(reply) = reply {
            assert_eq!(reply.status, 413, "{}", reply.text());
        }
        assert!(records(stack).tagged(&tag).is_empty());
        Ok(())
    })
}
