//! How fast the ledger takes spend events off the stream.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use contract::id::{KeyId, TeamId, UserId};
use contract::redis_key::{Partition, spend};
use contract::spend_event::SpendBody;
use contract::usage::Usage;
use contract::virtual_key::KeyHash;
use tollkeeper_tests::client::raw;
use tollkeeper_tests::clock;
use tollkeeper_tests::stack::Stack;

use super::Size;

/// Events put on the stream.
const EVENTS: u64 = 100_000;
/// Events of one connection: Redis answers each, and nobody reads meanwhile.
const AT_ONCE: u64 = 10_000;
/// However slow it is, the bench goes on.
const LONGEST: Duration = Duration::from_mins(2);

/// Keys whose events are measured beside those of all keys.
const FEW_KEYS: u64 = 100;

/// Events a second of all keys in turn, the worst that can come because no two share a sum, and of a hundred keys.
pub async fn rates(stack: &Stack, size: Size) -> Result<[f64; 2]> {
    let few = Size {
        keys: size.keys.min(FEW_KEYS),
        ..size
    };
    Ok([rate(stack, size, 0).await?, rate(stack, few, EVENTS).await?])
}

/// Events a second, from the first one that is put on the stream to the last one that is in the database; `first`: how many came before.
async fn rate(stack: &Stack, size: Size, first: u64) -> Result<f64> {
    let drained = async || -> Result<u64> {
        let details = stack.get_admin("/health/readiness/details").await?;
        Ok(details["drained"].as_u64().unwrap_or(0))
    };
    let url = stack.redis_url.replace("redis://", "http://");
    let before = drained().await?;
    let began = clock::now();
    let mut put = first;
    while put < first + EVENTS {
        let mut commands = Vec::new();
        for number in put..put + AT_ONCE {
            event(&mut commands, number, size)?;
        }
        commands.extend_from_slice(b"QUIT\r\n");
        let answer = raw(&url, &commands, Duration::from_secs(10)).await?;
        ensure!(
            answer.ends_with(b"+OK\r\n") && !answer.starts_with(b"-"),
            "{}",
            answer[..answer.len().min(200)].escape_ascii()
        );
        put += AT_ONCE;
    }
    let mut done = 0;
    while done < EVENTS && began.elapsed() < LONGEST {
        tokio::time::sleep(Duration::from_millis(20)).await;
        done = drained().await? - before;
    }
    #[expect(clippy::cast_precision_loss, reason = "some ten thousand")]
    let done = done as f64;
    Ok(done / began.elapsed().as_secs_f64())
}

/// `XADD` of one event, as the filter's settlement puts it there.
fn event(commands: &mut Vec<u8>, number: u64, size: Size) -> Result<()> {
    let key = number * 7919 % size.keys;
    let teams = (size.users / 100).max(1);
    let hash = format!("{}{}", "0".repeat(48), 1_000_000_000_000_000 + key);
    let body = SpendBody {
        key: KeyId::new(format!("key-{key}")),
        hash: KeyHash::parse(&hash).ok_or_else(|| anyhow::anyhow!("{hash} is no hash"))?,
        user: Some(UserId::new(format!("user-{}", key % size.users))),
        team: key
            .is_multiple_of(2)
            .then(|| TeamId::new(format!("team-{}", key % teams))),
        organization: None,
        model: "gpt-4o".to_owned(),
        model_group: "gpt-4o".to_owned(),
        provider: "openai".to_owned(),
        call_type: "acompletion".to_owned(),
        status: 200,
        usage: Usage {
            input: 20,
            output: 10,
            ..Usage::default()
        },
        exact: true,
        first_byte_ms: Some(300),
        duration_ms: 900,
        response_id: Some(format!("chatcmpl-drained-{number}")),
        client_ip: Some("10.0.0.1".to_owned()),
        end_user: None,
        tags: Vec::new(),
        charged: Vec::new(),
    };
    let texts = [
        "XADD".to_owned(),
        spend(Partition(0)),
        "*".to_owned(),
        "i".to_owned(),
        format!("{:032x}", number + 1),
        "v".to_owned(),
        "1".to_owned(),
        "w".to_owned(),
        "00000000000000be".to_owned(),
        "q".to_owned(),
        (number + 1).to_string(),
        "c".to_owned(),
        "1000".to_owned(),
        "a".to_owned(),
        clock::unix_ms().to_string(),
        "b".to_owned(),
        serde_json::to_string(&body)?,
    ];
    let mut command = format!("*{}\r\n", texts.len());
    for text in texts {
        // Writing to a String cannot fail.
        let _ = write!(command, "${}\r\n{text}\r\n", text.len());
    }
    commands.extend_from_slice(command.as_bytes());
    Ok(())
}
