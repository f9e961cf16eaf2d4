//! Parts of the stack by themselves, with what fault tests rely on.

use std::time::Duration;

use super::{Postgres, Redis};
use crate::client::{authority, raw};
use crate::setup;

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
