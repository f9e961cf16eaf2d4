//! Admission of one request: everything reserved in every scope, or nothing in any.

use super::argv::Argv;
use super::reply::{self, Fields};
use super::{By, Call, MAX_TOKENS, ScopeLimits, Script, ScriptError};
use crate::id::{ReservationId, Rev};
use crate::limits::{Denial, LimitKind};
use crate::money::NanoUsd;
use crate::records::Ready;
use crate::redis_key::{self, Partition, RecordId};
use crate::resp::Reply;

/// Asks for one request: 1 request, `tokens`, `cost`, 1 slot in every scope, or nothing in any.
#[derive(Clone, Copy, Debug)]
pub struct Admit<'a> {
    /// The primary group's partition.
    pub partition: Partition,
    /// P as configured; another P in Redis is `not_ready`.
    pub partitions: u16,
    /// Made by the filter before the first try; the same for repeats.
    pub id: ReservationId,
    /// The calling worker (16 hex digits), for its watermark.
    pub worker: &'a str,
    /// Redis time in ms after which the call must not admit any more; 0 where the offset is not known yet.
    pub not_after_ms: u64,
    /// The latest moment, ms after admission, at which the request can reach the upstream (the call time-out), at most
    /// [`super::MAX_TRAVEL_MS`].
    pub travel_ms: u64,
    /// Catalogue revision the request was evaluated with.
    pub catalogue: Rev,
    /// Revisions of the records it was evaluated with; zero for one that must not be there.
    pub records: &'a [(RecordId, Rev)],
    /// Scopes, in the order in which a denial is looked for.
    pub scopes: &'a [ScopeLimits<'a>],
    /// LLM tokens to reserve.
    pub tokens: u64,
    /// Money to reserve.
    pub cost: NanoUsd,
    /// [`crate::spend_event::SpendBody`] as JSON with the reserved figures: what a sweep charges.
    pub body: &'a [u8],
}

/// What [`Admit`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdmitAnswer {
    /// Reserved in every scope (now, or by an earlier try of the same id).
    Admitted {
        /// Redis time of the admission, ms.
        now_ms: u64,
        /// What remains, scope by scope, after this request; empty for an earlier try's repeat.
        remaining: Vec<Remaining>,
        /// The worker's last settled sequence that Redis knows.
        watermark: u64,
    },
    /// A limit refused; nothing changed.
    Denied {
        /// Redis time, ms.
        now_ms: u64,
        /// The limit.
        denial: Denial,
        /// At most eight reservations that expired: sweep them and ask again (denials by parallel or budget only).
        expired: Vec<ReservationId>,
    },
    /// Records or catalogue changed; nothing reserved.
    Stale {
        /// Redis time, ms.
        now_ms: u64,
        /// The marker, with the catalogue revision now.
        ready: Ready,
        /// The records as stored, in the order sent; `None` where absent.
        records: Vec<Option<Vec<u8>>>,
    },
    /// The partition is not open, has another P, or opens for this scope only later.
    NotReady,
    /// A release of this id came before, or a sweep ended it.
    Released,
    /// `not_after_ms` has passed.
    TooLate {
        /// Redis time, ms.
        now_ms: u64,
    },
}

/// What remains in one scope; `None` where there is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Requests in the rate window.
    pub rpm: Option<u64>,
    /// Tokens in the rate window.
    pub tpm: Option<u64>,
    /// Slots.
    pub parallel: Option<u64>,
    /// Money in the budget window.
    pub budget: Option<NanoUsd>,
}

impl Call for Admit<'_> {
    type Answer = AdmitAnswer;

    fn script(&self) -> Script {
        Script::Admit
    }

    fn encode(&self, by: By, out: &mut Vec<u8>) {
        let p = self.partition;
        let mut argv = Argv::new();
        argv.key(&redis_key::reservation(p, &self.id));
        argv.key(&redis_key::ready(p));
        for (id, _) in self.records {
            argv.key(&redis_key::record(p, id));
        }
        for scope in self.scopes {
            argv.key(&redis_key::scope(p, scope.id));
        }
        for scope in self.scopes {
            argv.key(&redis_key::segments(p, scope.id));
        }
        argv.key(&redis_key::deadlines(p));
        argv.key(&redis_key::beat(p));
        argv.key(&redis_key::watermarks(p));
        argv.text(&self.id.to_string());
        argv.text(self.worker);
        argv.partitions(self.partitions);
        argv.rev(self.catalogue);
        argv.number(self.not_after_ms);
        argv.number(self.travel_ms);
        argv.number(self.tokens.min(MAX_TOKENS));
        argv.number(self.cost.get());
        argv.bytes(self.body);
        argv.count(self.records.len());
        argv.count(self.scopes.len());
        for (_, rev) in self.records {
            argv.rev(*rev);
        }
        for scope in self.scopes {
            argv.limits(scope.limits);
        }
        argv.finish(Script::Admit, by, out);
    }

    fn decode(&self, reply: &Reply) -> Result<AdmitAnswer, ScriptError> {
        let (word, mut fields) = reply::open(reply)?;
        let answer = match word {
            b"ok" => {
                let (now_ms, watermark) = (fields.number()?, fields.number()?);
                let remaining = self
                    .scopes
                    .iter()
                    .map(|_| remaining(&mut fields))
                    .collect::<Result<_, _>>()?;
                AdmitAnswer::Admitted {
                    now_ms,
                    remaining,
                    watermark,
                }
            }
            b"again" => AdmitAnswer::Admitted {
                now_ms: fields.number()?,
                watermark: fields.number()?,
                remaining: Vec::new(),
            },
            b"denied" => {
                let now_ms = fields.number()?;
                let denial = denial(&mut fields, self.scopes.len())?;
                AdmitAnswer::Denied {
                    now_ms,
                    denial,
                    expired: fields.rest_ids()?,
                }
            }
            b"stale" => AdmitAnswer::Stale {
                now_ms: fields.number()?,
                ready: fields
                    .bulk()?
                    .and_then(Ready::decode)
                    .ok_or(ScriptError::Malformed)?,
                records: self
                    .records
                    .iter()
                    .map(|_| Ok(fields.bulk()?.map(<[u8]>::to_vec)))
                    .collect::<Result<_, _>>()?,
            },
            b"not_ready" => AdmitAnswer::NotReady,
            b"released" => AdmitAnswer::Released,
            b"late" => AdmitAnswer::TooLate {
                now_ms: fields.number()?,
            },
            _ => return Err(ScriptError::Malformed),
        };
        fields.end()?;
        Ok(answer)
    }
}

fn remaining(fields: &mut Fields<'_>) -> Result<Remaining, ScriptError> {
    Ok(Remaining {
        rpm: fields.optional()?,
        tpm: fields.optional()?,
        parallel: fields.optional()?,
        budget: fields.optional()?.map(NanoUsd::saturating),
    })
}

fn denial(fields: &mut Fields<'_>, scopes: usize) -> Result<Denial, ScriptError> {
    let scope = usize::try_from(fields.number()?)
        .ok()
        .filter(|scope| *scope < scopes);
    Ok(Denial {
        scope: scope.ok_or(ScriptError::Malformed)?,
        kind: match fields.bulk()? {
            Some(b"rpm") => LimitKind::Rpm,
            Some(b"tpm") => LimitKind::Tpm,
            Some(b"parallel") => LimitKind::Parallel,
            Some(b"budget") => LimitKind::Budget,
            _ => return Err(ScriptError::Malformed),
        },
        limit: fields.number()?,
        used: fields.number()?,
        retry_after_ms: fields.optional()?,
    })
}
