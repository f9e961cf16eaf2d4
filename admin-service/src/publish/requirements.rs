//! What a Redis must be like before it is opened: one that forgets keys under pressure would forget what was spent.

use contract::resp::Reply;

use super::link::{LinkError, refuse_error};

/// Least share of `maxmemory` that must be free, in percent.
const HEADROOM_PERCENT: u64 = 10;

/// What INFO says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerInfo {
    pub(super) run_id: String,
    pub(super) policy: String,
    pub(super) max_memory: u64,
    pub(super) used_memory: u64,
}

impl ServerInfo {
    /// Reads the answers to INFO server and INFO memory.
    pub(super) fn read(replies: [Reply; 2]) -> Result<Self, LinkError> {
        let mut info = Self::default();
        for reply in replies {
            let Reply::Bulk(Some(text)) = refuse_error(reply)? else {
                return Err(LinkError::Malformed("INFO"));
            };
            for line in String::from_utf8_lossy(&text).lines() {
                let Some((name, value)) = line.split_once(':') else {
                    continue;
                };
                match name {
                    "run_id" => value.clone_into(&mut info.run_id),
                    "maxmemory_policy" => value.clone_into(&mut info.policy),
                    "maxmemory" => info.max_memory = value.parse().unwrap_or(0),
                    "used_memory" => info.used_memory = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        if info.run_id.is_empty() {
            Err(LinkError::Malformed("INFO"))
        } else {
            Ok(info)
        }
    }

    /// Why this Redis must not be opened, in one sentence; `None` where it may.
    pub(super) fn objection(&self) -> Option<String> {
        if self.policy != "noeviction" {
            return Some(format!(
                "Redis has maxmemory-policy {}, under which it may forget what was spent: set maxmemory-policy noeviction",
                self.policy
            ));
        }
        let free = self.max_memory.saturating_sub(self.used_memory);
        let needed = self.max_memory / 100 * HEADROOM_PERCENT;
        (self.max_memory > 0 && free < needed).then(|| {
            format!(
                "Redis has {} MiB left of maxmemory {} MiB: at least {HEADROOM_PERCENT} % must be free",
                free >> 20,
                self.max_memory >> 20
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(memory: &str) -> ServerInfo {
        let text = |text: &str| Reply::Bulk(Some(text.as_bytes().to_vec()));
        ServerInfo::read([text("# Server\r\nrun_id:abc\r\n"), text(memory)]).unwrap()
    }

    #[test]
    fn only_a_redis_that_never_evicts_and_has_room_is_opened() {
        let well = info("maxmemory_policy:noeviction\r\nmaxmemory:0\r\nused_memory:5\r\n");
        assert_eq!((well.run_id.as_str(), well.objection()), ("abc", None));
        let roomy =
            "maxmemory_policy:noeviction\r\nmaxmemory:104857600\r\nused_memory:10485760\r\n";
        assert_eq!(info(roomy).objection(), None);
        let full = "maxmemory_policy:noeviction\r\nmaxmemory:104857600\r\nused_memory:99614720\r\n";
        assert_eq!(
            info(full).objection().unwrap(),
            "Redis has 5 MiB left of maxmemory 100 MiB: at least 10 % must be free"
        );
        let forgets = info("maxmemory_policy:allkeys-lru\r\nmaxmemory:0\r\n")
            .objection()
            .unwrap();
        assert!(forgets.contains("allkeys-lru") && forgets.contains("noeviction"));
    }
}
