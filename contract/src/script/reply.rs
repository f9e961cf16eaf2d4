//! Reads what the scripts reply: an array that begins with a word, then integers, then strings.

use std::slice::Iter;

use super::ScriptError;
use crate::id::ReservationId;
use crate::resp::Reply;

/// The elements of a script's reply after its first word.
pub(super) struct Fields<'a>(Iter<'a, Reply>);

/// The reply's first word and the rest.
pub(super) fn open(reply: &Reply) -> Result<(&[u8], Fields<'_>), ScriptError> {
    match reply {
        Reply::Error(text) => Err(error(text)),
        Reply::Array(Some(items)) => {
            let mut items = items.iter();
            match items.next() {
                Some(Reply::Bulk(Some(word))) => Ok((word, Fields(items))),
                _ => Err(ScriptError::Malformed),
            }
        }
        _ => Err(ScriptError::Malformed),
    }
}

/// A reply that is one number.
pub(super) fn number(reply: &Reply) -> Result<u64, ScriptError> {
    match reply {
        Reply::Error(text) => Err(error(text)),
        Reply::Integer(number) => u64::try_from(*number).map_err(|_| ScriptError::Malformed),
        _ => Err(ScriptError::Malformed),
    }
}

fn error(text: &[u8]) -> ScriptError {
    if text.starts_with(b"NOSCRIPT") {
        ScriptError::NoScript
    } else {
        ScriptError::Redis(String::from_utf8_lossy(text).into_owned())
    }
}

impl<'a> Fields<'a> {
    pub(super) fn number(&mut self) -> Result<u64, ScriptError> {
        self.optional()?.ok_or(ScriptError::Malformed)
    }

    /// A number, `-1` for none.
    pub(super) fn optional(&mut self) -> Result<Option<u64>, ScriptError> {
        match self.0.next() {
            Some(Reply::Integer(-1)) => Ok(None),
            Some(Reply::Integer(number)) => u64::try_from(*number)
                .map(Some)
                .map_err(|_| ScriptError::Malformed),
            _ => Err(ScriptError::Malformed),
        }
    }

    /// A string, or nil.
    pub(super) fn bulk(&mut self) -> Result<Option<&'a [u8]>, ScriptError> {
        match self.0.next() {
            Some(Reply::Bulk(bytes)) => Ok(bytes.as_deref()),
            _ => Err(ScriptError::Malformed),
        }
    }

    /// Strings or nils up to the end.
    pub(super) fn rest_bulks(mut self) -> Result<Vec<Option<Vec<u8>>>, ScriptError> {
        (0..self.0.len())
            .map(|_| Ok(self.bulk()?.map(<[u8]>::to_vec)))
            .collect()
    }

    /// Exactly `count` ids.
    pub(super) fn ids(&mut self, count: u64) -> Result<Vec<ReservationId>, ScriptError> {
        (0..count).map(|_| self.id()).collect()
    }

    /// Ids up to the end.
    pub(super) fn rest_ids(&mut self) -> Result<Vec<ReservationId>, ScriptError> {
        self.ids(u64::try_from(self.0.len()).map_err(|_| ScriptError::Malformed)?)
    }

    fn id(&mut self) -> Result<ReservationId, ScriptError> {
        let id = self.bulk()?.and_then(|id| std::str::from_utf8(id).ok());
        id.and_then(ReservationId::parse)
            .ok_or(ScriptError::Malformed)
    }

    /// Checks that nothing is left.
    pub(super) fn end(self) -> Result<(), ScriptError> {
        if self.0.len() == 0 {
            Ok(())
        } else {
            Err(ScriptError::Malformed)
        }
    }
}
