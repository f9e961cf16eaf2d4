//! The scripted upstream itself, over its own socket: what tests rely on has to hold.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Outcome, Remember, Reported, Upstream};
use crate::client::Client;

const SOON: Duration = Duration::from_secs(5);

fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn the_default_answer_is_the_same_every_time_and_is_remembered() {
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let client = Client::default();
    let url = format!("{}/v1/chat/completions", upstream.url());
    let first = client
        .post(&url, Some("provider-key"), &chat("hello [[tag=d]]"))
        .await
        .unwrap();
    let second = client
        .post(&url, Some("provider-key"), &chat("hello [[tag=d]]"))
        .await
        .unwrap();
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.json()["choices"], second.json()["choices"]);
    assert_ne!(first.json()["id"], second.json()["id"]);
    let calls = upstream
        .records()
        .until("d", SOON, |calls| {
            calls.iter().all(|call| call.ended_ms.is_some())
        })
        .await
        .unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].outcome, Outcome::Finished);
    assert_eq!(calls[0].response_id.as_deref(), first.json()["id"].as_str());
    assert_eq!(
        calls[0].header("authorization"),
        Some("Bearer provider-key")
    );
    assert_eq!(
        calls[0].usage,
        Some(Reported {
            prompt: 4,
            completion: 10
        })
    );
    assert_eq!(calls[0].bytes_sent, first.body.len() as u64);
}

#[tokio::test]
async fn a_stream_reports_usage_only_where_the_request_asks_for_it() {
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let client = Client::default();
    let url = format!("{}/v1/chat/completions", upstream.url());
    let mut body = chat("[[tokens=6 chunks=3]]");
    body["stream"] = json!(true);
    let plain = client.post(&url, None, &body).await.unwrap().text();
    assert!(
        plain.ends_with("data: [DONE]\n\n") && !plain.contains("usage"),
        "{plain}"
    );
    body["stream_options"] = json!({"include_usage": true});
    body["max_tokens"] = json!(4);
    let asked = client.post(&url, None, &body).await.unwrap().text();
    assert!(
        asked.contains("\"completion_tokens\":4") && asked.contains("\"finish_reason\":\"length\""),
        "{asked}"
    );
}

#[tokio::test]
async fn a_caller_that_leaves_is_seen_as_an_abort() {
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let client = Client::default();
    let url = format!("{}/v1/chat/completions", upstream.url());
    let mut body = chat("[[tag=a tokens=6 hold_end=never]]");
    body["stream"] = json!(true);
    let mut answer = client.post_arriving(&url, None, &body).await.unwrap();
    assert!(answer.next().await.unwrap().is_some());
    drop(answer);
    let calls = upstream
        .records()
        .until("a", SOON, |calls| calls[0].ended_ms.is_some())
        .await
        .unwrap();
    assert_eq!((calls[0].outcome, calls[0].usage), (Outcome::Aborted, None));
}

#[tokio::test]
async fn a_reset_closes_the_connection_before_or_within_the_answer() {
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let client = Client::default();
    let url = format!("{}/v1/chat/completions", upstream.url());
    assert!(
        client
            .post(&url, None, &chat("[[tag=r reset]]"))
            .await
            .is_err()
    );
    let mut body = chat("[[tag=r tokens=6 reset_after=2]]");
    body["stream"] = json!(true);
    assert!(client.post(&url, None, &body).await.is_err());
    let calls = upstream
        .records()
        .until("r", SOON, |calls| {
            calls.iter().all(|call| call.ended_ms.is_some())
        })
        .await
        .unwrap();
    assert_eq!(
        calls.iter().map(|call| call.outcome).collect::<Vec<_>>(),
        [Outcome::Reset, Outcome::Reset]
    );
    assert_eq!(calls[1].chunks_sent, 2);
}

#[tokio::test]
async fn held_calls_wait_for_their_release_and_are_counted_at_once() {
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let client = Client::default();
    let url = format!("{}/v1/embeddings", upstream.url());
    let body = json!({"model": "text-embedding-3-small", "input": "[[tag=h hold=gate]]"});
    let calls = async {
        tokio::join!(
            client.post(&url, None, &body),
            client.post(&url, None, &body)
        )
    };
    let release = async {
        upstream
            .records()
            .until("h", SOON, |calls| calls.len() == 2)
            .await
            .unwrap();
        client
            .post(
                &format!("{}/_upstream/release/gate", upstream.url()),
                None,
                &json!({}),
            )
            .await
            .unwrap();
    };
    let ((first, second), ()) = tokio::join!(calls, release);
    assert_eq!((first.unwrap().status, second.unwrap().status), (200, 200));
    assert_eq!(upstream.records().most_at_once("h"), 2);
    let told = client
        .get(&format!("{}/_upstream/calls/h", upstream.url()), None)
        .await
        .unwrap()
        .json();
    assert_eq!(told["calls"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_misspelt_directive_is_refused_and_an_unknown_path_is_not_found() {
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let client = Client::default();
    let refused = client
        .post(
            &format!("{}/v1/chat/completions", upstream.url()),
            None,
            &chat("[[tokns=1]]"),
        )
        .await
        .unwrap();
    assert!(refused.status == 400 && refused.text().contains("tokns=1"));
    assert_eq!(
        client
            .get(&format!("{}/v1/nowhere", upstream.url()), None)
            .await
            .unwrap()
            .status,
        404
    );
}
