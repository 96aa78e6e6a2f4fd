//! Python scripts that use the package of this workspace.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::{fs, io};

use tempfile::TempDir;

use crate::turn::root;

/// A running script. Dropping it ends it.
#[derive(Debug)]
pub struct Script {
    child: Child,
    input: ChildStdin,
    out: BufReader<ChildStdout>,
    _package: TempDir,
}

impl Script {
    /// Starts a script of `tests/python` with the package importable.
    ///
    /// # Errors
    ///
    /// Where Python is missing, or the extension module is not built.
    pub fn start(name: &str) -> Result<Self, Box<dyn Error>> {
        let package = package()?;
        let mut child = Command::new("python3")
            .arg(root().join("tests/python").join(name))
            .env("PYTHONPATH", package.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3: {error}; tools/setup test"))?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let out = child.stdout.take().ok_or("no pipe")?;
        Ok(Self { child, input, out: BufReader::new(out), _package: package })
    }

    /// Gives it a line to read.
    ///
    /// # Errors
    ///
    /// Where it reads nothing more.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.input, "{line}")
    }

    /// The next line it prints.
    ///
    /// # Errors
    ///
    /// Where it prints nothing more.
    pub fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        match self.out.read_line(&mut line)? {
            0 => Err("the script has ended; stderr says why".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with the package as it is installed: its Python files, and the extension module of this build.
fn package() -> Result<TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let to = folder.path().join("visavis");
    link_all(&root().join("tools/python/visavis"), &to)?;
    symlink(extension()?, to.join("_visavis.abi3.so"))?;
    Ok(folder)
}

fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let link = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => link_all(&entry.path(), &link)?,
            false => symlink(entry.path(), link)?,
        }
    }
    Ok(())
}

/// Beside the programs of this build.
fn extension() -> Result<PathBuf, Box<dyn Error>> {
    let test = env::current_exe()?;
    let built = test.ancestors().nth(2).map(|folder| folder.join("lib_visavis.so"));
    match built.filter(|path| path.exists()) {
        Some(path) => Ok(path),
        None => Err("the extension module is not built: cargo build --workspace --lib".into()),
    }
}
