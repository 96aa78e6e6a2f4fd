//! Who may use the machine when: one test at a time, against programs that are up to date.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A test's turn on the machine: none of the others that take one runs meanwhile, in whatever
/// process it is, unless both share theirs. Ends when dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits for the turn, then makes sure that the programs under test are built from this tree.
    ///
    /// # Errors
    ///
    /// When they do not build.
    pub fn take() -> Result<Self, Box<dyn Error>> {
        let turn = Self::take_without_programs()?;
        programs()?;
        Ok(turn)
    }

    /// A turn beside others that share theirs: for tests that look at what happens, and not at when.
    ///
    /// # Errors
    ///
    /// When the programs do not build, or the lock file cannot be made.
    pub fn share() -> Result<Self, Box<dyn Error>> {
        let turn = Self::share_without_programs()?;
        programs()?;
        Ok(turn)
    }

    /// Waits for the turn alone, for a test that starts none of the programs.
    ///
    /// # Errors
    ///
    /// When the lock file cannot be made.
    pub fn take_without_programs() -> Result<Self, Box<dyn Error>> {
        Self::locked(File::lock)
    }

    /// [`share`](Self::share) for a test that starts none of the programs.
    ///
    /// # Errors
    ///
    /// When the lock file cannot be made.
    pub fn share_without_programs() -> Result<Self, Box<dyn Error>> {
        Self::locked(File::lock_shared)
    }

    fn locked(lock: impl FnOnce(&File) -> io::Result<()>) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(target())?;
        let file = File::create(target().join("whole-system-tests.lock"))?;
        lock(&file)?;
        Ok(Self { _lock: file })
    }
}

/// A folder for pictures and figures that people may want to look at after a run.
///
/// # Errors
///
/// When it cannot be made.
pub fn artifacts() -> Result<PathBuf, Box<dyn Error>> {
    made(target().join("test-artifacts"))
}

/// A folder for media that tests fetch or make, kept between runs.
///
/// # Errors
///
/// When it cannot be made.
pub fn fixtures() -> Result<PathBuf, Box<dyn Error>> {
    made(target().join("test-fixtures"))
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Makes a folder, and waits until no other test installs anything in it; lasts as long as the file.
pub(crate) fn install_in(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join("install.lock"))?;
    file.lock()?;
    Ok(file)
}

fn made(folder: PathBuf) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn programs() -> Result<(), Box<dyn Error>> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    Ok(BUILT.get_or_init(build).clone()?)
}

/// Cargo builds a package's programs for that package's tests alone, so the programs of the others
/// are built here; when they are up to date that takes a moment.
fn build() -> Result<(), String> {
    if env::var_os("VISAVIS_BIN").is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let packages = ["-p", "visavis-cli", "-p", "visavis-bench", "-p", "visavis-node"];
    command.current_dir(root()).arg("build").args(packages);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // Cargo sets these variables for tests; build scripts that watch them would see a change, and everything that depends
    // on them would be rebuilt each time.
    let about_this_test =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if about_this_test.iter().any(|start| text.starts_with(start)) || text == "LD_LIBRARY_PATH"
        {
            command.env_remove(&name);
        }
    }
    let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("the programs do not build:\n{}", String::from_utf8_lossy(&output.stderr)))
}
