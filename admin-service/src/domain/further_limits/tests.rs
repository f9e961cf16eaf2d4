use serde_json::json;

use super::*;

fn read(extra: Value) -> Result<FurtherLimits, Wrong> {
    let Value::Object(extra) = extra else {
        panic!()
    };
    FurtherLimits::read(&[&extra])
}

#[test]
fn what_another_lacks_or_exceeds_is_beyond_it() {
    let beyond = |asked: Value, own: Value| read(asked).unwrap().beyond(&read(own).unwrap());
    let day = |max: f64| json!({"budget_limits": [{"budget_duration": "1d", "max_budget": max}]});
    assert_eq!(beyond(day(1.0), day(1.0)), None);
    assert_eq!(beyond(day(1.0), json!({})), None);
    assert_eq!(beyond(day(1.1), day(1.0)), Some(WINDOWS));
    assert_eq!(beyond(json!({}), day(1.0)), Some(WINDOWS));
    let rates = |rpm: u64| json!({"model_rpm_limit": {"a": rpm}});
    assert_eq!(beyond(rates(2), rates(3)), None);
    assert_eq!(beyond(rates(4), rates(3)), Some(MODEL_RPM));
    assert_eq!(
        beyond(json!({"model_tpm_limit": {"b": 1}}), rates(3)),
        Some(MODEL_RPM)
    );
    let budget = |window: &str| json!({"model_max_budget": {"a": {"budget_limit": 1, "time_period": window}}});
    assert_eq!(beyond(budget("1d"), budget("1d")), None);
    assert_eq!(beyond(budget("1h"), budget("1d")), Some(MODEL_BUDGETS));
}

fn limits(extra: Value) -> Limits {
    let mut limits = Limits::default();
    let now = 1_795_000_000_000_000;
    read(extra)
        .unwrap()
        .put(&mut limits, now, now, &WindowRules::default());
    limits
}

#[test]
fn every_spelling_of_a_limit_is_read() {
    let limits = limits(json!({
        "budget_limits": [{"budget_duration": "1h", "max_budget": 1.5}, {"budget_duration": "1h", "max_budget": 0.5},
            {"budget_duration": "1mo", "max_budget": "20"}],
        "model_rpm_limit": {"a": 3, "b": null},
        "model_tpm_limit": {"a": 1000},
        "model_max_budget": {
            "a": {"budget_limit": "0.25", "time_period": "1h", "rpm_limit": 9},
            "c": {"max_budget": 2, "budget_duration": "1d", "tpm_limit": 7},
            "d": 4,
            "e": {},
        },
    }));
    let dollars = |budget: &Budget| budget.max.get() / 10_000_000;
    let windows = limits
        .windows
        .iter()
        .map(|(text, budget)| (text.as_str(), dollars(budget)));
    assert_eq!(windows.collect::<Vec<_>>(), [("1h", 50), ("1mo", 2_000)]);
    assert!(matches!(
        limits.windows["1mo"].window,
        BudgetWindow::Calendar(_)
    ));
    let model = |name: &str| {
        let model = &limits.models[name];
        (model.rpm, model.tpm, model.budget.as_ref().map(dollars))
    };
    assert_eq!(model("a"), (Some(3), Some(1_000), Some(25)));
    assert_eq!(model("c"), (None, Some(7), Some(200)));
    assert_eq!(model("d"), (None, None, Some(400)));
    assert_eq!(
        limits.models["d"].budget.as_ref().unwrap().window,
        BudgetWindow::Lifetime
    );
    assert_eq!(limits.models.len(), 3, "what limits nothing is left out");
}

#[test]
fn what_means_nothing_is_named() {
    for (extra, field, at) in [
        (json!({"budget_limits": {}}), WINDOWS, ""),
        (
            json!({"budget_limits": [{"max_budget": 1}]}),
            WINDOWS,
            "0.budget_duration",
        ),
        (
            json!({"budget_limits": [{"budget_duration": "1x", "max_budget": 1}]}),
            WINDOWS,
            "0.budget_duration",
        ),
        (
            json!({"budget_limits": [{"budget_duration": "1d", "max_budget": -1}]}),
            WINDOWS,
            "0.max_budget",
        ),
        (json!({"model_rpm_limit": {"a": 1.5}}), MODEL_RPM, "a"),
        (json!({"model_tpm_limit": {"a": -1}}), MODEL_TPM, "a"),
        (
            json!({"model_max_budget": {"a": {"budget_limit": "much"}}}),
            MODEL_BUDGETS,
            "a.budget_limit",
        ),
        (
            json!({"model_max_budget": {"a": {"max_budget": 1, "time_period": "often"}}}),
            MODEL_BUDGETS,
            "a.time_period",
        ),
        (json!({"model_max_budget": {"a": true}}), MODEL_BUDGETS, "a"),
    ] {
        let wrong = read(extra).unwrap_err();
        assert_eq!((wrong.field, wrong.at.join(".").as_str()), (field, at));
    }
}

#[test]
fn the_first_calendar_that_runs_short_is_refreshed() {
    let (now, rules) = (1_795_000_000_000_000, WindowRules::default());
    let at = |extra| read(extra).unwrap().refresh_at(now, now, &rules);
    let day = at(json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 1}]}));
    let month = at(json!({"model_max_budget": {"a": {"max_budget": 1, "budget_duration": "1mo"}}}));
    assert!(day.unwrap() > now && month > day);
    assert_eq!(
        at(json!({"budget_limits": [{"budget_duration": "1h", "max_budget": 1}]})),
        None
    );
}
