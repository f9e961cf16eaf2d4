//! `cargo xtask up`: the whole product, for a person who wants to try it or a script that wants to drive it.
//!
//! Data stays in its folder between runs: keys, spend and limits made in one run hold in the next. Without provider keys in the
//! environment, calls go to the scripted upstream, so that the first curl works on any machine. A part that ends (or is killed, to see what
//! happens) is started again at its address after a few seconds.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tollkeeper_tests::random;
use tollkeeper_tests::setup;
use tollkeeper_tests::stack::{Envoy, Options, Programs, Providers, Stack, provider_keys};

use super::Interrupts;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one JSON line when everything is ready, instead of text for people.
    #[arg(long)]
    json: bool,
    /// Number of Envoys.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    envoys: u16,
    /// Worker threads of each Envoy.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Send the calls of all providers to this URL.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// LiteLLM's config.yaml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database of the admin service: `sqlite://FILE` or `postgres://…`; a SQLite file in the data folder where it is not said.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A Redis that runs already; one is started where it is not said.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Optimise the admin service too (the filter always is).
    #[arg(long)]
    release: bool,
    /// Folder of everything that is kept.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// How long a part that has ended is missing before it is started again.
const MISSED: Duration = Duration::from_secs(5);

/// Starts, tells, and stays until it is interrupted.
pub async fn run(arguments: Arguments, interrupts: &mut Interrupts) -> Result<()> {
    let data = match &arguments.data {
        Some(folder) => std::path::absolute(folder)?,
        None => setup::private().join("up"),
    };
    std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
    let lock = File::create(data.join(".lock"))?;
    if lock.try_lock().is_err() {
        bail!(
            "{} is in use by another `cargo xtask up`: stop that one, or name another folder with --data",
            data.display()
        );
    }
    let options = options(&arguments, &data)?;
    let mut stack = tokio::select! {
        started = start(&arguments, &options) => started?,
        () = interrupts.next() => return Ok(()),
    };
    loop {
        tokio::select! {
            () = interrupts.next() => return stack.stop().await,
            () = stack.any_end() => {}
        }
        for name in stack.ended() {
            setup::progress(&format!(
                "{name} has ended and is started again in {MISSED:?}"
            ));
        }
        tokio::select! {
            () = interrupts.next() => return stack.stop().await,
            () = tokio::time::sleep(MISSED) => {}
        }
        if let Err(error) = stack.restart_ended().await {
            setup::progress(&format!("{error:#}"));
        }
    }
}

async fn start(arguments: &Arguments, options: &Options) -> Result<Stack> {
    let release = arguments.release;
    let programs = tokio::task::spawn_blocking(move || Programs::build(release)).await??;
    setup::progress("Starting Redis, the admin service and Envoy");
    let stack = Stack::start_built(options, &programs).await?;
    let key = stack
        .key(&json!({"key_alias": format!("up-{}", random::hex(4)?)}))
        .await?;
    let text = if arguments.json {
        for_scripts(&stack, options, &key).to_string()
    } else {
        for_people(&stack, options, &key)
    };
    println!("{text}");
    std::io::stdout().flush()?;
    Ok(stack)
}

fn options(arguments: &Arguments, data: &Path) -> Result<Options> {
    let mut options = Options::new(data, &master_key(data)?);
    options.envoys = usize::from(arguments.envoys);
    options.workers = arguments.workers;
    let set = |name: String| {
        let key = std::env::var(&name).ok().filter(|key| !key.is_empty());
        key.map(|key| (name, key))
    };
    options.provider_keys = provider_keys()?.into_iter().filter_map(set).collect();
    options.providers = match &arguments.upstream {
        Some(url) => Providers::elsewhere(url).context("--upstream")?,
        None if !options.provider_keys.is_empty() => Providers::Real,
        None => Providers::Scripted,
    };
    if let Some(config) = &arguments.config {
        options.config = Some(std::path::absolute(config)?);
        if !config.is_file() {
            bail!("--config {}: there is no such file", config.display());
        }
    }
    options.database.clone_from(&arguments.database);
    options.redis.clone_from(&arguments.redis);
    options.release = arguments.release;
    Ok(options)
}

/// `LITELLM_MASTER_KEY`, else a random one that stays with the data.
fn master_key(data: &Path) -> Result<String> {
    if let Ok(key) = std::env::var("LITELLM_MASTER_KEY") {
        return Ok(key);
    }
    let file = data.join("master-key");
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(key.trim().to_owned());
    }
    let key = format!("sk-{}", random::hex(32)?);
    let mut created = private_file(&file)?;
    writeln!(created, "{key}")?;
    Ok(key)
}

fn private_file(file: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))
}

fn upstream_url(stack: &Stack, options: &Options) -> Option<String> {
    match (&stack.upstream, &options.providers) {
        (Some(upstream), _) => Some(upstream.url()),
        (None, Providers::Elsewhere(url)) => Some(url.clone()),
        (None, _) => None,
    }
}

fn for_scripts(stack: &Stack, options: &Options, key: &str) -> Value {
    let urls = |url: fn(&Envoy) -> &str| stack.envoys.iter().map(url).collect::<Vec<_>>();
    json!({
        "proxy_urls": urls(Envoy::url),
        "admin_url": stack.admin.url(),
        "master_key": stack.master_key,
        "virtual_key": key,
        "upstream_url": upstream_url(stack, options),
        "redis_url": stack.redis_url,
        "database_url": stack.admin.database_url(),
        "envoy_admin_urls": urls(Envoy::admin_url),
        "pids": {
            "harness": std::process::id(),
            "admin": stack.admin.process().pid(),
            "redis": stack.redis.as_ref().map(|redis| redis.process().pid()),
            "envoys": stack.envoys.iter().map(|envoy| envoy.process().pid()).collect::<Vec<_>>(),
        },
    })
}

fn for_people(stack: &Stack, options: &Options, key: &str) -> String {
    let proxies: Vec<&str> = stack.envoys.iter().map(Envoy::url).collect();
    let first = proxies.first().copied().unwrap_or_default();
    let calls = match (&options.providers, upstream_url(stack, options)) {
        (Providers::Real, _) => "the real providers, with the keys of this environment".to_owned(),
        (Providers::Elsewhere(_), Some(url)) => url,
        (_, Some(url)) => {
            format!("the scripted upstream {url} (set OPENAI_API_KEY for the real one)")
        }
        (_, None) => String::new(),
    };
    format!(
        "\nTollkeeper is up. Stop it with Ctrl-C.\n\n\
         Proxy         {}\n\
         Calls go to   {calls}\n\
         Admin         {}\n\
         Admin login   {} (master key)\n\
         Virtual key   {key}\n\
         Data          {}\n\n\
         curl {first}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' \
         -d '{{\"model\": \"gpt-4o-mini\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n",
        proxies.join(" "),
        stack.admin.url(),
        stack.master_key,
        options.data.display(),
    )
}
