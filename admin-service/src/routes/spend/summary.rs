//! The log by day.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::routes::shape::nano_dollars;
use crate::store::spend::SummaryRow;

/// One object for each day: its sum, the sums of users and models, and beside them each key's under its hash.
pub(super) fn summarized(rows: &[SummaryRow]) -> Value {
    let mut days: BTreeMap<&str, Day<'_>> = BTreeMap::new();
    for row in rows {
        let day = days.entry(&row.date).or_default();
        day.spend += row.spend;
        for (sums, name) in [
            (&mut day.keys, &row.api_key),
            (&mut day.users, &row.user_id),
            (&mut day.models, &row.model),
        ] {
            *sums.entry(name).or_default() += row.spend;
        }
    }
    days.into_iter()
        .map(|(date, day)| day.shown(date))
        .collect()
}

#[derive(Default)]
struct Day<'a> {
    spend: i64,
    keys: BTreeMap<&'a str, i64>,
    users: BTreeMap<&'a str, i64>,
    models: BTreeMap<&'a str, i64>,
}

impl Day<'_> {
    fn shown(self, date: &str) -> Value {
        let object = |sums: BTreeMap<&str, i64>| {
            sums.into_iter()
                .map(|(name, sum)| (name.to_owned(), nano_dollars(sum)))
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
