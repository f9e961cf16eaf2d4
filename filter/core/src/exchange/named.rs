//! Whom and what a request names beside its key and model: the customer (end user) and the tags. Decides which of several sources counts.

use contract::records::ProxySettings;

use super::state::Request;
use crate::event::Headers;
use crate::json_scan::RequestFacts;
use crate::key_state::KeyState;

/// Longest end user's name or tag, in bytes.
const LONGEST_NAME: usize = 256;
/// Most tags kept.
const MOST_TAGS: usize = 32;

/// What a request names.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// The customer.
    pub end_user: Option<String>,
    /// The tags: the key's, its team's and the request's own.
    pub tags: Vec<String>,
}

impl Named {
    /// What the request names, by the settings known.
    pub(crate) fn by(
        request: &Request,
        facts: &RequestFacts,
        key: &KeyState,
        settings: &ProxySettings,
    ) -> Self {
        Self {
            end_user: end_user(request, facts, settings),
            tags: tags(request, facts, key),
        }
    }
}

/// The first source that says something: LiteLLM's own headers, configured headers, then the body.
fn end_user(request: &Request, facts: &RequestFacts, settings: &ProxySettings) -> Option<String> {
    let of_headers = || {
        customer_headers(settings).find_map(|wanted| {
            let mut headers = request.other_headers.iter();
            let (_, value) = headers.find(|(name, _)| name == wanted.as_bytes())?;
            Some(std::str::from_utf8(value).ok()?.trim()).filter(|value| !value.is_empty())
        })
    };
    let of_body = || {
        [
            &facts.user,
            &facts.litellm_metadata_user,
            &facts.metadata_user_id,
            &facts.safety_identifier,
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .find(|name| !name.is_empty())
    };
    let own = request.end_user.as_deref();
    own.or_else(of_headers).or_else(of_body).map(shortened)
}

/// Names of the headers that name the customer, in the order in which they count.
fn customer_headers(settings: &ProxySettings) -> impl Iterator<Item = &str> {
    let mappings = settings.user_header_mappings.iter();
    mappings
        .chain(&settings.user_header_name)
        .map(String::as_str)
}

/// The headers that may name the customer: those that the settings name, all of them where the settings are not known yet.
pub(crate) fn kept_headers(headers: &Headers, settings: Option<&ProxySettings>) -> Headers {
    let wanted = |name: &[u8]| match settings {
        Some(settings) => customer_headers(settings).any(|wanted| wanted.as_bytes() == name),
        None => !name.starts_with(b":") && !super::auth::is_credential(name),
    };
    let kept = headers.iter().filter(|(name, _)| wanted(name));
    kept.cloned().collect()
}

fn tags(request: &Request, facts: &RequestFacts, key: &KeyState) -> Vec<String> {
    let of_team = key.team.iter().flat_map(|team| &team.tags);
    let all = key.key.tags.iter().chain(of_team);
    let mut tags: Vec<String> = Vec::new();
    for tag in all.chain(&facts.tags).chain(&request.tags) {
        let tag = shortened(tag);
        if tags.len() < MOST_TAGS && !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// Text as the ledger keeps it: without NUL, cut between letters.
fn shortened(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(LONGEST_NAME));
    for letter in text.chars() {
        let letter = if letter == '\0' { '\u{fffd}' } else { letter };
        if kept.len().saturating_add(letter.len_utf8()) > LONGEST_NAME {
            break;
        }
        kept.push(letter);
    }
    kept
}
