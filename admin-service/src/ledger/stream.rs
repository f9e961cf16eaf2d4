//! The spend stream as Redis gives it.

use contract::redis_key::{self, Partition};
use contract::resp::Reply;
use contract::spend_event::SpendEvent;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::publish::{Link, LinkError};
use crate::store::spend::DeadLetter;

/// Where in its stream an entry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Redis time, ms.
    pub ms: u64,
    /// Number within that millisecond.
    pub number: u64,
}

impl StreamId {
    fn parse(text: &[u8]) -> Option<Self> {
        let (ms, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self {
            ms: ms.parse().ok()?,
            number: number.parse().ok()?,
        })
    }

    /// The first id after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self {
                ms: self.ms,
                number,
            },
            None => Self {
                ms: self.ms.saturating_add(1),
                number: 0,
            },
        }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

/// One entry: an event, or what could not be read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// Whose stream.
    pub partition: Partition,
    /// Its id.
    pub id: StreamId,
    /// The event.
    pub event: Result<SpendEvent, DeadLetter>,
    /// The entry as a dead letter would keep it.
    raw: Vec<(Vec<u8>, Vec<u8>)>,
}

impl StreamEntry {
    /// An entry that is this event.
    pub fn of(partition: Partition, id: StreamId, event: SpendEvent) -> Self {
        Self {
            partition,
            id,
            event: Ok(event),
            raw: Vec::new(),
        }
    }

    /// The entry as a dead letter.
    pub fn dead_letter(&self, reason: &str) -> DeadLetter {
        dead_letter(self.partition, self.id, &self.raw, reason)
    }
}

/// The oldest `count` entries of each of these streams.
pub async fn read(
    link: &Link,
    partitions: &[Partition],
    count: usize,
) -> Result<Vec<StreamEntry>, LinkError> {
    let keys = partitions
        .iter()
        .map(|partition| redis_key::spend(*partition))
        .collect::<Vec<_>>();
    let count = count.to_string();
    let commands = keys.iter().map(|key| {
        vec![
            &b"XRANGE"[..],
            key.as_bytes(),
            b"-",
            b"+",
            b"COUNT",
            count.as_bytes(),
        ]
    });
    let replies = link.commands(&commands.collect::<Vec<_>>()).await?;
    let mut entries = Vec::new();
    for (partition, reply) in partitions.iter().zip(replies) {
        entries.extend(self::entries(*partition, reply)?);
    }
    Ok(entries)
}

/// The entries of a reply to XRANGE.
pub fn entries(partition: Partition, reply: Reply) -> Result<Vec<StreamEntry>, LinkError> {
    let Reply::Array(Some(items)) = crate::publish::refuse_error(reply)? else {
        return Err(LinkError::Malformed("XRANGE"));
    };
    let entries = items.into_iter().map(|item| entry(partition, item));
    let entries = entries.collect::<Option<Vec<_>>>();
    entries.ok_or(LinkError::Malformed("XRANGE"))
}

/// How many entries each of these streams holds.
pub async fn lengths(link: &Link, partitions: &[Partition]) -> Result<Vec<u64>, LinkError> {
    let keys = partitions
        .iter()
        .map(|partition| redis_key::spend(*partition))
        .collect::<Vec<_>>();
    let commands = keys.iter().map(|key| vec![&b"XLEN"[..], key.as_bytes()]);
    let replies = link.commands(&commands.collect::<Vec<_>>()).await?;
    let length = |reply| match crate::publish::refuse_error(reply)? {
        Reply::Integer(length) => Ok(u64::try_from(length).unwrap_or(0)),
        _ => Err(LinkError::Malformed("XLEN")),
    };
    replies.into_iter().map(length).collect()
}

/// Removes every entry up to and including `last` of each stream.
pub async fn trim(link: &Link, last: &[(Partition, StreamId)]) -> Result<(), LinkError> {
    let keys = last
        .iter()
        .map(|(partition, id)| (redis_key::spend(*partition), id.next().to_string()));
    let keys = keys.collect::<Vec<_>>();
    let commands = keys.iter().map(|(key, first_kept)| {
        vec![
            &b"XTRIM"[..],
            key.as_bytes(),
            b"MINID",
            b"=",
            first_kept.as_bytes(),
        ]
    });
    for reply in link.commands(&commands.collect::<Vec<_>>()).await? {
        crate::publish::refuse_error(reply)?;
    }
    Ok(())
}

fn entry(partition: Partition, item: Reply) -> Option<StreamEntry> {
    let Reply::Array(Some(parts)) = item else {
        return None;
    };
    let [Reply::Bulk(Some(id)), Reply::Array(Some(fields))] = <[Reply; 2]>::try_from(parts).ok()?
    else {
        return None;
    };
    let id = StreamId::parse(&id)?;
    let mut raw = Vec::with_capacity(fields.len() / 2);
    let mut fields = fields.into_iter();
    while let (Some(Reply::Bulk(Some(name))), Some(Reply::Bulk(Some(value)))) =
        (fields.next(), fields.next())
    {
        raw.push((name, value));
    }
    let read = SpendEvent::decode(raw.iter().map(|(name, value)| (&name[..], &value[..])));
    let event = read.map_err(|bad| {
        let reason = format!("field `{}` is missing or wrong", bad.field);
        dead_letter(partition, id, &raw, &reason)
    });
    Some(StreamEntry {
        partition,
        id,
        event,
        raw,
    })
}

fn dead_letter(
    partition: Partition,
    id: StreamId,
    raw: &[(Vec<u8>, Vec<u8>)],
    reason: &str,
) -> DeadLetter {
    let fields = raw
        .iter()
        .map(|(name, value)| json!([readable(name), readable(value)]));
    let fields = Value::Array(fields.collect()).to_string();
    DeadLetter {
        partition,
        stream_id: id.to_string(),
        digest: hex(&Sha256::digest(fields.as_bytes())),
        fields,
        reason: reason.replace('\0', "\u{fffd}"),
    }
}

fn readable(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_after_the_last_of_a_millisecond_is_in_the_next() {
        assert_eq!(StreamId { ms: 5, number: 7 }.next().to_string(), "5-8");
        assert_eq!(
            StreamId {
                ms: 5,
                number: u64::MAX
            }
            .next()
            .to_string(),
            "6-0"
        );
    }

    #[test]
    fn an_entry_that_is_no_event_keeps_its_fields_text_or_not() {
        let bulk = |bytes: &[u8]| Reply::Bulk(Some(bytes.to_vec()));
        let fields = vec![bulk(b"i"), bulk(b"not an id"), bulk(b"x"), bulk(b"\xff\0")];
        let item = Reply::Array(Some(vec![bulk(b"12-3"), Reply::Array(Some(fields))]));
        let entry = entry(Partition(0), item).unwrap();
        let letter = entry.event.clone().unwrap_err();
        assert_eq!(letter.fields, r#"[["i","not an id"],["x",{"hex":"ff00"}]]"#);
        assert_eq!(
            (letter.stream_id.as_str(), letter.reason.as_str()),
            ("12-3", "field `i` is missing or wrong")
        );
        assert_eq!(entry.dead_letter("other").digest, letter.digest);
    }
}
