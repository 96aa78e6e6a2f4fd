//! A network of the bench's own.
//!
//! Janus and aiortc never announce a loopback address as an ICE candidate. So everything runs in a
//! network namespace with an interface that is not called loopback, and no way out: what the servers and
//! the viewers send each other stays in this machine's kernel, as it does on loopback.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};

use crate::Error;

/// The interface that servers announce.
pub(super) const INTERFACE: &str = "face0";

/// Set for the inner process, so that it does not start another one.
const MARK: &str = "VISAVIS_BENCH_NETWORK";

/// Lays the interface: one end of a pair, because an interface must be running to be announced.
/// Packets to its own address take the loopback path of the kernel.
const SETUP: &str = "\
    ip link set lo up && \
    ip link add face0 type veth peer name face1 && \
    ip address add 10.77.0.1/32 dev face0 && \
    ip link set face0 up && ip link set face1 up && \
    exec \"$@\"";

/// Whether this process is inside already.
pub fn is_inside() -> bool {
    env::var_os(MARK).is_some()
}

/// Runs this program again with the same arguments in a new network namespace, and waits for its end.
///
/// # Errors
///
/// When the system does not allow it, or `unshare` and `ip` (util-linux, iproute2) are missing.
pub fn run_inside() -> Result<ExitStatus, Error> {
    let mut probe = inside(OsStr::new("true"));
    let output = probe.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::Server(format!("unshare: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Server(format!("no network namespace: {}", said.trim())));
    }
    let executable = env::current_exe()?;
    let mut command = inside(executable.as_os_str());
    Ok(command.args(env::args_os().skip(1)).env(MARK, "1").status()?)
}

fn inside(program: &OsStr) -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--", "sh", "-c", SETUP, "sh"]).arg(program);
    command
}
