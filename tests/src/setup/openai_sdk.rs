//! The official OpenAI SDK for Python, with which tests show that unchanged clients work.

use std::path::PathBuf;

use anyhow::Result;

use super::python;

/// The Python that has the SDK.
pub fn python() -> Result<PathBuf> {
    Ok(python::environment("openai-sdk", &["openai==3.54.0"])?.join("bin/python"))
}
