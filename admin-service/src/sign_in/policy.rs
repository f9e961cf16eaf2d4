//! What a password must be.

use zxcvbn::{Score, zxcvbn};

/// Longest password, in bytes: hashing costs what it is given.
pub const MAX_BYTES: usize = 1_024;
/// No setting makes passwords shorter than this.
const FLOOR: usize = 8;

/// The rules, as `password_policy_*` set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct PasswordPolicy {
    min_length: usize,
    /// Whether a capital letter must be there.
    pub uppercase: bool,
    /// Whether a small letter must be there.
    pub lowercase: bool,
    /// Whether a digit must be there.
    pub numbers: bool,
    /// Whether something else must be there.
    pub special: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_length: 12,
            uppercase: true,
            lowercase: true,
            numbers: true,
            special: true,
        }
    }
}

impl PasswordPolicy {
    /// Sets the least number of characters; less than 8 is 8.
    pub fn set_min_length(&mut self, length: usize) {
        self.min_length = length.max(FLOOR);
    }

    /// What `password` lacks, in LiteLLM's words. A shorter password than the least, of at least 8 characters, is long enough if guessing it is
    /// hard all the same; `known` is what a guesser knows of its owner.
    pub fn check(&self, password: &str, known: &[&str]) -> Result<(), String> {
        if password.len() > MAX_BYTES {
            return Err(format!("must be at most {MAX_BYTES} bytes long"));
        }
        let length = password.chars().count();
        let mut lacks = Vec::new();
        // Only short ones are estimated: the estimate's cost grows with the length.
        if length < self.min_length
            && (length < FLOOR || zxcvbn(password, known).score() < Score::Three)
        {
            lacks.push(format!(
                "must be at least {} characters long",
                self.min_length
            ));
        }
        let has = |what: fn(char) -> bool| password.chars().any(what);
        for (required, found, what) in [
            (
                self.uppercase,
                has(char::is_uppercase),
                "an uppercase letter",
            ),
            (
                self.lowercase,
                has(char::is_lowercase),
                "a lowercase letter",
            ),
            (self.numbers, has(char::is_numeric), "a number"),
            (
                self.special,
                has(|letter| !letter.is_alphanumeric()),
                "a special character",
            ),
        ] {
            if required && !found {
                lacks.push(format!("include {what}"));
            }
        }
        if lacks.is_empty() {
            Ok(())
        } else {
            Err(lacks.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_password_lacks_is_named_at_once() {
        let policy = PasswordPolicy::default();
        assert_eq!(
            policy.check("abc", &[]),
            Err("must be at least 12 characters long, include an uppercase letter, include a number, include a special character".into())
        );
        assert_eq!(policy.check("Abcdef12345!xyz", &[]), Ok(()));
        assert_eq!(
            policy.check("ABCDEF12345!XYZ", &[]),
            Err("include a lowercase letter".into())
        );
    }

    #[test]
    fn a_short_password_is_long_enough_if_it_is_hard_to_guess() {
        let policy = PasswordPolicy::default();
        assert_eq!(policy.check("qX7#vL2p!w", &[]), Ok(()));
        assert!(policy.check("Passw0rd!", &[]).is_err());
        assert!(
            policy
                .check("Ada.L!1999", &["ada.l@x.com", "Ada.L"])
                .is_err()
        );
        assert!(policy.check("qX7#vL2", &[]).is_err(), "less than eight");
    }

    #[test]
    fn settings_loosen_it_but_not_below_eight() {
        let mut policy = PasswordPolicy {
            uppercase: false,
            numbers: false,
            special: false,
            ..PasswordPolicy::default()
        };
        policy.set_min_length(1);
        assert_eq!(policy.check("abcdefgh", &[]), Ok(()));
        assert!(policy.check("abcdefg", &[]).is_err());
        assert!(policy.check(&"a".repeat(1_024), &[]).is_ok());
        assert!(policy.check(&"a".repeat(1_025), &[]).is_err());
        assert!(policy.check(&"ä".repeat(513), &[]).is_err(), "bytes");
    }
}
