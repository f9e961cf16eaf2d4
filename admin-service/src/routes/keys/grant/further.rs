//! Windows and limits for models: what somebody gives a key of those that their own key has.

use crate::domain::further_limits::{self, FurtherLimits};
use crate::error::{ApiError, GrantRefusal};
use crate::store::keys::KeyRow;
use crate::store::row::Object;

/// A field, and whether it is kept in the metadata.
type Place = (&'static str, bool);

const FIELDS: [Place; 4] = [
    (further_limits::WINDOWS, false),
    (further_limits::MODEL_BUDGETS, false),
    (further_limits::MODEL_RPM, true),
    (further_limits::MODEL_TPM, true),
];

/// The windows of a key.
pub(in crate::routes::keys) fn windows(key: &KeyRow) -> FurtherLimits {
    read(key, &[(further_limits::WINDOWS, false)])
}

/// What a new key leaves open, and what a change clears, is the caller's; what it says is no more.
pub(super) fn within(
    key: &mut KeyRow,
    own: &KeyRow,
    before: Option<&KeyRow>,
) -> Result<(), ApiError> {
    let mut changed = Vec::new();
    for place in FIELDS {
        let said = |key: &KeyRow| {
            object(key, place)
                .get(place.0)
                .filter(|value| !value.is_null())
                .cloned()
        };
        if before.is_some_and(|before| said(before) == said(key)) {
            continue;
        }
        changed.push(place);
        if let (None, Some(value)) = (said(key), said(own)) {
            let (field, in_metadata) = place;
            let object = if in_metadata {
                &mut key.metadata
            } else {
                &mut key.extra
            };
            object.insert(field.to_owned(), value);
        }
    }
    covered(key, own, &changed)
}

/// A key has no more than another one in any of these.
pub(super) fn all_within(key: &KeyRow, own: &KeyRow) -> Result<(), ApiError> {
    covered(key, own, &FIELDS)
}

fn covered(key: &KeyRow, own: &KeyRow, places: &[Place]) -> Result<(), ApiError> {
    let Some(field) = read(key, places).beyond(&read(own, places)) else {
        return Ok(());
    };
    let place = FIELDS.iter().find(|(name, _)| *name == field);
    let shown = |key: &KeyRow| {
        let value = place.and_then(|place| object(key, *place).get(field));
        value.map_or_else(|| "None".to_owned(), ToString::to_string)
    };
    let (asked, own) = (shown(key), shown(own));
    Err(GrantRefusal::MoreThanOwn { field, asked, own }.into())
}

fn object(key: &KeyRow, (_, in_metadata): Place) -> &Object {
    if in_metadata {
        &key.metadata
    } else {
        &key.extra
    }
}

fn read(key: &KeyRow, places: &[Place]) -> FurtherLimits {
    let said = places.iter().filter_map(|place| {
        let value = object(key, *place).get(place.0)?;
        Some((place.0.to_owned(), value.clone()))
    });
    // What is kept was read when it came.
    FurtherLimits::read(&[&said.collect()]).unwrap_or_default()
}
