//! The log by day.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::report::{MOST_KEYS, MOST_USERS};
use crate::app::App;
use crate::error::ApiError;
use crate::routes::shape::nano_dollars;
use crate::store::reports::{By, DaySpend, Days, Which, dearest, spent_by_day, sums};
use crate::store::spend::{Dimension, SummaryRow};

/// One object for each day: its sum, the sums of users and models, and beside them each key's under its hash.
pub(super) fn summarized(rows: &[SummaryRow]) -> Value {
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for row in rows {
        let day = days.entry(row.date.clone()).or_default();
        day.spend += row.spend;
        for (sums, name) in [
            (&mut day.keys, &row.api_key),
            (&mut day.users, &row.user_id),
            (&mut day.models, &row.model),
        ] {
            *sums.entry(name.clone()).or_default() += row.spend;
        }
    }
    shown(days)
}

/// The same of everybody. The sums of days and models are of all requests; keys and users are named that have ever spent most.
pub(super) async fn of_everybody(
    app: &App,
    (first, last): (String, String),
) -> Result<Value, ApiError> {
    let which = Which::all(Dimension::User, Days { first, last });
    let mut connection = app.store.read().await?;
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for (names, sums) in sums(&mut connection, &which, &[By::Date, By::Model], None).await? {
        if let [date, model] = &names[..] {
            let day = days.entry(date.clone()).or_default();
            day.spend += sums.spend;
            *day.models.entry(model.clone()).or_default() += sums.spend;
        }
    }
    for (by, most) in [(By::ApiKey, MOST_KEYS), (By::Entity, MOST_USERS)] {
        let named = dearest(&mut connection, by, &which.days.first, most).await?;
        let spent = spent_by_day(&mut connection, &which, (by, &named), &[by]).await?;
        for (names, spent) in spent {
            let [name] = &names[..] else { continue };
            for DaySpend { date, spend, .. } in spent {
                let day = days.entry(date).or_default();
                let named = match by {
                    By::ApiKey => &mut day.keys,
                    _ => &mut day.users,
                };
                *named.entry(name.clone()).or_default() += spend;
            }
        }
    }
    Ok(shown(days))
}

#[derive(Default)]
struct Day {
    spend: i64,
    keys: BTreeMap<String, i64>,
    users: BTreeMap<String, i64>,
    models: BTreeMap<String, i64>,
}

fn shown(days: BTreeMap<String, Day>) -> Value {
    days.into_iter()
        .map(|(date, day)| day.shown(&date))
        .collect()
}

impl Day {
    fn shown(self, date: &str) -> Value {
        let object = |sums: BTreeMap<String, i64>| {
            sums.into_iter()
                .map(|(name, sum)| (name, nano_dollars(sum)))
                .collect::<Map<_, _>>()
        };
        let mut day = object(self.keys);
        day.insert("startTime".into(), json!(date));
        day.insert("spend".into(), nano_dollars(self.spend));
        day.insert("users".into(), Value::Object(object(self.users)));
        day.insert("models".into(), Value::Object(object(self.models)));
        Value::Object(day)
    }
}
