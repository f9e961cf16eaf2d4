//! What an object limits beyond one budget and its rates: further budget windows (`budget_limits`) and limits for models (`model_rpm_limit`,
//! `model_tpm_limit`, `model_max_budget`), as requests send them and rows keep them.
//!
//! Decides what these fields mean and what is wrong with one that means nothing. Failure stance: a field that cannot be read is an error that
//! names it, never a limit left out.

use std::collections::BTreeMap;

use contract::limits::{Budget, Limits, ModelLimits};
use contract::money::NanoUsd;
use contract::window::BudgetWindow;
use serde_json::{Map, Value};

use super::budget_window::{BudgetDuration, WindowRules};

/// The field with further windows.
pub const WINDOWS: &str = "budget_limits";
/// The field with requests a minute by model.
pub const MODEL_RPM: &str = "model_rpm_limit";
/// The field with tokens a minute by model.
pub const MODEL_TPM: &str = "model_tpm_limit";
/// The field with budgets by model.
pub const MODEL_BUDGETS: &str = "model_max_budget";

/// The field of a team with budgets by model for each of its members.
pub const MEMBER_MODEL_BUDGETS: &str = "team_member_model_max_budget";

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The field.
    pub field: &'static str,
    /// The way to the value from there: names, and numbers of elements.
    pub at: Vec<String>,
    /// What was expected.
    pub expected: &'static str,
}

/// What an object limits beyond its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FurtherLimits {
    windows: BTreeMap<String, NanoUsd>,
    models: BTreeMap<String, OfModel>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfModel {
    rpm: Option<u64>,
    tpm: Option<u64>,
    budget: Option<(NanoUsd, Option<String>)>,
}

impl FurtherLimits {
    /// What these objects say. A field is taken from the first that has it.
    pub fn read(places: &[&Map<String, Value>]) -> Result<Self, Wrong> {
        let find = |field: &str| {
            let mut found = places.iter().filter_map(|place| place.get(field));
            found.find(|value| !value.is_null())
        };
        let mut further = Self::default();
        if let Some(value) = find(WINDOWS) {
            further.windows = windows(value)?;
        }
        // The budget's own rates first: the fields for rates go before them.
        if let Some(value) = find(MODEL_BUDGETS) {
            further.models = budgets(value)?;
        }
        if let Some(value) = find(MODEL_RPM) {
            for (model, limit) in counts(MODEL_RPM, value)? {
                further.models.entry(model).or_default().rpm = Some(limit);
            }
        }
        if let Some(value) = find(MODEL_TPM) {
            for (model, limit) in counts(MODEL_TPM, value)? {
                further.models.entry(model).or_default().tpm = Some(limit);
            }
        }
        Ok(further)
    }

    /// The earlier of `own` and the moment at which the first window of these objects runs short. What cannot be read counts as nothing: it is
    /// refused before it is kept.
    pub fn refresh(
        own: Option<u64>,
        places: &[&Map<String, Value>],
        anchor_us: u64,
        now_us: u64,
        rules: &WindowRules,
    ) -> Option<u64> {
        let further = Self::read(places).unwrap_or_default();
        let anchor_us = if anchor_us == 0 { now_us } else { anchor_us };
        let further = further.refresh_at(anchor_us, now_us, rules);
        [own, further].into_iter().flatten().min()
    }

