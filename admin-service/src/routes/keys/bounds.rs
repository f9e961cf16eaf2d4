//! `default_key_generate_params` and `upperbound_key_generate_params`.
//!
//! Defaults fill what a request does not say; bounds refuse more and fill what is still open. Both hold for admins and the master key too.

use contract::money::NanoUsd;
use serde_json::{Value, json};

use crate::domain::budget_window::duration_us;
use crate::error::{ApiError, GrantRefusal};
use crate::request::{Body, parse_money};
use crate::routes::shape::dollars;
use crate::settings::{KeyBounds, KeyDefaults};

/// Fills a new key's request from the defaults.
pub(super) fn fill_defaults(body: &mut Body, defaults: &KeyDefaults) {
    for (name, value) in &defaults.0 {
        if !body.has(name) {
            body.set(name, value.clone());
        }
    }
}

/// Refuses what is above a bound. A new key (`fill`) gets the bound where it says nothing.
pub(super) fn hold(body: &mut Body, bounds: &KeyBounds, fill: bool) -> Result<(), ApiError> {
    if let Some(bound) = bounds.max_budget {
        match sent(body, "max_budget") {
            Some(asked) => {
                let asked = parse_money("max_budget", &asked.to_string())?;
                refuse_above("max_budget", &asked, &bound)?;
            }
            None => fill_in(body, "max_budget", fill, || dollars(bound)),
        }
    }
    for (name, bound) in [
        ("max_parallel_requests", bounds.max_parallel_requests),
        ("tpm_limit", bounds.tpm_limit),
        ("rpm_limit", bounds.rpm_limit),
    ] {
        let Some(bound) = bound else { continue };
        match sent(body, name) {
            Some(asked) => {
                let asked = asked.as_u64().unwrap_or(u64::MAX);
                refuse_above(name, &asked, &bound)?;
            }
            None => fill_in(body, name, fill, || json!(bound)),
        }
    }
    for (name, bound) in [
        ("budget_duration", &bounds.budget_duration),
        ("duration", &bounds.duration),
    ] {
        let Some(bound) = bound else { continue };
        match sent(body, name) {
            Some(asked) => {
                let asked = asked.as_str().unwrap_or_default().to_owned();
                // "-1" is for ever; what is no duration at all is refused where it is read.
                let length = if asked == "-1" {
                    Some(u64::MAX)
                } else {
                    duration_us(&asked)
                };
                if length > duration_us(bound) {
                    return Err(GrantRefusal::AboveBound {
                        field: name,
                        asked,
                        bound: bound.clone(),
                    }
                    .into());
                }
            }
            None => fill_in(body, name, fill, || json!(bound)),
        }
    }
    Ok(())
}

/// Refuses a budget that is above the bound together with its temporary increase.
pub(super) fn hold_budget(asked: Option<NanoUsd>, bounds: &KeyBounds) -> Result<(), ApiError> {
    match (asked, bounds.max_budget) {
        (Some(asked), Some(bound)) => refuse_above("max_budget", &asked, &bound),
        _ => Ok(()),
    }
}

fn sent(body: &Body, name: &str) -> Option<Value> {
    body.get(name).filter(|value| !value.is_null()).cloned()
}

fn fill_in(body: &mut Body, name: &str, fill: bool, bound: impl Fn() -> Value) {
    // A change that clears a bounded field gets the bound too: no bound can be shed by sending null.
    if fill || body.get(name).is_some() {
        body.set(name, bound());
    }
}

fn refuse_above<T: PartialOrd + ToString>(
    field: &'static str,
    asked: &T,
    bound: &T,
) -> Result<(), ApiError> {
    if asked > bound {
        let (asked, bound) = (asked.to_string(), bound.to_string());
        return Err(GrantRefusal::AboveBound {
            field,
            asked,
            bound,
        }
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::*;
    use crate::error::Refusal;
    use crate::request::GENERATE_KEY;

    fn bounds() -> KeyBounds {
        KeyBounds {
            max_budget: NanoUsd::new(100_000_000_000),
            duration: Some("30d".into()),
            tpm_limit: Some(1000),
            ..KeyBounds::default()
        }
    }

    fn held(sent: &Value, fill: bool) -> Result<Body, ApiError> {
        let mut body = Body::parse(&Bytes::from(sent.to_string()), GENERATE_KEY).unwrap();
        hold(&mut body, &bounds(), fill).map(|()| body)
    }

    #[test]
    fn what_is_left_open_gets_the_bound() {
        let body = held(&json!({"tpm_limit": 5, "max_budget": null}), true).unwrap();
        assert_eq!(body.get("max_budget").unwrap().to_string(), "100.0");
        assert_eq!(body.get("duration").unwrap(), "30d");
        assert_eq!(body.get("tpm_limit").unwrap(), 5);
    }

    #[test]
    fn more_than_the_bound_is_refused_and_the_bound_itself_is_not() {
        let above = |sent: Value| match held(&sent, true) {
            Err(ApiError::Refused(Refusal::Grant(GrantRefusal::AboveBound {
                field,
                asked,
                bound,
            }))) => {
                format!("{field} {asked} {bound}")
            }
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert_eq!(above(json!({"max_budget": 101})), "max_budget 101.0 100.0");
        assert_eq!(above(json!({"duration": "31d"})), "duration 31d 30d");
        assert_eq!(above(json!({"duration": "-1"})), "duration -1 30d");
        assert_eq!(above(json!({"tpm_limit": 1001})), "tpm_limit 1001 1000");
        assert!(held(&json!({"max_budget": 100, "duration": "720h"}), true).is_ok());
    }

    #[test]
    fn a_change_is_held_to_the_bounds_of_what_it_sends_only() {
        let body = held(&json!({"key": "sk-x", "max_budget": null}), false).unwrap();
        assert_eq!(body.get("tpm_limit"), None);
        assert_eq!(body.get("max_budget").unwrap().to_string(), "100.0");
    }
}
