//! A virtual key as the worker knows it: its records at the revisions they were read at, and the scopes that follow from them.
//!
//! Decides which objects a key belongs to. Whether the state still holds is Redis's to say (`admit` compares revisions);
//! what it allows is left to the static check. Failure stance: records that do not fit together are no key state.

use std::cell::Cell;
use std::rc::Rc;

use contract::id::Rev;
use contract::limits::Limits;
use contract::records::{
    IndexEntry, KeyRecord, MemberRecord, OrganizationRecord, Record, TeamRecord, UserRecord,
    Versioned,
};
use contract::redis_key::{Partition, RecordId};
use contract::virtual_key::KeyHash;

use crate::clock::Now;
use crate::scopes::{KeyScopes, Object, ScopeKind};

/// An owner that a key cannot do without and that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    User,
    Team,
    Member,
    Organization,
}

/// Everything about a key that does not change until a revision does.
#[derive(Debug)]
pub(crate) struct KeyState {
    pub hash: KeyHash,
    pub home: Partition,
    /// Redis time from which the hash is no longer valid.
    pub until_ms: Option<u64>,
    /// As `admit` compares them, in the index entry's order.
    pub revs: Rc<[(RecordId, Rev)]>,
    pub key: KeyRecord,
    pub user: Option<UserRecord>,
    pub team: Option<TeamRecord>,
    pub organization: Option<OrganizationRecord>,
    pub gone: Option<Gone>,
    pub scopes: KeyScopes,
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
            })
            && parts
                .organization
                .as_ref()
                .is_none_or(|organization| key.organization.as_ref() == Some(&organization.id));
        let lacks_team =
            key.team.is_some() && parts.team.is_none() && parts.gone != Some(Gone::Team);
        let lacks_organization = key.organization.is_some()
            && parts.organization.is_none()
            && parts.gone != Some(Gone::Organization);
        if !fits || lacks_team || lacks_organization || parts.twice {
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
            organization: parts.organization,
            gone: parts.gone,
            scopes: KeyScopes::of(entry.home, []),
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
            revs: Rc::clone(&self.revs),
            key: self.key.clone(),
            user: self.user.clone(),
            team: self.team.clone(),
            organization: self.organization.clone(),
            gone: self.gone,
            scopes: KeyScopes::of(self.home, []),
            member: self.member.clone(),
            user_budget_binds_team_keys,
            confirmed: self.confirmed.clone(),
        };
        state.scopes = state.scopes_of();
        Some(state)
    }

    fn scopes_of(&self) -> KeyScopes {
        let object = |kind, id, limits, binds| Object {
            kind,
            subject: "",
            id,
            limits,
            binds,
        };
        let binds = self.key.team.is_none() || self.user_budget_binds_team_keys;
        let key = object(
            ScopeKind::Key,
            RecordId::key(&self.key.id),
            &self.key.limits,
            true,
        );
        let user = self.user.as_ref().map(|user| {
            let id = RecordId::user(&user.id);
            object(ScopeKind::User, id, &user.limits, binds)
        });
        let team = self.team.as_ref().map(|team| {
            let id = RecordId::team(&team.id);
            object(ScopeKind::Team, id, &team.limits, true)
        });
        let member = self.member.as_ref().map(|member| {
            let id = RecordId::member(&member.team, &member.user);
            object(ScopeKind::Member, id, &member.limits, true)
        });
        let organization = self.organization.as_ref().map(|organization| {
            let id = RecordId::organization(&organization.id);
            object(ScopeKind::Organization, id, &organization.limits, true)
        });
        // Counted whether or not anything limits it, as every owner's: a budget given later finds what was spent.
        let unlimited = Limits::default();
        let of_organization = self.key.organization.as_ref().zip(self.key.user.as_ref());
        let organization_member = of_organization.map(|(organization, user)| {
            let id = RecordId::organization_member(organization, user);
            let limits = self.key.organization_member.as_deref();
            let limits = limits.unwrap_or(&unlimited);
            object(ScopeKind::OrganizationMember, id, limits, true)
        });
        let owners = [user, team, member, organization, organization_member];
        KeyScopes::of(
            self.home,
            [key].into_iter().chain(owners.into_iter().flatten()),
        )
    }

    /// The models that this user's keys may call in this team; empty: all of the team's.
    pub(crate) fn member_models(&self) -> &[String] {
        self.member.as_ref().map_or(&[], |member| &member.models)
    }
}

#[derive(Default)]
struct Parts {
    key: Option<KeyRecord>,
    key_deleted: bool,
    user: Option<UserRecord>,
    team: Option<TeamRecord>,
    member: Option<MemberRecord>,
    organization: Option<OrganizationRecord>,
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
            Record::Organization(organization) => {
                self.twice |= self.organization.replace(organization).is_some();
            }
            // No entry names one.
            Record::Customer(_) => self.twice = true,
            // The name says what it was.
            Record::Deleted => match id.as_str().as_bytes().first() {
                Some(b'u') => self.gone = Some(Gone::User),
                Some(b't') => self.gone = Some(Gone::Team),
                Some(b'm') => self.gone = Some(Gone::Member),
                Some(b'o') => self.gone = Some(Gone::Organization),
                _ => self.key_deleted = true,
            },
        }
    }
}
