//! What must not grow: the cost of a request with the number of keys and of scopes, and the filter's memory with the number of requests.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollkeeper_tests::client::authority;
use tollkeeper_tests::load::{Load, chat_request, number, percentile};
use tollkeeper_tests::stack::{Envoy, Stack};

use super::{cpu_seconds, forget_spend};

/// Keys of the smaller number.
const FEW: usize = 100;
/// Requests to the admin service at once while keys are made.
const MAKERS: usize = 16;
const CONNECTIONS: usize = 16;

/// The keys that are called with.
#[derive(Debug)]
pub struct Keys {
    many: Vec<String>,
    one_scope: String,
    four_scopes: String,
}

impl Keys {
    /// Makes `count` keys, and one whose user, team and membership have limits too.
    pub async fn make(stack: &Arc<Stack>, limits: &Value, count: usize) -> Result<Self> {
        let mut makers = JoinSet::new();
        for maker in 0..MAKERS {
            let (stack, limits) = (Arc::clone(stack), limits.clone());
            let share = count / MAKERS + usize::from(maker < count % MAKERS);
            makers.spawn(async move {
                let mut keys = Vec::with_capacity(share);
                for _ in 0..share {
                    keys.push(stack.key(&limits).await?);
                }
                anyhow::Ok(keys)
            });
        }
        let mut many = Vec::with_capacity(count);
        for made in makers.join_all().await {
            many.extend(made?);
        }
        let limited = |mut fields: Value| {
            if let (Some(fields), Some(limits)) = (fields.as_object_mut(), limits.as_object()) {
                fields.extend(limits.clone());
            }
            fields
        };
        let user = json!({"user_id": "bench", "auto_create_key": false});
        stack.post_admin("/user/new", &limited(user)).await?;
        let team = json!({"team_id": "bench", "members_with_roles": [{"role": "user", "user_id": "bench"}],
            "team_member_budget": 1_000_000, "team_member_rpm_limit": 4_000_000_000_u64});
        stack.post_admin("/team/new", &limited(team)).await?;
        let owned = limited(json!({"user_id": "bench", "team_id": "bench"}));
        Ok(Self {
            many,
            one_scope: stack.key(limits).await?,
            four_scopes: stack.key(&owned).await?,
        })
    }
}

/// Medians of one case.
#[derive(Debug)]
struct Line {
    name: String,
    rate: f64,
    p50_us: f64,
    cpu_us: f64,
}

/// What was found.
#[derive(Debug)]
pub struct Growth {
    lines: Vec<Line>,
    /// Memory of the worker's virtual machine, MiB, before and after the requests.
    memory: (f64, f64),
    requests: usize,
}

/// Measures, the cases in turn.
pub async fn measure(stack: &Stack, keys: &Keys, body: usize, seconds: u64) -> Result<Growth> {
    let envoy = stack.envoys.first().context("no Envoy was started")?;
    let few = keys.many.get(..FEW).unwrap_or(&keys.many);
    let one = std::slice::from_ref(&keys.one_scope);
    let four = std::slice::from_ref(&keys.four_scopes);
    let cases = [
        (format!("{} keys", few.len()), few),
        (format!("{} keys", keys.many.len()), keys.many.as_slice()),
        ("1 scope".to_owned(), one),
        ("4 scopes".to_owned(), four),
    ];
    let before = memory(stack, envoy).await?;
    let mut requests = 0;
    let mut found: Vec<Vec<Line>> = cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((name, keys), lines) in cases.iter().zip(&mut found) {
            forget_spend(stack).await?;
            let (line, count) = one_case(envoy, name, keys, body, seconds).await?;
            requests += count;
            lines.push(line);
        }
    }
    Ok(Growth {
        lines: found.into_iter().filter_map(median).collect(),
        memory: (before, memory(stack, envoy).await?),
        requests,
    })
}

/// Memory of the filter's virtual machine, MiB; the stack has one worker.
async fn memory(stack: &Stack, envoy: &Envoy) -> Result<f64> {
    let stats = envoy
        .stats(&stack.client, "tollkeeper.memory_bytes")
        .await?;
    let (_, bytes) = stats.first().context("Envoy shows no memory")?;
    Ok(number(usize::try_from(*bytes)?) / 1_048_576.0)
}

/// Rounds of each case; the middle one counts.
const ROUNDS: usize = 3;

async fn one_case(
    envoy: &Envoy,
    name: &str,
    keys: &[String],
    body: usize,
    seconds: u64,
) -> Result<(Line, usize)> {
    let address = authority(envoy.url()).parse()?;
    let request = |key: &String| {
        let bearer = format!("Bearer {key}");
        chat_request(&address, &[("authorization", &bearer)], false, body)
    };
    let load = Load {
        address,
        requests: keys.iter().map(request).collect(),
        connections: CONNECTIONS,
        duration: Duration::from_secs(seconds),
    };
    let used = cpu_seconds(envoy.process())?;
    let measured = load.run().await.with_context(|| name.to_owned())?;
    let count = measured.whole_us.len();
    let line = Line {
        name: name.to_owned(),
        rate: measured.rate(),
        p50_us: percentile(&measured.whole_us, 0.5),
        cpu_us: (cpu_seconds(envoy.process())? - used) * 1e6 / number(count.max(1)),
    };
    Ok((line, count))
}

fn median(mut lines: Vec<Line>) -> Option<Line> {
    lines.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let middle = lines.len() / 2;
    lines.into_iter().nth(middle)
}

impl Growth {
    /// For other programs.
    pub fn json(&self) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({"case": line.name, "requests_per_second": line.rate.round(), "p50_us": line.p50_us.round(),
                    "envoy_cpu_us": (line.cpu_us * 10.0).round() / 10.0})
            })
            .collect();
        let (before, after) = self.memory;
        json!({"cases": lines, "memory_mib": {"before": (before * 10.0).round() / 10.0, "after": (after * 10.0).round() / 10.0, "requests": self.requests}})
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "\nGoverned, {CONNECTIONS} connections\n  {:<26}{:>12}{:>10}{:>14}\n",
            "", "requests/s", "p50, µs", "Envoy CPU, µs"
        );
        for line in &self.lines {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {:<26}{:>12.0}{:>10.0}{:>14.1}",
                line.name, line.rate, line.p50_us, line.cpu_us
            );
        }
        let (before, after) = self.memory;
        let _ = writeln!(
            text,
            "\nMemory of the worker's virtual machine: {before:.1} MiB, {after:.1} MiB after {} requests",
            self.requests
        );
        text
    }
}
