//! A request as the log shows it.

use serde_json::{Map, Value, json};

use crate::clock::date;
use crate::openapi::schema::{ANY, NUMBER, OBJECT, Record, TEXT, TEXT_OR_NULL, TEXTS, WHOLE};
use crate::routes::shape::{Times, dollars};
use crate::store::spend::LogRow;

/// One row of the log.
pub(super) static LOG: Record = Record::new(
    "SpendLog",
    &[
        (
            "request_id call_type api_key startTime endTime completionStartTime model model_id model_group",
            TEXT,
        ),
        (
            "custom_llm_provider api_base user cache_hit cache_key end_user status litellm_call_id",
            TEXT,
        ),
        ("spend", NUMBER),
        (
            "total_tokens prompt_tokens completion_tokens request_duration_ms",
            WHOLE,
        ),
        ("request_tags", ANY),
        (
            "team_id organization_id requester_ip_address session_id mcp_namespaced_tool_name agent_id",
            TEXT_OR_NULL,
        ),
        ("metadata messages response proxy_server_request", OBJECT),
    ],
);

/// One row of a page of the log: without what was said.
pub(super) static PAGED: Record = Record::new(
    "SpendLogOfPage",
    &[
        (
            "request_id call_type api_key startTime endTime completionStartTime model model_id model_group",
            TEXT,
        ),
        (
            "custom_llm_provider api_base user cache_hit cache_key end_user status litellm_call_id",
            TEXT,
        ),
        ("spend", NUMBER),
        (
            "total_tokens prompt_tokens completion_tokens request_duration_ms",
            WHOLE,
        ),
        ("request_tags", ANY),
        (
            "team_id organization_id requester_ip_address session_id mcp_namespaced_tool_name agent_id",
            TEXT_OR_NULL,
        ),
        ("metadata", OBJECT),
    ],
);

/// The same with the sums of its session. Nothing tells sessions here: each request is one.
pub(super) static OF_SESSION: Record = Record::with(
    "SpendLogOfSession",
    &[&PAGED],
    &[
        (
            "session_total_count session_total_duration_ms session_cache_hit_count session_llm_count",
            WHOLE,
        ),
        (
            "session_agent_count session_total_prompt_tokens session_total_completion_tokens session_total_tokens",
            WHOLE,
        ),
        ("session_total_spend", NUMBER),
        ("session_models", TEXTS),
        ("session_models_truncated", crate::openapi::schema::FLAG),
    ],
);

/// How a list shows its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// [`PAGED`].
    Paged,
    /// [`OF_SESSION`].
    Session,
}

/// A request of a page.
pub(super) fn paged(log: &LogRow, shape: Shape) -> Value {
    let Value::Object(mut object) = row(log) else {
        return Value::Null;
    };
    for said in ["messages", "response", "proxy_server_request"] {
        object.remove(said);
    }
    let row = &log.row;
    let after = |ms: u64| {
        let at = date(row.admitted_ms.saturating_add(ms).saturating_mul(1_000));
        at.map_or(Value::Null, |at| {
            json!(at.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string())
        })
    };
    object.insert("startTime".into(), after(0));
    object.insert("endTime".into(), after(row.duration_ms));
    let first = row.first_byte_ms.unwrap_or(row.duration_ms);
    object.insert("completionStartTime".into(), after(first));
    if shape == Shape::Session {
        session(log, &mut object);
    }
    Value::Object(object)
}

fn session(log: &LogRow, object: &mut Map<String, Value>) {
    let row = &log.row;
    for (name, value) in [
        ("session_total_count", json!(1)),
        ("session_total_spend", dollars(row.spend)),
        ("session_total_duration_ms", json!(row.duration_ms)),
        ("session_cache_hit_count", json!(0)),
        ("session_llm_count", json!(1)),
        ("session_agent_count", json!(0)),
        (
            "session_total_prompt_tokens",
            json!(row.usage.prompt_tokens()),
        ),
        (
            "session_total_completion_tokens",
            json!(row.usage.completion_tokens()),
        ),
        ("session_total_tokens", json!(row.usage.total_tokens())),
        ("session_models", json!([row.model_group])),
        ("session_models_truncated", json!(false)),
    ] {
        object.insert(name.to_owned(), value);
    }
}

/// A request under LiteLLM's field names.
pub(super) fn row(log: &LogRow) -> Value {
    let row = &log.row;
    let after = |ms: u64| Times::Z.print(row.admitted_ms.saturating_add(ms).saturating_mul(1_000));
    let status = if (200..300).contains(&row.http_status) {
        "success"
    } else {
        "failure"
    };
    let maybe = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    json!({
        "request_id": row.request_id,
        "call_type": row.call_type,
        "api_key": row.api_key,
        "spend": dollars(row.spend),
        "total_tokens": row.usage.total_tokens(),
        "prompt_tokens": row.usage.prompt_tokens(),
        "completion_tokens": row.usage.completion_tokens(),
        "startTime": after(0),
        "endTime": after(row.duration_ms),
        "completionStartTime": after(row.first_byte_ms.unwrap_or(row.duration_ms)),
        "request_duration_ms": row.duration_ms,
        "model": row.model,
        "model_id": "",
        "model_group": row.model_group,
        "custom_llm_provider": row.provider,
        "api_base": "",
        "user": row.user_id,
        "metadata": metadata(log, status),
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "request_tags": row.tags,
        "team_id": maybe(&row.team_id),
        "organization_id": maybe(&row.organization_id),
        "end_user": row.end_user,
        "requester_ip_address": maybe(&row.client_ip),
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "session_id": null,
        "status": status,
        "mcp_namespaced_tool_name": null,
        "agent_id": null,
        "litellm_call_id": row.event_id.to_string(),
    })
}

fn metadata(log: &LogRow, status: &str) -> Value {
    let row = &log.row;
    let maybe = |text: &str| {
        if text.is_empty() {
            Value::Null
        } else {
            json!(text)
        }
    };
    json!({
        "user_api_key": row.api_key,
        "user_api_key_alias": log.key_alias,
        "user_api_key_user_id": maybe(&row.user_id),
        "user_api_key_team_id": maybe(&row.team_id),
        "user_api_key_team_alias": log.team_alias,
        "user_api_key_org_id": maybe(&row.organization_id),
        "requester_ip_address": maybe(&row.client_ip),
        "spend_logs_metadata": null,
        "status": status,
        "additional_usage_values": {
            "cache_read_input_tokens": row.usage.cache_read,
            "cache_creation_input_tokens": row.usage.cache_write.saturating_add(row.usage.cache_write_1h),
        },
        "usage_object": {
            "prompt_tokens": row.usage.prompt_tokens(),
            "completion_tokens": row.usage.completion_tokens(),
            "total_tokens": row.usage.total_tokens(),
            "prompt_tokens_details": {
                "cached_tokens": row.usage.cache_read,
                "audio_tokens": row.usage.audio_input,
                "image_tokens": row.usage.image_input,
            },
            "completion_tokens_details": {
                "reasoning_tokens": row.usage.reasoning,
                "audio_tokens": row.usage.audio_output,
            },
        },
        "tollkeeper": {
            "estimated": !row.exact,
            "swept": row.version == 0,
            "http_status": row.http_status,
        },
    })
}
