use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, free_tcp_port};
use crate::{Error, aiortc_python, find_binary};

/// Pictures a second of all servers.
pub(super) const FPS: f64 = 30.0;

const RENDERER: &str = include_str!("../../peers/avatar/renderer.py");
const ON_VISAVIS: &str = include_str!("../../peers/avatar/on_visavis.py");
const ON_AIORTC: &str = include_str!("../../peers/avatar/on_aiortc.py");
const VIEWER: &str = include_str!("../../peers/avatar/viewer.html");

/// What aioice asks for the addresses of this machine.
const LOOPBACK: &str =
    "import aioice.ice\naioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ['127.0.0.1']\n";

/// The package's part that is Python.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/python/visavis");

/// Python reads a lot before it serves.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// An avatar server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// On this project's Python package.
    Visavis,
    /// On aiortc, with an encoder for each viewer.
    Aiortc,
    /// The `visavis` command with its own face: what Python adds is the difference.
    Command,
}

/// A server that has been started.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) process: Process,
    /// Of the page; the WebSocket is at `ws` below it.
    pub(crate) url: String,
    _files: TempDir,
}

impl ServerKind {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 3] = [Self::Visavis, Self::Aiortc, Self::Command];

    /// Its name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visavis => "visavis",
            Self::Aiortc => "aiortc",
            Self::Command => "command",
        }
    }

    /// Its name for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Visavis => "visavis in Python",
            Self::Aiortc => "aiortc",
            Self::Command => "visavis serve --demo",
        }
    }

    /// Lines of its source that are not empty, without the renderer; nothing where there is no source to write.
    pub fn lines(self) -> Option<usize> {
        let source = match self {
            Self::Visavis => ON_VISAVIS,
            Self::Aiortc => ON_AIORTC,
            Self::Command => return None,
        };
        Some(source.lines().filter(|line| !line.trim().is_empty()).count())
    }

    /// Starts it on a free port of this machine.
    ///
    /// # Errors
    ///
    /// When something is missing that cannot be installed, or it does not serve in time.
    pub(super) fn start(self) -> Result<Running, Error> {
        self.start_with(&[])
    }

    /// As [`start`](Self::start); aiortc has no address but that of the loopback interface then.
    pub(crate) fn start_on_loopback(self) -> Result<Running, Error> {
        // Python runs a module of this name first.
        self.start_with(&[("sitecustomize.py", LOOPBACK)])
    }

    fn start_with(self, extra: &[(&str, &str)]) -> Result<Running, Error> {
        let files = tempfile::tempdir()?;
        let folder = files.path();
        for (name, source) in extra {
            fs::write(folder.join(name), source)?;
        }
        let port = free_tcp_port()?;
        let mut command = match self {
            Self::Visavis => {
                lay_package(&folder.join("visavis"))?;
                script(folder, "on_visavis.py", ON_VISAVIS)?
            }
            Self::Aiortc => {
                fs::write(folder.join("viewer.html"), VIEWER)?;
                script(folder, "on_aiortc.py", ON_AIORTC)?
            }
            Self::Command => {
                let mut command =
                    Command::new(find_binary("visavis", "visavis-cli", "VISAVIS_BIN")?);
                command.args(["serve", "--demo", "--timecode", "--bitrate", "1000"]);
                command.arg("--listen").arg(format!("127.0.0.1:{port}"));
                command
            }
        };
        if self != Self::Command {
            command.arg(port.to_string());
        }
        command.env("PYTHONPATH", folder).current_dir(folder);
        let mut process = Process::start(&mut command)?;
        process.wait_for_port(port, READY_DEADLINE)?;
        Ok(Running { process, url: format!("http://127.0.0.1:{port}/"), _files: files })
    }
}

/// The command that runs a script, with its renderer beside it.
fn script(folder: &Path, name: &str, source: &str) -> Result<Command, Error> {
    let python = aiortc_python()?;
    fs::write(folder.join("renderer.py"), RENDERER)?;
    fs::write(folder.join(name), source)?;
    let mut command = Command::new(python);
    command.arg(name);
    Ok(command)
}

/// The Python package as it is installed, with links in place of copies.
fn lay_package(folder: &Path) -> Result<(), Error> {
    let library = find_binary("lib_visavis.so", "visavis-python", "VISAVIS_PYTHON_LIBRARY")?;
    fs::create_dir(folder)?;
    for entry in fs::read_dir(PACKAGE)? {
        let entry = entry?;
        symlink(entry.path(), folder.join(entry.file_name()))?;
    }
    Ok(symlink(library, folder.join("_visavis.abi3.so"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_has_at_most_sixty_lines() {
        for kind in ServerKind::ALL {
            assert!(kind.lines().is_none_or(|lines| (10..=60).contains(&lines)), "{kind:?}");
        }
    }
}
