//! What the tests share: the stack, clients of it, requests for it, and the ways to wait for what it writes down.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tollkeeper_tests::client::{Arriving, Client, Reply};
use tollkeeper_tests::stack::{Options, Postgres, Stack};
use tollkeeper_tests::upstream::{Records, Upstream};
use tollkeeper_tests::{clock, setup};

/// Key of the administrator in all tests.
const MASTER_KEY: &str = "sk-master-of-the-tests-0123456789abcdef";

/// What the gateway shows to the provider instead of the virtual key.
pub const PROVIDER_KEY: &str = "the-providers-own-key";

/// Shortest time in which anything that should happen soon has to have happened, with the machine busy.
pub const SOON: Duration = Duration::from_secs(10);

/// All tests run on one runtime, so that connections outlive the test that opened them.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Runs a test on the shared stack.
pub fn shared(test: impl AsyncFnOnce(&'static Stack) -> Result<()>) -> Result<()> {
    static SHARED: OnceCell<Stack> = OnceCell::const_new();
    runtime().block_on(async {
        let start = || async {
            let mut options = options("shared")?;
            options.envoys = 2;
            options.workers = 2;
            Stack::start(&options).await
        };
        let stack = SHARED.get_or_try_init(start).await?;
        test(stack).await.with_context(|| stack.tails(15))
    })
}

/// Runs a test on a stack of its own, which it may break.
pub fn alone(
    name: &str,
    change: impl FnOnce(&mut Options),
    test: impl AsyncFnOnce(&mut Stack) -> Result<()>,
) -> Result<()> {
    runtime().block_on(async {
        let _turn = ONE.acquire().await?;
        let mut options = options(name)?;
        change(&mut options);
        on_its_own(&options, test).await
    })
}

/// The same with PostgreSQL as the admin service's database.
pub fn alone_on_postgresql(
    name: &str,
    test: impl AsyncFnOnce(&mut Stack, &mut Postgres) -> Result<()>,
) -> Result<()> {
    runtime().block_on(async {
        let _turn = ONE.acquire().await?;
        let mut options = options(name)?;
        let mut database = Postgres::start(&options.data).await?;
        options.database = Some(database.url());
        on_its_own(&options, async |stack| test(stack, &mut database).await).await
    })
}

/// One stack besides the shared one at a time: the machine is small.
static ONE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

async fn on_its_own(
    options: &Options,
    test: impl AsyncFnOnce(&mut Stack) -> Result<()>,
) -> Result<()> {
    let mut stack = Stack::start(options).await?;
    let done = test(&mut stack).await.with_context(|| stack.tails(15));
    drop(stack);
    if done.is_ok() {
        std::fs::remove_dir_all(&options.data)?;
    }
    done
}

fn options(name: &str) -> Result<Options> {
    let tests = setup::private().join("tests");
    std::fs::create_dir_all(&tests)?;
    remove_former(&tests)?;
    let data = tests.join(format!("{}-{name}", std::process::id()));
    std::fs::create_dir_all(&data)?;
    let mut options = Options::new(&data, MASTER_KEY);
    options.config = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/config.yaml"));
    options.filter = Map::from_iter([("admission_header".to_owned(), json!(true))]);
    options.provider_keys = vec![("OPENAI_API_KEY".to_owned(), PROVIDER_KEY.to_owned())];
    Ok(options)
}

/// Removes what runs left that have ended; a failed test's files are kept until the next run.
fn remove_former(tests: &Path) -> Result<()> {
    for entry in std::fs::read_dir(tests)?.filter_map(Result::ok) {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.split('-').find_map(|part| part.parse::<u32>().ok()));
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another test may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// The scripted upstream of a stack.
pub fn upstream(stack: &Stack) -> &Upstream {
    stack.upstream.as_ref().unwrap()
}

/// What the scripted upstream saw.
pub fn records(stack: &Stack) -> &Records {
    upstream(stack).records()
}

/// A name that no other test uses.
pub fn tag(name: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A chat request with one message.
pub fn chat(text: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})
}

/// The same with an output cap.
pub fn capped(text: &str, cap: u64) -> Value {
    with(chat(text), "max_tokens", json!(cap))
}

/// The same as a stream.
pub fn streamed(body: Value) -> Value {
    with(body, "stream", json!(true))
}

/// The same with one more field.
pub fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// A client with a virtual key, at one of the Envoys.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client,
    base: String,
    key: String,
}

