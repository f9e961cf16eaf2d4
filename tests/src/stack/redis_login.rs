//! User and password of a Redis URL, on their way to Envoy: by the environment, so that neither a command line nor a file shows them.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Environment variables that Envoy reads.
const USER: &str = "TOLLKEEPER_REDIS_USER";
const PASSWORD: &str = "TOLLKEEPER_REDIS_PASSWORD";

/// What Redis asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct RedisLogin {
    user: String,
    password: String,
}

impl RedisLogin {
    /// The login in `redis://[user][:password]@host[:port][/0]`, if there is one. Envoy knows no other database than 0, and one of the two
    /// would look in vain for what the other wrote.
    pub fn of(url: &str) -> Result<Option<Self>> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(path, "" | "0") {
            bail!("the Redis URL names database {path}: Envoy reads database 0 only");
        }
        let Some((login, _)) = authority.rsplit_once('@') else {
            return Ok(None);
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        Ok(Some(Self {
            user: decoded(user)?,
            password: decoded(password)?,
        }))
    }

    /// The environment that Envoy is to be started with.
    pub fn environment(&self) -> [(&'static str, &str); 2] {
        [(USER, &self.user), (PASSWORD, &self.password)]
    }

    /// The options of a cluster that log in.
    pub fn options(&self) -> Value {
        let from = |name: &str| json!({ "environment_variable": name });
        let mut options = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions",
            "auth_password": from(PASSWORD),
        });
        if !self.user.is_empty() {
            options["auth_username"] = from(USER);
        }
        json!({ "envoy.filters.network.redis_proxy": options })
    }
}

fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits: Vec<u8> = rest.by_ref().take(2).collect();
        let digits = std::str::from_utf8(&digits).unwrap_or_default();
        let code = u8::from_str_radix(digits, 16);
        bytes.push(code.context("the Redis URL's login has a % without two hexadecimal digits")?);
    }
    String::from_utf8(bytes).context("the Redis URL's login is no UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_go_by_the_environment() {
        let login = RedisLogin::of("redis://me:p%40ss:w@127.0.0.1:7000/0");
        let login = login.unwrap().unwrap();
        assert_eq!(login.environment(), [(USER, "me"), (PASSWORD, "p@ss:w")]);
        let options = login.options().to_string();
        assert!(options.contains(USER) && options.contains(PASSWORD));
        assert!(!options.contains("p@ss"));
    }

    #[test]
    fn a_password_alone_is_the_default_users() {
        let login = RedisLogin::of("redis://:secret@redis").unwrap().unwrap();
        assert_eq!(login.environment()[1], (PASSWORD, "secret"));
        assert!(!login.options().to_string().contains(USER));
        assert_eq!(RedisLogin::of("redis://redis:6379").unwrap(), None);
    }

    #[test]
    fn what_envoy_could_not_do_is_refused() {
        for (url, why) in [
            ("redis://redis/2", "database 2"),
            ("redis://a:%zz@redis", "hexadecimal"),
        ] {
            let error = format!("{:#}", RedisLogin::of(url).unwrap_err());
            assert!(error.contains(why), "{error}");
        }
    }
}
