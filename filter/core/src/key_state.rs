//! A virtual key as the worker knows it: its records at the revisions they were read at, and the scopes that follow from them.
//!
//! Decides which scopes bind a request and with which limits. Whether the state still holds is Redis's to say (`admit` compares revisions);
//! what it allows is left to the static check. Failure stance: records that do not fit together are no key state.

use std::cell::Cell;
use std::rc::Rc;

use contract::id::Rev;
use contract::limits::Limits;
use contract::money::NanoUsd;
use contract::records::{
    IndexEntry, KeyRecord, MemberRecord, Record, TeamRecord, UserRecord, Versioned,
};
use contract::redis_key::{Partition, RecordId};
use contract::script::{ScopeLimits, ScopeWindow};
use contract::virtual_key::KeyHash;

use crate::clock::Now;

/// Whose limits a scope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Key,
    User,
    Team,
    Member,
}

/// One scope of a key, in the order in which a denial is looked for.
#[derive(Debug)]
pub(crate) struct Scope {
    pub kind: ScopeKind,
    pub id: RecordId,
    /// As `admit` gets them.
    pub limits: Limits,
    /// Whether the budget among them binds this key. One that does not is sent as the largest there is: the scope's spend goes on in the
    /// same window, whichever of the owner's keys was used last.
    pub budget_binds: bool,
}

impl Scope {
    fn new(kind: ScopeKind, id: RecordId, limits: &Limits) -> Self {
        Self {
            kind,
            id,
            limits: limits.clone(),
            budget_binds: limits.budget.is_some(),
        }
    }
}

/// An owner that a key cannot do without and that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    User,
    Team,
    Member,
}

/// Everything about a key that does not change until a revision does.
#[derive(Debug)]
pub(crate) struct KeyState {
    pub hash: KeyHash,
    pub home: Partition,
    /// Redis time from which the hash is no longer valid.
    pub until_ms: Option<u64>,
    /// As `admit` compares them, in the index entry's order.
    pub revs: Vec<(RecordId, Rev)>,
    pub key: KeyRecord,
    pub user: Option<UserRecord>,
    pub team: Option<TeamRecord>,
    pub gone: Option<Gone>,
    pub scopes: Vec<Scope>,
    member: Option<MemberRecord>,
    user_budget_binds_team_keys: bool,
    /// When Redis last confirmed it.
    pub confirmed: Cell<Now>,
}

/// What records amount to.
#[derive(Debug)]
pub(crate) enum Built {
    State(Rc<KeyState>),
    /// The key is deleted.
    Deleted,
    /// They contradict each other or the index.
    Inconsistent,
}

/// A record with the name and revision it was read under.
pub(crate) type ReadRecord = (RecordId, Versioned<Record>);

impl KeyState {
    /// Puts a key together from its index entry and the records named there, in that order.
    pub(crate) fn build(
        hash: KeyHash,
        entry: &IndexEntry,
        records: Vec<ReadRecord>,
        user_budget_binds_team_keys: bool,
        now: Now,
    ) -> Built {
        let revs = records
            .iter()
            .map(|(id, record)| (id.clone(), record.rev))
            .collect();
        let mut parts = Parts::default();
        for (id, record) in records {
            parts.take(&id, record.value);
        }
        let Some(key) = parts.key else {
            return if parts.key_deleted {
                Built::Deleted
            } else {
                Built::Inconsistent
            };
        };
        let fits = parts
            .user
            .as_ref()
            .is_none_or(|user| key.user.as_ref() == Some(&user.id))
            && parts
                .team
                .as_ref()
                .is_none_or(|team| key.team.as_ref() == Some(&team.id))
            && parts.member.as_ref().is_none_or(|member| {
                key.team.as_ref() == Some(&member.team) && key.user.as_ref() == Some(&member.user)
            });
        let lacks_team =
            key.team.is_some() && parts.team.is_none() && parts.gone != Some(Gone::Team);
        if !fits || lacks_team || parts.twice {
            return Built::Inconsistent;
        }
        let mut state = Self {
            hash,
            home: entry.home,
            until_ms: entry.until_ms,
            revs,
            key,
            user: parts.user,
            team: parts.team,
            gone: parts.gone,
            scopes: Vec::new(),
            member: parts.member,
            user_budget_binds_team_keys,
            confirmed: Cell::new(now),
        };
        state.scopes = state.scopes_of();
        Built::State(Rc::new(state))
    }

