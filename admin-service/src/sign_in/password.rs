//! Password hashes: argon2id, off the async threads, so many at once and no more.
//!
//! Decides: whether a password is that of a stored hash, and whether that hash is to be replaced. Imported hashes of LiteLLM (scrypt, SHA-256)
//! are verified and replaced at the first sign-in. Failure stance: a hash that cannot be read is nobody's; who waits too long for a turn is
//! told to come again.
//!
//! Every verification ends in exactly one argon2id computation, also where there is no user or no password, so that time does not tell who
//! exists. Only an imported scrypt hash costs more, until its owner signs in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::virtual_key::KeyHash;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::policy::MAX_BYTES;
use super::secrets::Secret;
use crate::error::{ApiError, SignInRefusal};

/// How many are computed at once: each takes 19 MiB.
const AT_ONCE: usize = 2;
/// How long one waits for a turn.
const WAIT: Duration = Duration::from_secs(5);

/// Salt and hash of no password: random bytes.
const NOBODY: &str = "xp+gL45qj+hv4BCrkSl0aw$KSKzsI0jzxtVWFzzH1+ouyIRwzvY4pEtAUCaonv/4F8";

/// What a password is to a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Another password, or no hash.
    No,
    /// Its password.
    Yes,
    /// Its password, and the hash is of a former kind: replace it.
    Outdated,
}

/// Computes hashes.
pub struct Hasher {
    inner: Arc<Inner>,
    turns: Arc<Semaphore>,
}

struct Inner {
    argon2: Argon2<'static>,
    prefix: String,
    /// A hash that no password has.
    nobody: String,
    computed: AtomicU64,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    /// A hasher with the parameters of OWASP's first choice: 19 MiB, two passes, one lane.
    pub fn new() -> Self {
        Self::with(Params::DEFAULT)
    }

    /// A hasher with these parameters.
    pub fn with(params: Params) -> Self {
        let prefix = format!(
            "$argon2id$v=19$m={},t={},p={}$",
            params.m_cost(),
            params.t_cost(),
            params.p_cost()
        );
        Self {
            inner: Arc::new(Inner {
                nobody: format!("{prefix}{NOBODY}"),
                prefix,
                argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
                computed: AtomicU64::new(0),
            }),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Hashes a password, parameters and salt included.
    pub async fn hash(&self, password: Secret) -> Result<String, ApiError> {
        self.run(move |inner| inner.hash(password.expose().as_bytes()))
            .await?
            .map_err(ApiError::Broken)
    }

    /// Verifies a password; `None` is somebody without one, or nobody.
    pub async fn verify(
        &self,
        stored: Option<String>,
        password: Secret,
    ) -> Result<Verified, ApiError> {
        self.run(move |inner| inner.verify(stored.as_deref(), password.expose().as_bytes()))
            .await
    }

    /// How many argon2id computations there were.
    pub fn computed(&self) -> u64 {
        self.inner.computed.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(SignInRefusal::TooManySignIns.into());
        };
        let inner = Arc::clone(&self.inner);
        // The turn moves along: a caller who leaves does not make room while the work still runs.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&inner)
        });
        done.await
            .map_err(|error| ApiError::Broken(format!("hashing a password: {error}")))
    }
}

impl Inner {
    fn hash(&self, password: &[u8]) -> Result<String, String> {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
        self.computed.fetch_add(1, Ordering::Relaxed);
        let hash: PasswordHash = self
            .argon2
            .hash_password_with_salt(password, &salt)
            .map_err(|error| error.to_string())?;
        Ok(hash.to_string())
    }

    fn verify(&self, stored: Option<&str>, password: &[u8]) -> Verified {
        let stored = stored.filter(|_| password.len() <= MAX_BYTES);
        let former = match stored {
            Some(argon2) if argon2.starts_with("$argon2id$") => {
                return match (self.is(argon2, password), argon2.starts_with(&self.prefix)) {
                    (false, _) => Verified::No,
                    (true, true) => Verified::Yes,
                    (true, false) => Verified::Outdated,
                };
            }
            Some(former) => Former::parse(former).is_some_and(|former| former.is_of(password)),
            None => false,
        };
        if former {
            // The caller hashes anew: that is the one computation.
            return Verified::Outdated;
        }
        let bounded = password.get(..MAX_BYTES).unwrap_or(password);
        self.is(&self.nobody, bounded);
        Verified::No
    }

    fn is(&self, stored: &str, password: &[u8]) -> bool {
        self.computed.fetch_add(1, Ordering::Relaxed);
        PasswordHash::new(stored)
            .is_ok_and(|hash| self.argon2.verify_password(password, &hash).is_ok())
    }
}

/// A hash of LiteLLM's.
enum Former {
    /// `scrypt:` and the base64 of a salt of 16 bytes and the derived key: the two of them.
    Scrypt([u8; 16], Vec<u8>),
    /// SHA-256 in hexadecimal.
    Sha256(KeyHash),
}

