//! The fields of requests about keys.

use super::GENERATE_KEY;
use crate::request::types::{Field, Type};

/// `POST /key/regenerate`: every field of a new key, and what becomes of the old value.
pub const REGENERATE_KEY: &[Field] = &joined::<{ GENERATE_KEY.len() + 3 }>(
    GENERATE_KEY,
    &[
        Field::new("new_key", Type::Text),
        Field::new("new_master_key", Type::Text),
        Field::new("grace_period", Type::Text),
    ],
);

/// `POST /key/bulk_update`; each item is a `/key/update`.
pub const BULK_UPDATE_KEYS: &[Field] = &[Field::required("keys", Type::List)];

/// `POST /v2/key/info`.
pub const KEYS_ASKED: &[Field] = &[Field::new("keys", Type::Texts)];

/// `POST /key/{key}/reset_spend`. A flag counts as a number elsewhere, but not here: the route looks at it.
pub const RESET_SPEND: &[Field] = &[Field::required("reset_to", Type::Any)];

/// Two tables in one.
const fn joined<const N: usize>(first: &[Field], second: &[Field]) -> [Field; N] {
    let mut all = [Field::new("", Type::Any); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    all
}
