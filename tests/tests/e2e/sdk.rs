//! The official OpenAI SDK for Python, unchanged but for its key and base URL.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;
use tollkeeper_tests::process::run;
use tollkeeper_tests::setup;

use crate::gateway::{SOON, rows_until, shared};

#[test]
fn the_official_openai_sdk_works_and_sees_its_own_exception_types() -> Result<()> {
    shared(async |stack| {
        let key = stack
            .key(&json!({"models": ["gpt-4o-mini", "text-embedding-3-small"]}))
            .await?;
        let limited = stack.key(&json!({"rpm_limit": 1})).await?;
        let broke = stack.key(&json!({"max_budget": 0})).await?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/sdk.py");
        let output = tokio::task::spawn_blocking({
            let base = format!("{}/v1", stack.envoys[0].url());
            let key = key.clone();
            move || {
                let mut command = Command::new(setup::openai_sdk::python()?);
                command.arg(script);
                command
                    .env("OPENAI_BASE_URL", base)
                    .env("OPENAI_API_KEY", key);
                command.env("LIMITED_KEY", limited).env("BROKE_KEY", broke);
                run(&mut command)
            }
        })
        .await??;
        let answered: usize = output
            .trim()
            .parse()
            .with_context(|| format!("the script said {output}"))?;
        // Every answered call of the script, and only those, is in the spend log.
        assert_eq!(
            rows_until(stack, &key, answered, SOON).await?.len(),
            answered
        );
        Ok(())
    })
}
