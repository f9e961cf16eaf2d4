//! What the spend log will say about a request, as far as it is known before the answer. Sent at admission with the reserved figures, so that a
//! sweep can charge them should this worker die.

use contract::spend_event::SpendBody;
use contract::usage::Usage;

use super::state::{Admission, Question};

/// Longest end user's name or tag, in characters.
const LONGEST_NAME: usize = 256;
/// Most tags kept.
const MOST_TAGS: usize = 32;

/// The body with what is reserved.
pub(crate) fn reserved(admission: &Admission, question: &Question) -> SpendBody {
    let Admission {
        request,
        api,
        facts,
        key,
    } = admission;
    let named = [
        &facts.user,
        &facts.metadata_user_id,
        &facts.safety_identifier,
    ];
    let end_user = request
        .end_user
        .as_ref()
        .or_else(|| named.into_iter().flatten().find(|name| !name.is_empty()));
    let mut tags: Vec<String> = Vec::new();
    for tag in facts.tags.iter().chain(&request.tags) {
        let tag = shortened(tag);
        if tags.len() < MOST_TAGS && !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
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
        end_user: end_user.map(|name| shortened(name)),
        tags,
        charged: Vec::new(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}
