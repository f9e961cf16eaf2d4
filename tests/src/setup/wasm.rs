//! Builds the filter for WebAssembly: with rustup's target where rustup can fetch it, else with Debian's compiler.
//!
//! The module is always optimised (profile `wasm`); cargo decides whether there is anything to do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use super::{alone, apt, cargo, progress, root, target};
use crate::process::{find_program, run};

/// The target of the filter.
pub const TARGET: &str = "wasm32-wasip1";

/// The compiler that builds for the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The one that runs everything else.
    Default,
    /// Debian's `rustc-web` and `cargo-web`, with the standard library built from source.
    Debian,
}

/// A toolchain that builds for the target; installs what is missing.
pub fn toolchain() -> Result<Toolchain> {
    if default_has_target() {
        return Ok(Toolchain::Default);
    }
    alone(|| {
        if default_has_target() {
            return Ok(Toolchain::Default);
        }
        let by_rustup = find_program("rustup").map(|rustup| {
            progress(&format!("Adding the target {TARGET} with rustup"));
            run(Command::new(rustup).args(["target", "add", TARGET]))
        });
        if matches!(by_rustup, Some(Ok(_))) && default_has_target() {
            return Ok(Toolchain::Default);
        }
        if debian_linker_and_sources().is_err() {
            let packages = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc", "lld"];
            apt::install(
                &packages,
                &format!("The Rust target {TARGET} (`rustup target add {TARGET}`)"),
            )?;
        }
        debian_linker_and_sources()?;
        Ok(Toolchain::Debian)
    })
}

/// Builds the filter and gives the module's file.
pub fn build() -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let mut command = command(&toolchain, "build")?;
    command.args(["--package", "tollkeeper-filter", "--profile", "wasm"]);
    let folder = match toolchain {
        Toolchain::Default => target(),
        Toolchain::Debian => debian_target(),
    };
    run(&mut command).context("the filter does not build")?;
    Ok(folder.join(TARGET).join("wasm/tollkeeper_filter.wasm"))
}

/// `cargo <subcommand> --locked --target wasm32-wasip1` with that toolchain.
pub fn command(toolchain: &Toolchain, subcommand: &str) -> Result<Command> {
    let mut command = match toolchain {
        Toolchain::Default => cargo(),
        Toolchain::Debian => debian_cargo()?,
    };
    command.args([subcommand, "--quiet", "--locked", "--target", TARGET]);
    if *toolchain == Toolchain::Debian {
        command.args(["-Z", "build-std=std,panic_abort"]);
    }
    Ok(command)
}

fn default_has_target() -> bool {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let folder = run(rustc
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(root()));
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn debian_target() -> PathBuf {
    target().join("debian")
}

/// Debian's packages put their cargo beside that of `cargo`, if at all, under `/usr/bin`.
fn debian_cargo() -> Result<Command> {
    let (linker, libraries) = debian_linker_and_sources()?;
    let mut command = Command::new("/usr/bin/cargo");
    command.current_dir(root());
    // Its own compiler, not the one that runs this.
    for name in [
        "CARGO",
        "RUSTC",
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_HOME",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", debian_target())
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", linker)
        .env(
            "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS",
            // The variable replaces the flags of `.cargo/config.toml`.
            format!("-Ctarget-feature=+simd128 -L{}", libraries.display()),
        );
    Ok(command)
}

/// The linker, and the folder of wasi-libc.
fn debian_linker_and_sources() -> Result<(PathBuf, PathBuf)> {
    if !Path::new("/usr/bin/cargo").is_file() || !Path::new("/usr/bin/rustc").is_file() {
        return Err(anyhow!(
            "Debian's cargo-web is not installed: `sudo apt-get install cargo-web rustc-web`"
        ));
    }
    let files = run(Command::new("dpkg").args(["-L", "wasi-libc"]))?;
    let libraries = files
        .lines()
        .map(Path::new)
        .find(|file| file.file_name().is_some_and(|name| name == "libc.a"))
        .and_then(Path::parent)
        .context(
            "Debian's wasi-libc has no libc.a: `sudo apt-get install --reinstall wasi-libc`",
        )?;
    let linker = find_program("rust-lld")
        .or_else(|| find_program("wasm-ld"))
        .context("no linker for WebAssembly: `sudo apt-get install lld`")?;
    Ok((linker, libraries.to_owned()))
}