    /// What is wrong with a field that a request sends, if anything is: one of these, or metadata that holds them.
    pub fn check(field: &str, value: &Value) -> Result<(), Wrong> {
        match (field, value) {
            ("metadata", Value::Object(metadata)) => {
                Self::read(&[metadata]).map(|_| ()).map_err(|mut wrong| {
                    wrong.at.insert(0, wrong.field.to_owned());
                    wrong
                })
            }
            (WINDOWS | MODEL_RPM | MODEL_TPM | MODEL_BUDGETS | MEMBER_MODEL_BUDGETS, value) => {
                let name = match field {
                    MEMBER_MODEL_BUDGETS => MODEL_BUDGETS,
                    other => other,
                };
                let mut object = Map::new();
                object.insert(name.to_owned(), value.clone());
                Self::read(&[&object]).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// These, and where they say nothing about a window or a model, what `other` says.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (duration, max) in other.windows {
            self.windows.entry(duration).or_insert(max);
        }
        for (model, limits) in other.models {
            let own = self.models.entry(model).or_default();
            own.rpm = own.rpm.or(limits.rpm);
            own.tpm = own.tpm.or(limits.tpm);
            own.budget = own.budget.take().or(limits.budget);
        }
        self
    }

    /// Durations of the further windows.
    pub fn durations(&self) -> impl Iterator<Item = &str> {
        self.windows.keys().map(String::as_str)
    }

    /// The first field in which these leave more than `own`: a window or a limit of a model that `own` has, and these lack or exceed.
    pub fn beyond(&self, own: &Self) -> Option<&'static str> {
        let more = |asked: Option<u64>, own: Option<u64>| {
            own.is_some_and(|own| asked.is_none_or(|asked| asked > own))
        };
        let kept = |(duration, max): (&String, &NanoUsd)| {
            let asked = self.windows.get(duration);
            asked.is_some_and(|asked| asked <= max)
        };
        if !own.windows.iter().all(kept) {
            return Some(WINDOWS);
        }
        let nothing = OfModel::default();
        for (model, own) in &own.models {
            let asked = self.models.get(model).unwrap_or(&nothing);
            if more(asked.rpm, own.rpm) {
                return Some(MODEL_RPM);
            }
            if more(asked.tpm, own.tpm) {
                return Some(MODEL_TPM);
            }
            let Some((most, window)) = &own.budget else {
                continue;
            };
            // The same amount in another window may be more.
            let asked = asked.budget.as_ref();
            if asked.is_none_or(|(max, asked)| max > most || asked != window) {
                return Some(MODEL_BUDGETS);
            }
        }
        None
    }

    /// Puts them into `limits`; windows that count from a day count from that of `anchor_us`.
    pub fn put(self, limits: &mut Limits, anchor_us: u64, now_us: u64, rules: &WindowRules) {
        let window = |duration: Option<&str>| {
            let duration = duration.and_then(BudgetDuration::parse_stored);
            duration.map_or(BudgetWindow::Lifetime, |duration| {
                duration.window(anchor_us, now_us, rules)
            })
        };
        for (duration, max) in self.windows {
            let window = window(Some(&duration));
            limits.windows.insert(duration, Budget { max, window });
        }
        for (model, of_model) in self.models {
            let rpm = of_model.rpm;
            let of_model = ModelLimits {
                rpm: rpm.map(|rpm| u32::try_from(rpm).unwrap_or(u32::MAX)),
                tpm: of_model.tpm,
                budget: of_model.budget.map(|(max, duration)| Budget {
                    max,
                    window: window(duration.as_deref()),
                }),
            };
            if of_model != ModelLimits::default() {
                limits.models.insert(model, of_model);
            }
        }
    }

    /// When the first of the published windows runs short.
    pub fn refresh_at(&self, anchor_us: u64, now_us: u64, rules: &WindowRules) -> Option<u64> {
        let of_models = self.models.values().filter_map(|of_model| {
            let (_, duration) = of_model.budget.as_ref()?;
            duration.as_ref()
        });
        self.windows
            .keys()
            .chain(of_models)
            .filter_map(|duration| {
                let duration = BudgetDuration::parse_stored(duration)?;
                duration.refresh_at(anchor_us, now_us, rules)
            })
            .min()
    }
}

fn wrong<T>(field: &'static str, at: &[&str], expected: &'static str) -> Result<T, Wrong> {
    let at = at.iter().map(|step| (*step).to_owned()).collect();
    Err(Wrong {
        field,
        at,
        expected,
    })
}

