//! Secrets of a stack that nobody gave.

use std::fs::File;
use std::io::Read as _;

use anyhow::Result;

/// `bytes` bytes from the system's generator, in hexadecimal.
pub fn hex(bytes: usize) -> Result<String> {
    let mut random = vec![0_u8; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}
