//! Parts of the stack by themselves, with what fault tests rely on.

use std::time::Duration;

use serde_json::{Map, json};

use super::{Envoy, Postgres, Providers, Redis, Settings};
use crate::client::{Client, authority, raw};
use crate::setup;
use crate::upstream::{Remember, Upstream};

fn folder(name: &str) -> std::path::PathBuf {
    let folder = setup::private()
        .join("tests")
        .join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("logs")).unwrap();
    folder
}

async fn redis(url: &str, commands: &str) -> String {
    let url = url.replace("redis://", "http://");
    let answer = raw(
        &url,
        format!("{commands}\r\nQUIT\r\n").as_bytes(),
        Duration::from_secs(2),
    )
    .await
    .unwrap();
    assert!(!authority(&url).is_empty());
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_killed_redis_comes_back_at_its_address_with_what_it_had_acknowledged() {
    let data = folder("redis");
    let mut server = Redis::start(&setup::redis::binary().unwrap(), &data)
        .await
        .unwrap();
    assert_eq!(redis(&server.url(), "SET toll 7").await, "+OK\r\n+OK\r\n");
    assert!(
        redis(&server.url(), "CONFIG GET maxmemory-policy")
            .await
            .contains("noeviction")
    );
    let url = server.url();
    server.process().kill().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert_eq!(redis(&url, "GET toll").await, "$1\r\n7\r\n+OK\r\n");
    server.process().kill().await.unwrap();
    std::fs::remove_dir_all(data).unwrap();
}

#[tokio::test]
async fn a_private_postgresql_starts_also_for_root_and_comes_back_after_a_kill() {
    let data = folder("postgres");
    let mut server = Postgres::start(&data).await.unwrap();
    let url = server.url();
    server.process().kill().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert!(server.process().is_running());
    server
        .process()
        .stop(Duration::from_secs(10))
        .await
        .unwrap();
    std::fs::remove_dir_all(data).unwrap();
}

#[tokio::test]
async fn an_envoy_whose_redis_was_never_filled_admits_nobody_and_says_why() {
    let data = folder("unready");
    let redis = Redis::start(&setup::redis::binary().unwrap(), &data)
        .await
        .unwrap();
    let upstream = Upstream::start(Remember::Calls).unwrap();
    let wasm = match std::env::var_os("TOLLKEEPER_FILTER") {
        Some(built) => built.into(),
        None => setup::wasm::build().unwrap(),
    };
    let settings = Settings {
        name: "envoy".to_owned(),
        workers: 1,
        wasm,
        redis_url: redis.filter_url(),
        providers: Providers::Elsewhere(upstream.url()),
        filter: Map::new(),
        provider_keys: Vec::new(),
        governed: true,
        data: data.clone(),
    };
    let client = Client::default();
    let program = setup::envoy::binary().unwrap();
    let mut envoy = Envoy::start(&program, settings, &client).await.unwrap();
    let url = format!("{}/v1/chat/completions", envoy.url());
    let body = json!({"model": "gpt-4o-mini", "messages": []});
    for _ in 0..2 {
        let unknown = client.post(&url, Some("sk-anybody"), &body).await.unwrap();
        assert_eq!(
            unknown.status,
            503,
            "{} {}",
            unknown.text(),
            envoy.process().tail(20)
        );
        assert_eq!(
            unknown.json()["error"]["type"],
            "limiter_unavailable",
            "{}",
            unknown.text()
        );
        assert_eq!(unknown.header("retry-after"), Some("1"));
        // Restarted, it is at the same address.
        envoy.process().kill().await.unwrap();
        envoy.restart(&client).await.unwrap();
    }
    assert_eq!(upstream.records().seen(), 0);
    std::fs::remove_dir_all(data).unwrap();
}
