//! The scopes that a request counts in, and what each of them limits.
//!
//! Decides which objects bind a request: its key and everybody the key belongs to, the customer and the tags it names, the model it calls and
//! the proxy as a whole; of each the limits themselves, every further budget window and every model's own limits as a scope apart. Scopes that
//! follow from the key alone are made once ([`KeyScopes`]); a request to which nothing else applies shares them. Failure stance: a request that
//! would count in more scopes than the scripts are made for counts in none and is refused.

use std::rc::Rc;

use contract::limits::{Budget, Limits, ModelLimits};
use contract::money::NanoUsd;
use contract::records::{ModelRecord, ProxySettings};
use contract::redis_key::{Partition, RecordId};
use contract::script::{ScopeLimits, ScopeWindow};
use contract::spend_event::ChargedScope;
use contract::window::{BudgetWindow, RATE_WINDOW_MS};

use crate::glob::glob;

/// Most scopes of one request.
const MOST: usize = 64;

/// Whose limits a scope carries, in the order in which a denial is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Key,
    User,
    Team,
    Member,
    Organization,
    OrganizationMember,
    EndUser,
    Tag,
    Model,
    Proxy,
}

/// Which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The limits themselves.
    Whole,
    /// A further budget window, by its duration.
    Window(String),
    /// Those for one model, by its name or pattern.
    Model(String),
}

/// One scope of a request.
#[derive(Debug)]
pub(crate) struct Scope {
    pub kind: ScopeKind,
    pub part: Part,
    /// The customer's id, the tag or the model; empty where the key's records name the object.
    pub subject: String,
    pub id: RecordId,
    /// As `admit` gets them.
    pub limits: Limits,
    /// Whether the budget among them binds this request. One that does not is sent as the largest there is: the scope's spend goes on in the
    /// same window, whichever of the owner's keys was used last.
    pub budget_binds: bool,
}

impl Scope {
    /// Whether the scope follows from the key's, user's and team's ids that every spend event carries.
    fn is_implied(&self) -> bool {
        use ScopeKind::{Key, Member, Team, User};
        self.part == Part::Whole && matches!(self.kind, Key | User | Team | Member)
    }

    fn charged(&self, now_ms: u64) -> ChargedScope {
        let budget = self.limits.budget.as_ref();
        ChargedScope {
            id: self.id.clone(),
            window: budget.map_or(BudgetWindow::Lifetime, |budget| budget.window.from(now_ms)),
        }
    }
}

/// Scopes in the order in which a denial is looked for, and where they live.
#[derive(Clone, Debug)]
pub(crate) struct Scopes {
    pub home: Partition,
    list: Vec<Rc<Scope>>,
}

impl Scopes {
    /// As `admit` and `renew` take them.
    pub(crate) fn limits(&self) -> Vec<ScopeLimits<'_>> {
        self.iter()
            .map(|scope| ScopeLimits {
                id: &scope.id,
                limits: &scope.limits,
            })
            .collect()
    }

    /// As `settle` takes them.
    pub(crate) fn windows(&self) -> Vec<ScopeWindow<'_>> {
        self.iter()
            .map(|scope| ScopeWindow {
                id: &scope.id,
                window: scope.limits.budget.as_ref().map(|budget| &budget.window),
            })
            .collect()
    }

    /// What a spend event must say about them.
    pub(crate) fn charged(&self, now_ms: u64) -> Vec<ChargedScope> {
        let named = self.iter().filter(|scope| !scope.is_implied());
        named.map(|scope| scope.charged(now_ms)).collect()
    }

    /// Whether any scope limits money.
    pub(crate) fn has_budget(&self) -> bool {
        self.iter().any(|scope| scope.budget_binds)
    }

    /// Whether a scope limits requests in flight.
    pub(crate) fn limits_parallel(&self) -> bool {
        self.iter().any(|scope| scope.limits.parallel.is_some())
    }

    /// The lowest token limit of any scope.
    pub(crate) fn tightest_tpm(&self) -> Option<u64> {
        self.iter().filter_map(|scope| scope.limits.tpm).min()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.list.iter().map(Rc::as_ref)
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Scope> {
        self.list.get(at).map(Rc::as_ref)
    }

    /// Memory that goes with the last who holds them, roughly.
    pub(crate) fn bytes(&self) -> usize {
        const EACH: usize = 256;
        self.list.len().saturating_mul(EACH)
    }
}

