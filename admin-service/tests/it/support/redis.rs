//! A Redis of a test's own.

use contract::resp::Reply;
use tempfile::TempDir;
use tollkeeper_admin::publish::Link;
use tollkeeper_tests::setup;
use tollkeeper_tests::stack::Redis;

pub struct TestRedis {
    pub server: Redis,
    pub link: Link,
    _folder: TempDir,
}

impl TestRedis {
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("logs")).expect("a folder for its log");
        let program = setup::redis::binary().expect("Redis is installed");
        let server = Redis::start(&program, folder.path())
            .await
            .expect("Redis starts");
        let link = Link::new(&server.url()).expect("a URL of Redis");
        Self {
            server,
            link,
            _folder: folder,
        }
    }

    /// A command of words that must not fail.
    pub async fn words(&self, line: &str) -> Reply {
        let args = line.split(' ').map(str::as_bytes).collect::<Vec<_>>();
        let reply = self.link.command(&args).await.expect("Redis answers");
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
        reply
    }

    /// A value, if it is there.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        get(&self.link, key).await
    }

    /// A number.
    pub async fn number(&self, line: &str) -> i64 {
        match self.words(line).await {
            Reply::Integer(number) => number,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// The server's time, ms.
    pub async fn now_ms(&self) -> u64 {
        let Reply::Array(Some(parts)) = self.words("TIME").await else {
            panic!("no time")
        };
        let number = |part: &Reply| match part {
            Reply::Bulk(Some(digits)) => {
                std::str::from_utf8(digits).unwrap().parse::<u64>().unwrap()
            }
            other => panic!("{other:?}"),
        };
        number(&parts[0]) * 1_000 + number(&parts[1]) / 1_000
    }
}

/// A value, if it is there.
pub async fn get(link: &Link, key: &str) -> Option<Vec<u8>> {
    match link
        .command(&[b"GET", key.as_bytes()])
        .await
        .expect("Redis answers")
    {
        Reply::Bulk(value) => value,
        other => panic!("{key}: {other:?}"),
    }
}
