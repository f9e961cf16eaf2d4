//! The administrator of the environment: `UI_USERNAME` and `UI_PASSWORD`, the latter being the master key where it is unset.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::secrets::hexadecimal;
use crate::app::App;

/// Whether these are the credentials of the environment.
pub fn is_admin(app: &App, username: &str, password: &str) -> bool {
    let settings = &app.config.sign_in;
    let name = mac(app, username.as_bytes()).zip(mac(app, settings.ui_username.as_bytes()));
    let word = mac(app, password.as_bytes()).zip(mac(app, expected(app).as_bytes()));
    // Both are compared by their MACs, so neither length nor first difference shows in time.
    let same = |pair: Option<([u8; 32], [u8; 32])>| {
        pair.is_some_and(|(given, expected)| bool::from(given.ct_eq(&expected)))
    };
    let (name, word) = (same(name), same(word));
    settings.env_login && name && word
}

/// A name of the credentials as they are now, which changes when they do. None while they sign nobody in.
pub fn name_of_credentials(app: &App) -> Option<String> {
    let settings = &app.config.sign_in;
    if !settings.env_login {
        return None;
    }
    let both = format!(
        "{}\0{}\0{}",
        settings.ui_username,
        expected(app),
        settings.admin_id
    );
    let mac = mac(app, both.as_bytes())?;
    Some(hexadecimal(&mac))
}

fn expected(app: &App) -> &str {
    match &app.config.sign_in.ui_password {
        Some(password) => password.expose(),
        None => app.config.master_key.expose(),
    }
}

fn mac(app: &App, text: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(app.keys.environment.bytes()).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().into())
}