/// What follows from a key's records alone.
#[derive(Debug)]
pub(crate) struct KeyScopes {
    /// The scopes of every request of the key.
    every: Rc<Scopes>,
    /// Those of them whose budget is raised for a time.
    raised: Vec<Raised>,
    /// The limits for models of the key and its owners: name or pattern, and the scope.
    of_models: Vec<(String, Rc<Scope>)>,
}

/// A scope as it is until a time.
#[derive(Debug)]
struct Raised {
    /// Its place among the key's scopes.
    at: usize,
    until_ms: u64,
    scope: Rc<Scope>,
}

impl KeyScopes {
    /// The scopes of objects in order; a budget that does not bind is still counted.
    pub(crate) fn of<'a>(home: Partition, objects: impl IntoIterator<Item = Object<'a>>) -> Self {
        let mut list = Vec::with_capacity(4);
        let (mut of_models, mut raised) = (Vec::new(), Vec::new());
        for object in objects {
            raised.extend(object.raised(list.len()));
            list.push(Rc::new(object.whole()));
            list.extend(object.windows().map(Rc::new));
            of_models.extend(object.models());
        }
        Self {
            every: Rc::new(Scopes { home, list }),
            raised,
            of_models,
        }
    }

    /// The scopes of every request at `now_ms`, Redis time.
    fn every(&self, now_ms: u64) -> Rc<Scopes> {
        let mut now = self
            .raised
            .iter()
            .filter(|raised| raised.until_ms > now_ms)
            .peekable();
        if now.peek().is_none() {
            return Rc::clone(&self.every);
        }
        let Scopes { home, mut list } = Scopes::clone(&self.every);
        for raised in now {
            if let Some(scope) = list.get_mut(raised.at) {
                *scope = Rc::clone(&raised.scope);
            }
        }
        Rc::new(Scopes { home, list })
    }
}

/// Something with limits.
pub(crate) struct Object<'a> {
    pub kind: ScopeKind,
    pub subject: &'a str,
    pub id: RecordId,
    pub limits: &'a Limits,
    /// Whether its budgets bind.
    pub binds: bool,
}

impl Object<'_> {
    fn scope(&self, part: Part, id: RecordId, mut limits: Limits) -> Scope {
        let budget_binds = self.binds && limits.budget.is_some();
        if !self.binds
            && let Some(budget) = &mut limits.budget
        {
            budget.max = NanoUsd::MAX;
        }
        Scope {
            kind: self.kind,
            part,
            subject: self.subject.to_owned(),
            id,
            limits,
            budget_binds,
        }
    }

    /// [`Object::whole`] with a budget that is raised for a time, where it will be the scope at `at`.
    fn raised(&self, at: usize) -> Option<Raised> {
        let (raise, mut scope) = (self.limits.raise?, self.whole());
        let budget = scope.limits.budget.as_mut().filter(|_| self.binds)?;
        budget.max = raise.on(budget.max);
        Some(Raised {
            at,
            until_ms: raise.until_ms,
            scope: Rc::new(scope),
        })
    }

    fn whole(&self) -> Scope {
        let limits = Limits {
            rpm: self.limits.rpm,
            tpm: self.limits.tpm,
            parallel: self.limits.parallel,
            budget: self.limits.budget.clone(),
            ..Limits::default()
        };
        self.scope(Part::Whole, self.id.clone(), limits)
    }

    fn windows(&self) -> impl Iterator<Item = Scope> {
        self.limits.windows.iter().map(|(duration, budget)| {
            let id = self.id.window(duration);
            self.scope(Part::Window(duration.clone()), id, only(budget))
        })
    }

    fn models(&self) -> impl Iterator<Item = (String, Rc<Scope>)> {
        self.limits.models.iter().map(|(model, limits)| {
            let ModelLimits { rpm, tpm, budget } = limits;
            let limits = Limits {
                rpm: *rpm,
                tpm: *tpm,
                budget: budget.clone(),
                ..Limits::default()
            };
            let id = self.id.of_model(model);
            let scope = self.scope(Part::Model(model.clone()), id, limits);
            (model.clone(), Rc::new(scope))
        })
    }
}

/// Limits that are a budget alone.
fn only(budget: &Budget) -> Limits {
    Limits {
        budget: Some(budget.clone()),
        ..Limits::default()
    }
}

