//! Everything that binds a request whose key and model are known: the scopes it counts in, the revisions it is evaluated with, the customer and
//! tags it names. A customer whose remembered record refuses is asked for again before that is believed: the admission is then made with a
//! revision that no record has, so that Redis answers with the record.

use std::rc::Rc;

use contract::id::{CustomerId, Rev};
use contract::records::{ModelRecord, ProxySettings};
use contract::redis_key::RecordId;

use super::models;
use super::named::Named;
use super::refusal::{ModelList, Refusal};
use super::state::Admission;
use super::turn::Turn;
use crate::customers::Known;
use crate::scopes::{Called, Customer, Scopes};

/// What binds a request.
#[derive(Debug)]
pub(crate) struct Bound {
    pub scopes: Rc<Scopes>,
    /// As `admit` compares them: those of the key, then the customer's.
    pub revs: Rc<[(RecordId, Rev)]>,
    pub named: Named,
}

impl Bound {
    /// What binds this request, or why its customer may not make it.
    pub(crate) fn of(
        turn: &mut Turn<'_>,
        admission: &Admission,
        settings: &ProxySettings,
        model: &ModelRecord,
    ) -> Result<Self, Refusal> {
        let Admission {
            request,
            facts,
            key,
            ..
        } = admission;
        let named = Named::by(request, facts, key, settings);
        let customer = named.end_user.as_deref().map(|name| {
            let id = RecordId::customer(&CustomerId::new(name));
            let known = turn.worker.customers.get(&id);
            (name, id, known)
        });
        let mut revs = Rc::clone(&key.revs);
        if let Some((name, id, known)) = &customer {
            let rev = match refused(known, name, admission, settings, model) {
                Some(refusal) if request.customer_fresh => return Err(refusal),
                Some(_) => Rev::new(Rev::MAX).unwrap_or_default(),
                None => known.rev,
            };
            let all = key.revs.iter().cloned().chain([(id.clone(), rev)]);
            revs = all.collect();
        }
        let called = Called {
            settings,
            model,
            named: admission.model_named(),
            customer: customer.as_ref().map(|(name, id, known)| Customer {
                name,
                id,
                limits: known.record.as_ref().map(|record| &record.limits),
            }),
            tags: &named.tags,
        };
        let scopes = called.scopes(&key.scopes, turn.redis_ms());
        let scopes = scopes.ok_or(Refusal::TooManyScopes)?;
        Ok(Self {
            scopes,
            revs,
            named,
        })
    }

    /// Name and revision of the customer's record, where the request names one.
    pub(crate) fn customer(&self, admission: &Admission) -> Option<&(RecordId, Rev)> {
        self.revs.get(admission.key.revs.len())
    }
}

fn refused(
    known: &Known,
    name: &str,
    admission: &Admission,
    settings: &ProxySettings,
    model: &ModelRecord,
) -> Option<Refusal> {
    let record = known.record.as_ref()?;
    if record.blocked {
        return Some(Refusal::CustomerBlocked {
            customer: name.to_owned(),
        });
    }
    let wanted = models::resolved(&admission.key, admission.model_named());
    let allowed = models::allows(&record.models, settings, wanted, model);
    (!allowed).then(|| Refusal::ModelNotAllowed {
        model: wanted.to_owned(),
        by: ModelList::Customer,
    })
}
