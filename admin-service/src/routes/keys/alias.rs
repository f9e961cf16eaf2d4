//! The form of a key's alias, where `enable_key_alias_format_validation` asks for one. An alias that was given before stays as it is.

use crate::error::ApiError;
use crate::request::Problem;
use crate::settings::Settings;
use crate::store::keys::KeyRow;

/// Refuses a new alias of another form.
pub(super) fn check(
    settings: &Settings,
    before: Option<&str>,
    key: &KeyRow,
) -> Result<(), ApiError> {
    match key.key_alias.as_deref() {
        Some(alias) if settings.alias_format && Some(alias) != before && !is_well_formed(alias) => {
            let msg = "Value error, key_alias must have 2 to 255 characters, letters, digits and _-/.@, \
                       and begin and end with a letter or a digit";
            Err(Problem::body("value_error", "key_alias", msg).into())
        }
        _ => Ok(()),
    }
}

fn is_well_formed(alias: &str) -> bool {
    let bytes = alias.as_bytes();
    let at_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-/.@".contains(byte);
    (2..=255).contains(&bytes.len())
        && at_end(bytes.first())
        && at_end(bytes.last())
        && bytes.iter().all(known)
}
