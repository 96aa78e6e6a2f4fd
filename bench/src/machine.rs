use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// Where a figure was measured: without it a figure means nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: usize,
    /// The processor's name, as the kernel gives it.
    pub cpu: String,
    /// Kernel release.
    pub kernel: String,
    /// Commit of the working tree, with `-dirty` where files differ from it; empty where unknown.
    pub commit: String,
    /// Whether the measuring program was built with optimisation.
    pub release: bool,
}

impl Machine {
    /// Describes this machine.
    pub fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model_name(&cpuinfo).unwrap_or("unknown").to_owned(),
            kernel: kernel.trim().to_owned(),
            commit: commit().unwrap_or_default(),
            release: !cfg!(debug_assertions),
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let commit = if self.commit.is_empty() { "unknown" } else { &self.commit };
        let build = if self.release { "release" } else { "dev" };
        format!(
            "{} cores, {}, Linux {}, commit {commit}, {build} build",
            self.cores, self.cpu, self.kernel
        )
    }
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

fn commit() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_processor_name() {
        let text = "processor\t: 0\nmodel name\t: Fast 9000\nmodel name\t: Fast 9000\n";
        assert_eq!(model_name(text), Some("Fast 9000"));
        assert_eq!(model_name(""), None);
    }
}
