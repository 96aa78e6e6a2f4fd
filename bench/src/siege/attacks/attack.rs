//! The definition of an attack, and the empty one for comparison.

use crate::siege::attack_run::AttackRun;
use crate::siege::server_mode::ServerMode;

/// Something that an attacker, or a viewer who means harm, can do.
pub(in crate::siege) trait Attack: Sync {
    /// Its name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// What it does, in a line.
    fn about(&self) -> &'static str;

    fn mode(&self) -> ServerMode {
        ServerMode::RtpInput
    }

    /// Attacks until the run's end. [`AttackRun::on_threads`] starts further threads.
    fn run(&self, run: &AttackRun);
}

/// Nobody attacks: what the machine itself does to the figures.
pub(super) struct Nothing {
    pub(super) mode: ServerMode,
}

impl Attack for Nothing {
    fn name(&self) -> &'static str {
        match self.mode {
            ServerMode::RtpInput => "nothing",
            ServerMode::Echo => "nothing-echo",
        }
    }

    fn about(&self) -> &'static str {
        match self.mode {
            ServerMode::RtpInput => "nobody attacks: the figures of this machine, to compare with",
            ServerMode::Echo => {
                "the same for a server that encodes, which the attacks after this are on"
            }
        }
    }

    fn mode(&self) -> ServerMode {
        self.mode
    }

    fn run(&self, run: &AttackRun) {
        run.sleep(run.left());
    }
}
