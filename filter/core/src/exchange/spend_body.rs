//! What the spend log will say about a request, as far as it is known before the answer. Sent at admission with the reserved figures, so that a
//! sweep can charge them should this worker die.

use contract::spend_event::SpendBody;
use contract::usage::Usage;

use super::state::{Admission, Question};

/// The body with what is reserved at about `now_ms`, Redis time.
pub(crate) fn reserved(admission: &Admission, question: &Question, now_ms: u64) -> SpendBody {
    let Admission {
        request,
        api,
        facts,
        key,
    } = admission;
    let bound = &question.bound;
    SpendBody {
        key: key.key.id.clone(),
        hash: key.hash,
        user: key.key.user.clone(),
        team: key.key.team.clone(),
        organization: key.key.organization.clone(),
        model: question.model.name.clone(),
        model_group: facts
            .model
            .as_ref()
            .map(|model| model.value.clone())
            .unwrap_or_default(),
        provider: question.model.provider.clone(),
        call_type: api.call_type().to_owned(),
        status: 0,
        usage: Usage {
            input: question.need.input,
            output: question.need.output,
            ..Usage::default()
        },
        exact: false,
        first_byte_ms: None,
        duration_ms: 0,
        response_id: None,
        client_ip: request.client_ip.clone(),
        end_user: bound.named.end_user.clone(),
        tags: bound.named.tags.clone(),
        charged: bound.scopes.charged(now_ms),
    }
}
