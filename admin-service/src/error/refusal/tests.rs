//! Refusals as they were recorded.

use serde_json::{Value, json};

use super::*;
use crate::error::Shape;

fn body(refusal: impl Into<Refusal>) -> (u16, Value) {
    let wire = refusal.into().wire();
    let status = wire.status.as_u16();
    let body = match wire.shape {
        Shape::Error {
            kind,
            param,
            message,
        } => {
            json!({"message": message, "type": kind, "param": param})
        }
        Shape::Detail(detail) => detail,
    };
    (status, body)
}

#[test]
fn refusals_read_as_litellm_recorded_them() {
    assert_eq!(
        body(RequestRefusal::BadBudgetDuration("2mo".into())),
        (
            400,
            json!({"message": "{'error': \"Invalid budget_duration '2mo'. Use a format like '1h', '24h', '7d', or '30d'.\"}",
                "type": "invalid_request_error", "param": null})
        )
    );
    assert_eq!(
        body(RequestRefusal::NegativeBudget {
            field: "max_budget",
            got: "-1.0".into()
        }),
        (
            400,
            json!({"message": "{'error': 'max_budget must be a non-negative finite number. Received: -1.0'}",
                "type": "invalid_request_error", "param": null})
        )
    );
    assert_eq!(
        body(AccessRefusal::RouteNotAllowed {
            allowed: vec!["llm_api_routes".into()],
            route: "/key/generate".into()
        }),
        (
            403,
            json!(
                "Virtual key is not allowed to call this route. Only allowed to call routes: ['llm_api_routes']. Tried to call route: /key/generate"
            )
        )
    );
}