    /// The same key where a setting that shapes its scopes changed; `None` where it is right as it is.
    pub(crate) fn rebuilt(&self, user_budget_binds_team_keys: bool) -> Option<Self> {
        if self.user_budget_binds_team_keys == user_budget_binds_team_keys {
            return None;
        }
        let mut state = Self {
            hash: self.hash,
            home: self.home,
            until_ms: self.until_ms,
            revs: self.revs.clone(),
            key: self.key.clone(),
            user: self.user.clone(),
            team: self.team.clone(),
            gone: self.gone,
            scopes: Vec::new(),
            member: self.member.clone(),
            user_budget_binds_team_keys,
            confirmed: self.confirmed.clone(),
        };
        state.scopes = state.scopes_of();
        Some(state)
    }

    fn scopes_of(&self) -> Vec<Scope> {
        let key = RecordId::key(&self.key.id);
        let mut scopes = vec![Scope::new(ScopeKind::Key, key, &self.key.limits)];
        if let Some(user) = &self.user {
            let mut scope = Scope::new(ScopeKind::User, RecordId::user(&user.id), &user.limits);
            if self.key.team.is_some() && !self.user_budget_binds_team_keys {
                scope.budget_binds = false;
                if let Some(budget) = &mut scope.limits.budget {
                    budget.max = NanoUsd::MAX;
                }
            }
            scopes.push(scope);
        }
        if let Some(team) = &self.team {
            scopes.push(Scope::new(
                ScopeKind::Team,
                RecordId::team(&team.id),
                &team.limits,
            ));
        }
        if let Some(member) = &self.member {
            let id = RecordId::member(&member.team, &member.user);
            scopes.push(Scope::new(ScopeKind::Member, id, &member.limits));
        }
        scopes
    }

    /// The scopes as `admit` and `renew` take them.
    pub(crate) fn limits(&self) -> Vec<ScopeLimits<'_>> {
        self.scopes
            .iter()
            .map(|scope| ScopeLimits {
                id: &scope.id,
                limits: &scope.limits,
            })
            .collect()
    }

    /// The scopes as `settle` takes them.
    pub(crate) fn windows(&self) -> Vec<ScopeWindow<'_>> {
        self.scopes
            .iter()
            .map(|scope| ScopeWindow {
                id: &scope.id,
                window: scope.limits.budget.as_ref().map(|budget| &budget.window),
            })
            .collect()
    }

    /// Whether any scope limits money.
    pub(crate) fn has_budget(&self) -> bool {
        self.scopes.iter().any(|scope| scope.budget_binds)
    }

    /// Whether a scope limits requests in flight.
    pub(crate) fn limits_parallel(&self) -> bool {
        let mut scopes = self.scopes.iter();
        scopes.any(|scope| scope.limits.parallel.is_some())
    }

    /// The lowest token limit of any scope.
    pub(crate) fn tightest_tpm(&self) -> Option<u64> {
        self.scopes
            .iter()
            .filter_map(|scope| scope.limits.tpm)
            .min()
    }
}

#[derive(Default)]
struct Parts {
    key: Option<KeyRecord>,
    key_deleted: bool,
    user: Option<UserRecord>,
    team: Option<TeamRecord>,
    member: Option<MemberRecord>,
    gone: Option<Gone>,
    twice: bool,
}

impl Parts {
    fn take(&mut self, id: &RecordId, record: Record) {
        match record {
            Record::Key(key) => self.twice |= self.key.replace(key).is_some(),
            Record::User(user) => self.twice |= self.user.replace(user).is_some(),
            Record::Team(team) => self.twice |= self.team.replace(team).is_some(),
            Record::Member(member) => self.twice |= self.member.replace(member).is_some(),
            Record::Organization(_) => {}
            // No entry names one.
            Record::Customer(_) => self.twice = true,
            // The name says what it was.
            Record::Deleted => match id.as_str().as_bytes().first() {
                Some(b'u') => self.gone = Some(Gone::User),
                Some(b't') => self.gone = Some(Gone::Team),
                Some(b'm') => self.gone = Some(Gone::Member),
                _ => self.key_deleted = true,
            },
        }
    }
}
