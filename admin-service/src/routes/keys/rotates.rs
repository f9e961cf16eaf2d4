//! The fields of a key that say when its value is replaced.

use crate::domain::budget_window::duration_us;
use crate::error::{ApiError, KeyRefusal};
use crate::request::{Body, Patch};
use crate::store::keys::KeyRow;

/// `auto_rotate` and `rotation_interval`: a change of either starts the interval anew.
pub(super) fn rotation(key: &mut KeyRow, body: &mut Body, now_us: u64) -> Result<(), ApiError> {
    let (auto, interval) = (body.flag("auto_rotate"), body.text("rotation_interval"));
    if let Patch::Set(text) = &interval
        && duration_us(text).is_none()
    {
        return Err(KeyRefusal::BadRotationInterval(text.clone()).into());
    }
    let before = (key.rotation.auto, key.rotation.interval.clone());
    auto.apply(&mut key.rotation.auto);
    interval.apply(&mut key.rotation.interval);
    if before != (key.rotation.auto, key.rotation.interval.clone()) {
        key.rotation.schedule(now_us);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::GENERATE_KEY;
    use crate::store::row::Object;

    #[test]
    fn a_rotation_is_due_an_interval_after_it_was_asked_for() {
        let mut key = KeyRow::default();
        let mut ask = |body: Value, now_us| {
            let mut body = Body::from_map(object(body), GENERATE_KEY).unwrap();
            rotation(&mut key, &mut body, now_us).map(|()| key.rotation.next_at)
        };
        assert_eq!(ask(json!({"auto_rotate": true}), 5).unwrap(), None);
        assert_eq!(
            ask(json!({"rotation_interval": "1s"}), 5).unwrap(),
            Some(1_000_005)
        );
        assert_eq!(
            ask(json!({"rotation_interval": "1s"}), 9).unwrap(),
            Some(1_000_005),
            "the same goes on"
        );
        assert_eq!(ask(json!({"auto_rotate": false}), 9).unwrap(), None);
        assert!(ask(json!({"rotation_interval": "soon"}), 9).is_err());
    }

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            _ => Object::new(),
        }
    }
}
