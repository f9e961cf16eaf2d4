//! The program as somebody starts it.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::clients::MASTER;
use crate::support::database::Database;
use crate::support::redis::TestRedis;
use crate::support::rows::run;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper-admin"));
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn first_line(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap().expect("a line")
}

#[tokio::test]
async fn it_prints_its_url_serves_and_stops_at_a_signal() {
    let redis = TestRedis::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("master");
    std::fs::write(&secret, format!("{MASTER}\n")).unwrap();
    for (arguments, signal) in [(&["serve"][..], "TERM"), (&[][..], "INT")] {
        let mut child = program()
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .arg("--database")
            .arg(format!("sqlite:{}", folder.path().join("t.db").display()))
            .env("REDIS_URL", redis.server.url())
            .env("LITELLM_MASTER_KEY_FILE", &secret)
            .spawn()
            .unwrap();
        let line = first_line(&mut child).await;
        let url = line
            .strip_prefix("listening on ")
            .expect("a URL")
            .to_owned();
        let answer = reqwest::get(format!("{url}/health/liveness"))
            .await
            .unwrap();
        assert_eq!(answer.text().await.unwrap(), "\"I'm alive!\"");
        let id = child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
        assert!(child.wait().await.unwrap().success(), "{signal}");
        let mut log = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .await
            .unwrap();
        assert!(log.contains("stopping") && !log.contains(MASTER), "{log}");
    }
}

#[tokio::test]
async fn it_does_not_start_without_what_it_needs_and_says_what() {
    for (variables, expected) in [
        (
            vec![],
            "LITELLM_MASTER_KEY (or general_settings.master_key): expected a master key",
        ),
        (
            vec![("LITELLM_MASTER_KEY", "sk-1234")],
            "expected at least 32 characters outside --dev",
        ),
        (
            vec![
                ("LITELLM_MASTER_KEY", MASTER),
                ("DATABASE_URL", "mysql://x"),
            ],
            "expected postgres://… or sqlite:<path of a file>",
        ),
        (
            vec![
                ("LITELLM_MASTER_KEY", MASTER),
                ("DATABASE_URL", "sqlite:/nowhere/at/all.db"),
            ],
            "cannot open /nowhere/at/all.db: No such file",
        ),
    ] {
        let mut command = program();
        command.args(["--listen", "127.0.0.1:0"]).envs(variables);
        let output = command.output().await.unwrap();
        assert!(!output.status.success());
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains(expected), "expected {expected:?} in {log}");
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn reconcile_prints_what_differs_and_fails() {
    let redis = TestRedis::start().await;
    let database = Database::sqlite().await;
    let reconcile = || async {
        program()
            .args(["reconcile", "--database", &database.url])
            .env("REDIS_URL", redis.server.url())
            .env("LITELLM_MASTER_KEY", MASTER)
            .output()
            .await
            .unwrap()
    };
    let said = reconcile().await;
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "{text}");
    assert_eq!(text, "rows, sums, totals and counters agree\n");
    let spent =
        "INSERT INTO api_key_spend (api_key, spend, last_date) VALUES ('k', 5, '2026-11-23')";
    run(&database.store, spent).await;
    let said = reconcile().await;
    assert!(!said.status.success());
    assert_eq!(
        String::from_utf8(said.stdout).unwrap(),
        "rows and totals: api_key \"k\": spend: expected 0, found 5\n"
    );
}
