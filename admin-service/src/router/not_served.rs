//! Areas of LiteLLM's API that this product leaves to others: a request there is told so.

/// Their paths, with what is below them, and what they are.
pub const NOT_SERVED: &[(&str, &str)] = &[
    ("/mcp", MCP),
    ("/mcp-rest", MCP),
    ("/v1/mcp", MCP),
    ("/agents", AGENTS),
    ("/v1/agents", AGENTS),
    ("/a2a", AGENTS),
    ("/v1/a2a", AGENTS),
    ("/guardrails", GUARDRAILS),
    ("/v2/guardrails", GUARDRAILS),
    ("/apply_guardrail", GUARDRAILS),
    ("/policies", "guardrail policies"),
    ("/vector_store", VECTOR_STORES),
    ("/vector_stores", VECTOR_STORES),
    ("/v1/vector_stores", VECTOR_STORES),
    ("/v1/vector_store", VECTOR_STORES),
    ("/prompt", "prompts"),
    ("/prompts", "prompts"),
    ("/batches", BATCHES),
    ("/v1/batches", BATCHES),
    ("/files", FILES),
    ("/v1/files", FILES),
    ("/fine_tuning", "fine-tuning"),
    ("/v1/fine_tuning", "fine-tuning"),
    ("/scim", "SCIM"),
    ("/saml", "SAML"),
    ("/sso/saml", "SAML"),
    ("/claude-code", "plugins"),
    ("/callbacks", CALLBACKS),
    ("/get/config/callbacks", CALLBACKS),
    ("/health/services", CALLBACKS),
    ("/cache/delete", CACHE),
    ("/cache/flushall", CACHE),
    ("/cache/redis", CACHE),
    ("/cache/settings", CACHE),
    ("/project", "projects"),
    ("/config", "configuration by field"),
    ("/provider/budgets", "router budgets"),
    ("/chat/completions", MODELS),
    ("/v1/chat/completions", MODELS),
    ("/completions", MODELS),
    ("/v1/completions", MODELS),
    ("/embeddings", MODELS),
    ("/v1/embeddings", MODELS),
    ("/responses", MODELS),
    ("/v1/responses", MODELS),
];

const CACHE: &str = "cache management: there is no gateway cache";
const MCP: &str = "MCP";
const AGENTS: &str = "agents";
const GUARDRAILS: &str = "guardrails";
const VECTOR_STORES: &str = "vector stores";
const BATCHES: &str = "batches";
const FILES: &str = "management of files";
const CALLBACKS: &str = "logging callbacks";
const MODELS: &str = "models here: send requests of models to the gateway";

/// What a path that is no route would be of.
pub fn what(path: &str) -> Option<&'static str> {
    let under = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = NOT_SERVED.iter().find(|(prefix, _)| under(prefix));
    found.map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::rows;

    #[test]
    fn no_route_is_said_not_to_be_served() {
        for row in rows() {
            assert_eq!(what(row.path), None, "{}", row.path);
        }
    }
}
