//! `GET /v1/models`: the models that a key may call, in OpenAI's shape. Nothing is metered and no upstream asked.

use contract::records::ProxySettings;
use serde_json::{Value, json};

use super::models;
use super::reply::json_reply;
use super::state::State;
use super::turn::Turn;
use crate::effect::Effect;
use crate::key_state::KeyState;
use crate::metric::Metric;

/// LiteLLM gives every model this birthday; clients only want a number.
const CREATED: u64 = 1_677_610_602;

/// Answers the list.
pub(crate) fn reply(turn: &mut Turn<'_>, state: &KeyState, settings: &ProxySettings) -> State {
    turn.effects.push(Effect::Measure(Metric::ModelsListed, 1));
    let data: Vec<Value> = models::listed(state, settings)
        .into_iter()
        .map(|id| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "openai"}))
        .collect();
    json_reply(
        200,
        Vec::new(),
        &json!({"data": data, "object": "list"}),
        &mut turn.effects,
    );
    State::Over
}
