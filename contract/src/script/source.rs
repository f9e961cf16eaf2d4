//! The Lua sources, each with the parts it shares put in front, and the hashes by which Redis knows them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha1::{Digest, Sha1};

/// One of the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// [`super::Admit`]
    Admit,
    /// [`super::Settle`]
    Settle,
    /// [`super::Release`]
    Release,
    /// [`super::Renew`]
    Renew,
    /// [`super::Sweep`]
    Sweep,
    /// [`super::Put`]
    Put,
    /// [`super::Load`]
    Load,
    /// [`super::Open`]
    Open,
    /// [`super::Correct`]
    Correct,
    /// [`super::LookUp`]
    LookUp,
}

/// Every script, for SCRIPT LOAD ahead of use.
pub const fn all() -> [Script; 10] {
    [
        Script::Admit,
        Script::Settle,
        Script::Release,
        Script::Renew,
        Script::Sweep,
        Script::Put,
        Script::Load,
        Script::Open,
        Script::Correct,
        Script::LookUp,
    ]
}

macro_rules! lua {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!("../../lua/", $file, ".lua"))),+)
    };
}

static HASHES: LazyLock<[String; 10]> = LazyLock::new(|| all().map(|script| hash(script.source())));

impl Script {
    /// The source, as EVAL and SCRIPT LOAD take it.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Admit => lua!("clock", "scope", "reservation", "admit"),
            Self::Settle => lua!("clock", "scope", "reservation", "settle"),
            Self::Release => lua!("clock", "scope", "reservation", "release"),
            Self::Renew => lua!("clock", "scope", "reservation", "renew"),
            Self::Sweep => lua!("clock", "scope", "reservation", "sweep"),
            Self::Put => lua!("put"),
            Self::Load => lua!("clock", "scope", "load"),
            Self::Open => lua!("open"),
            Self::Correct => lua!("clock", "scope", "correct"),
            Self::LookUp => lua!("clock", "look_up"),
        }
    }

    /// The source's SHA-1 in lower-case hexadecimal, as EVALSHA takes it.
    pub fn sha(self) -> &'static str {
        let [
            admit,
            settle,
            release,
            renew,
            sweep,
            put,
            load,
            open,
            correct,
            look_up,
        ] = &*HASHES;
        match self {
            Self::Admit => admit,
            Self::Settle => settle,
            Self::Release => release,
            Self::Renew => renew,
            Self::Sweep => sweep,
            Self::Put => put,
            Self::Load => load,
            Self::Open => open,
            Self::Correct => correct,
            Self::LookUp => look_up,
        }
    }
}

fn hash(source: &str) -> String {
    Sha1::digest(source.as_bytes())
        .iter()
        .fold(String::with_capacity(40), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