/// The customer that a request names.
#[derive(Debug)]
pub(crate) struct Customer<'a> {
    pub name: &'a str,
    pub id: &'a RecordId,
    /// `None` where the customer has no record.
    pub limits: Option<&'a Limits>,
}

/// A request, as far as its scopes go.
pub(crate) struct Called<'a> {
    pub settings: &'a ProxySettings,
    pub model: &'a ModelRecord,
    /// The model's name before aliases.
    pub named: &'a str,
    pub customer: Option<Customer<'a>>,
    pub tags: &'a [String],
}

impl Called<'_> {
    /// The request's scopes at `now_ms`, Redis time, beginning with those of its key; `None` where they are too many.
    pub(crate) fn scopes(&self, key: &KeyScopes, now_ms: u64) -> Option<Rc<Scopes>> {
        let mut more: Vec<Rc<Scope>> = Vec::new();
        let of_models = key.of_models.iter();
        let matching = of_models.filter(|(pattern, _)| self.is_called(pattern));
        more.extend(matching.map(|(_, scope)| Rc::clone(scope)));
        if let Some(customer) = &self.customer {
            self.customer(customer, &mut more);
        }
        if !self.settings.tags.is_empty() {
            for tag in self.tags {
                if let Some(limits) = self.settings.tags.get(tag) {
                    let id = RecordId::tag(tag);
                    self.object(ScopeKind::Tag, tag, id, limits, &mut more);
                }
            }
        }
        let model = self.model;
        if !model.limits.is_unlimited() {
            let id = RecordId::model(&model.name);
            self.object(ScopeKind::Model, &model.name, id, &model.limits, &mut more);
        }
        if let Some(budget) = &self.settings.budget {
            let limits = only(budget);
            self.object(ScopeKind::Proxy, "", RecordId::proxy(), &limits, &mut more);
        }
        let every = key.every(now_ms);
        if more.is_empty() {
            return Some(every);
        }
        let mut list = every.list.clone();
        list.append(&mut more);
        let home = every.home;
        (list.len() <= MOST).then(|| Rc::new(Scopes { home, list }))
    }

    fn customer(&self, customer: &Customer<'_>, to: &mut Vec<Rc<Scope>>) {
        let (kind, id) = (ScopeKind::EndUser, customer.id.clone());
        if let Some(limits) = customer.limits {
            return self.object(kind, customer.name, id, limits, to);
        }
        let limits = &self.settings.customer_default;
        if limits.is_unlimited() {
            return;
        }
        let before = to.len();
        self.object(kind, customer.name, id, limits, to);
        // Clients may name any number of customers. Money that no budget limits is counted for a minute at a time, so that the scope of each
        // is gone soon after its last request.
        let fleeting = to.iter_mut().skip(before).filter_map(Rc::get_mut);
        for scope in fleeting.filter(|scope| scope.limits.budget.is_none()) {
            scope.limits.budget = Some(Budget {
                max: NanoUsd::MAX,
                window: BudgetWindow::Fixed {
                    anchor_ms: 0,
                    every_ms: RATE_WINDOW_MS,
                },
            });
        }
    }

    fn object(
        &self,
        kind: ScopeKind,
        subject: &str,
        id: RecordId,
        limits: &Limits,
        to: &mut Vec<Rc<Scope>>,
    ) {
        let object = Object {
            kind,
            subject,
            id,
            limits,
            binds: true,
        };
        to.push(Rc::new(object.whole()));
        to.extend(object.windows().map(Rc::new));
        let models = object.models();
        let matching = models.filter(|(pattern, _)| self.is_called(pattern));
        to.extend(matching.map(|(_, scope)| scope));
    }

    /// Whether a name or pattern in somebody's limits means the model called: as the client named it, or as aliases led to it, with or
    /// without its provider.
    fn is_called(&self, pattern: &str) -> bool {
        let ModelRecord { name, provider, .. } = self.model;
        let bare = |text: &str| {
            let rest = text.strip_prefix(provider.as_str())?.strip_prefix('/')?;
            Some(rest.to_owned())
        };
        glob(pattern, self.named)
            || glob(pattern, name)
            || bare(name).is_some_and(|name| glob(pattern, &name))
            || bare(pattern).is_some_and(|pattern| glob(&pattern, name))
    }
}
