//! A disk that can be full: a file system of a few megabytes, in memory.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The mounted disk; it is taken away when this is dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one. `None`, and a word why, where nothing may be mounted: in a container without the right, or as another user than root.
    pub fn mount() -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("rights");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m,mode=0777", "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                skipped(why.trim());
                None
            }
            Err(why) => {
                skipped(&why.to_string());
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file");
        while filler.write_all(&[0; 4_096]).is_ok() {}
    }

    /// Gives the room back.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("the file");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: who has files open there ends after this.
        let gone = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(gone.is_ok_and(|status| status.success()), "unmounted");
    }
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests is to know")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: a full disk needs the right to mount one: {why}");
}