impl Caller {
    /// At Envoy number `envoy`, with connections of its own.
    pub fn new(stack: &Stack, envoy: usize, key: &str) -> Self {
        Self {
            client: Client::default(),
            base: stack.envoys[envoy].url().to_owned(),
            key: key.to_owned(),
        }
    }

    /// A chat completion.
    pub async fn chat(&self, body: &Value) -> Result<Reply> {
        self.post("/v1/chat/completions", body).await
    }

    /// A chat completion whose answer is still arriving.
    pub async fn chat_arriving(&self, body: &Value) -> Result<Arriving> {
        self.client
            .post_arriving(
                &format!("{}/v1/chat/completions", self.base),
                Some(&self.key),
                body,
            )
            .await
    }

    /// Any `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.client
            .post(&format!("{}{path}", self.base), Some(&self.key), body)
            .await
    }

    /// Any `GET`.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.client
            .get(&format!("{}{path}", self.base), Some(&self.key))
            .await
    }
}

/// Sends the same chat request `count` times over `lanes` clients spread over all Envoys, each lane one request after the other, and gives
/// the replies.
pub async fn offer(
    stack: &Stack,
    key: &str,
    body: &Value,
    count: usize,
    lanes: usize,
) -> Result<Vec<Reply>> {
    let mut tasks = JoinSet::new();
    for lane in 0..lanes {
        let caller = Caller::new(stack, lane % stack.envoys.len(), key);
        let body = body.clone();
        let share = count / lanes + usize::from(lane < count % lanes);
        tasks.spawn(async move {
            let mut replies = Vec::with_capacity(share);
            for _ in 0..share {
                replies.push(caller.chat(&body).await?);
            }
            anyhow::Ok(replies)
        });
    }
    let mut replies = Vec::with_capacity(count);
    while let Some(lane) = tasks.join_next().await {
        replies.extend(lane??);
    }
    Ok(replies)
}

/// How many of the replies have this status.
pub fn with_status(replies: &[Reply], status: u16) -> usize {
    replies
        .iter()
        .filter(|reply| reply.status == status)
        .count()
}

/// Every reply has one of these statuses, or an error that shows one that has not.
pub fn only(replies: &[Reply], statuses: &[u16]) -> Result<()> {
    match replies
        .iter()
        .find(|reply| !statuses.contains(&reply.status))
    {
        Some(other) => bail!("answered {}: {}", other.status, other.text()),
        None => Ok(()),
    }
}

/// The spend log's rows of a key.
pub async fn rows(stack: &Stack, key: &str) -> Result<Vec<Value>> {
    let rows = stack
        .get_admin(&format!("/spend/logs?api_key={key}"))
        .await?;
    rows.as_array()
        .cloned()
        .with_context(|| format!("/spend/logs gave no list: {rows}"))
}

/// Waits until the spend log has `count` rows of a key, and gives them.
pub async fn rows_until(
    stack: &Stack,
    key: &str,
    count: usize,
    within: Duration,
) -> Result<Vec<Value>> {
    let started = clock::now();
    loop {
        let rows = rows(stack, key).await?;
        if rows.len() >= count {
            return Ok(rows);
        }
        if started.elapsed() > within {
            bail!(
                "{} of {count} spend rows after {within:?}: {rows:?}",
                rows.len()
            );
        }
        // The ledger has no event that a client could wait for.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `spend` of `/key/info`, in nano-dollars.
pub async fn key_spend(stack: &Stack, key: &str) -> Result<u64> {
    let info = stack.get_admin(&format!("/key/info?key={key}")).await?;
    nano_usd(
        info.pointer("/info/spend")
            .with_context(|| format!("/key/info has no spend: {info}"))?,
    )
}

/// A JSON number of dollars as nano-dollars, without a detour over floats.
pub fn nano_usd(value: &Value) -> Result<u64> {
    let text = value.to_string();
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>()?),
        None => (text.as_str(), 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let number: u128 = format!("{whole}{part}")
        .parse()
        .with_context(|| format!("{text} is no amount"))?;
    let shift = 9 + exponent - i32::try_from(part.len())?;
    let power = 10_u128.pow(shift.unsigned_abs());
    let nano = if shift >= 0 {
        number * power
    } else if number.is_multiple_of(power) {
        number / power
    } else {
        bail!("{text} is not a whole number of nano-dollars")
    };
    Ok(u64::try_from(nano)?)
}