impl Former {
    fn parse(stored: &str) -> Option<Self> {
        let Some(scrypted) = stored.strip_prefix("scrypt:") else {
            return KeyHash::parse(&stored.to_ascii_lowercase()).map(Self::Sha256);
        };
        let bytes = STANDARD.decode(scrypted).ok()?;
        let (salt, derived) = bytes.split_first_chunk::<16>()?;
        let known = (16..=64).contains(&derived.len());
        known.then(|| Self::Scrypt(*salt, derived.to_vec()))
    }

    fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Scrypt(salt, expected) => {
                let Ok(params) = scrypt::Params::new(14, 8, 1) else {
                    return false;
                };
                let mut derived = vec![0_u8; expected.len()];
                scrypt::scrypt(password, salt, &params, &mut derived).is_ok()
                    && bool::from(derived.ct_eq(expected))
            }
            Self::Sha256(expected) => {
                let digest: [u8; 32] = Sha256::digest(password).into();
                bool::from(digest.ct_eq(expected.as_bytes()))
            }
        }
    }
}

/// Whether a hash of LiteLLM's has a form that is verified here.
pub fn is_imported(stored: &str) -> bool {
    Former::parse(stored).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters of a former time.
    fn cheap() -> Params {
        Params::new(64, 1, 1, None).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    async fn verify(hasher: &Hasher, stored: &str, password: &str) -> Verified {
        let before = hasher.computed();
        let verified = hasher
            .verify(Some(stored.to_owned()), secret(password))
            .await
            .unwrap();
        let former_kind = verified == Verified::Outdated && !stored.starts_with("$argon2id$");
        let computed = u64::from(!former_kind);
        assert_eq!(hasher.computed() - before, computed, "{stored}");
        verified
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let hasher = Hasher::new();
        let stored = hasher.hash(secret("correct horse")).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert_eq!(
            verify(&hasher, &stored, "correct horse").await,
            Verified::Yes
        );
        assert_eq!(verify(&hasher, &stored, "correct hors").await, Verified::No);
        let again = hasher.hash(secret("correct horse")).await.unwrap();
        assert!(stored != again, "salted");
        for broken in [
            "",
            "$argon2id$",
            "scrypt:",
            "scrypt:AAAA",
            "plain",
            &"0".repeat(63),
        ] {
            assert_eq!(verify(&hasher, broken, "").await, Verified::No, "{broken}");
        }
    }

    #[tokio::test]
    async fn nobody_costs_what_somebody_costs() {
        let hasher = Hasher::with(cheap());
        let before = hasher.computed();
        let verified = hasher.verify(None, secret("x")).await.unwrap();
        assert_eq!((verified, hasher.computed() - before), (Verified::No, 1));
        let long = "x".repeat(MAX_BYTES + 1);
        let stored = hasher.hash(secret(&long)).await.unwrap();
        assert_eq!(
            verify(&hasher, &stored, &long).await,
            Verified::No,
            "too long"
        );
    }

    #[tokio::test]
    async fn a_hash_of_former_parameters_is_outdated() {
        let former = Hasher::with(cheap());
        let stored = former.hash(secret("p")).await.unwrap();
        let hasher = Hasher::with(Params::new(128, 1, 1, None).unwrap());
        assert_eq!(verify(&hasher, &stored, "p").await, Verified::Outdated);
        assert_eq!(verify(&hasher, &stored, "q").await, Verified::No);
    }

    #[tokio::test]
    async fn imported_hashes_are_verified_and_outdated() {
        let hasher = Hasher::with(cheap());
        // Python: hashlib.scrypt(b"Abcdef12345!xyz", salt=bytes(range(16)), n=16384, r=8, p=1, dklen=32|64).
        for scrypted in [SCRYPT_32, SCRYPT_64] {
            assert_eq!(
                verify(&hasher, scrypted, "Abcdef12345!xyz").await,
                Verified::Outdated
            );
            assert_eq!(
                verify(&hasher, scrypted, "abcdef12345!xyz").await,
                Verified::No
            );
        }
        // Python: hashlib.sha256(b"Abcdef12345!xyz").hexdigest().
        assert_eq!(
            verify(&hasher, SHA_256, "Abcdef12345!xyz").await,
            Verified::Outdated
        );
        assert_eq!(verify(&hasher, SHA_256, "x").await, Verified::No);
    }

    const SCRYPT_32: &str =
        "scrypt:AAECAwQFBgcICQoLDA0ODwWnagZE/aki9KWJj5BAi1rYnx3u0UarIag0NDYOqdG6";
    const SCRYPT_64: &str = "scrypt:AAECAwQFBgcICQoLDA0ODwWnagZE/aki9KWJj5BAi1rYnx3u0UarIag0NDYOqdG61IJj2SyjGwpvZVlyPQOow71znCNVcfFhmfaNy0yZtAE=";
    const SHA_256: &str = "f8ffeca3509d9519438ae16984dbd2c2f53a21cb15a5d06c7bccbb09db8ebcdf";
}
