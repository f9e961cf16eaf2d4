//! Requests that nobody thought of: schemathesis makes them of `/openapi.json`, right ones and wrong ones, and holds every answer against it.

use std::process::{Command, Output};
use std::time::Duration;

use tollkeeper_admin::router::rows;
use tollkeeper_tests::setup;

use super::clients::{Api, MASTER};
use crate::support::database::Database;

/// Least number of requests.
const CASES: usize = 5_000;
/// Longest run.
const WITHIN: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_requests_meet_no_failure_and_nothing_undocumented() {
    let api = Api::start(Database::sqlite().await).await;
    let url = format!("http://{}/openapi.json", api.service.address());
    let run = tokio::task::spawn_blocking(move || explore(&url));
    let output = tokio::time::timeout(WITHIN, run).await.expect("in time");
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let cases = said
        .lines()
        .find_map(|line| line.trim().split_once(" generated"));
    let cases: usize = cases.expect("a count").0.parse().expect("a number");
    assert!(cases >= CASES, "only {cases} requests:\n{said}");
    println!("{cases} requests");
}

fn explore(url: &str) -> Output {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    // Of each route: beside these come those that go to the edges of every field, twice as many and more.
    let each = (CASES / 2).div_ceil(rows().len()).to_string();
    let within = WITHIN.as_secs().to_string();
    let mut command = Command::new("timeout");
    command
        .arg(within)
        .arg(setup::schemathesis::program().expect("schemathesis"))
        .args(["run", url, "--no-color", "--warnings", "off"])
        .args(["--phases", "coverage,fuzzing", "--max-examples", &each])
        // Its threads disturb each other: one works.
        .args(["--workers", "1", "--continue-on-failure", "--request-timeout", "30"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        // The same requests each time: what is red is red again.
        .args(["--seed", "1", "--generation-deterministic"])
        // 503 is what LiteLLM answers without a cache.
        .args(["--exclude-path", "/cache/ping"])
        .args(["--header", &format!("Authorization: Bearer {MASTER}")])
        .current_dir(folder.path());
    command.output().expect("it starts")
}