fn windows(value: &Value) -> Result<BTreeMap<String, NanoUsd>, Wrong> {
    let Some(list) = value.as_array() else {
        return wrong(WINDOWS, &[], "a list");
    };
    let mut windows = BTreeMap::new();
    for (at, entry) in list.iter().enumerate() {
        let at = at.to_string();
        let Some(entry) = entry.as_object() else {
            return wrong(
                WINDOWS,
                &[&at],
                "an object with budget_duration and max_budget",
            );
        };
        let duration = match entry.get("budget_duration").and_then(Value::as_str) {
            Some(text) if BudgetDuration::parse(text).is_some() => text,
            _ => return wrong(WINDOWS, &[&at, "budget_duration"], DURATION),
        };
        let Some(max) = entry.get("max_budget").and_then(money) else {
            return wrong(WINDOWS, &[&at, "max_budget"], AMOUNT);
        };
        // Of one window given twice the lower limit holds.
        let lowest = windows.entry(duration.to_owned()).or_insert(max);
        *lowest = max.min(*lowest);
    }
    Ok(windows)
}

const DURATION: &str = "a duration such as 30s, 2h, 1d, 1w or 1mo";
const AMOUNT: &str = "an amount in dollars, at least 0";
const COUNT: &str = "a whole number, at least 0";

fn counts(field: &'static str, value: &Value) -> Result<BTreeMap<String, u64>, Wrong> {
    let Some(object) = value.as_object() else {
        return wrong(field, &[], "an object of models and numbers");
    };
    let mut counts = BTreeMap::new();
    for (model, limit) in object {
        if limit.is_null() {
            continue;
        }
        let Some(limit) = count(limit) else {
            return wrong(field, &[model], COUNT);
        };
        counts.insert(model.clone(), limit);
    }
    Ok(counts)
}

/// A budget of a model is an amount for ever, or an object with amount, window and rates, each under LiteLLM's new or old name.
fn budgets(value: &Value) -> Result<BTreeMap<String, OfModel>, Wrong> {
    let Some(object) = value.as_object() else {
        return wrong(MODEL_BUDGETS, &[], "an object of models and budgets");
    };
    let mut budgets = BTreeMap::new();
    for (model, budget) in object {
        let of_model = match budget {
            Value::Null => continue,
            Value::Object(budget) => of_model(model, budget)?,
            amount => match money(amount) {
                Some(max) => OfModel {
                    budget: Some((max, None)),
                    ..OfModel::default()
                },
                None => return wrong(MODEL_BUDGETS, &[model], AMOUNT),
            },
        };
        budgets.insert(model.clone(), of_model);
    }
    Ok(budgets)
}

fn of_model(model: &str, budget: &Map<String, Value>) -> Result<OfModel, Wrong> {
    let given = |names: [&'static str; 2]| {
        let mut values = names.into_iter().map(|name| (name, budget.get(name)));
        values.find_map(|(name, value)| Some((name, value.filter(|value| !value.is_null())?)))
    };
    let number = |name: &'static str| match given([name, name]) {
        None => Ok(None),
        Some((_, value)) => match count(value) {
            Some(number) => Ok(Some(number)),
            None => wrong(MODEL_BUDGETS, &[model, name], COUNT),
        },
    };
    let duration = match given(["budget_duration", "time_period"]) {
        None => None,
        Some((name, value)) => match value.as_str() {
            Some(text) if BudgetDuration::parse(text).is_some() => Some(text.to_owned()),
            _ => return wrong(MODEL_BUDGETS, &[model, name], DURATION),
        },
    };
    let max = match given(["max_budget", "budget_limit"]) {
        None => None,
        Some((name, value)) => match money(value) {
            Some(max) => Some(max),
            None => return wrong(MODEL_BUDGETS, &[model, name], AMOUNT),
        },
    };
    Ok(OfModel {
        rpm: number("rpm_limit")?,
        tpm: number("tpm_limit")?,
        budget: max.map(|max| (max, duration)),
    })
}

fn money(value: &Value) -> Option<NanoUsd> {
    match value {
        Value::Number(number) => NanoUsd::parse(&number.to_string()).ok(),
        Value::String(text) => NanoUsd::parse(text.trim()).ok(),
        _ => None,
    }
}

fn count(value: &Value) -> Option<u64> {
    let most = |number: &u64| *number <= 1 << 53;
    match value {
        Value::Number(number) => number.as_u64().filter(most),
        Value::String(text) => text.trim().parse().ok().filter(most),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
