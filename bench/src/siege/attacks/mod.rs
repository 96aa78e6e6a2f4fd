//! What strangers do, one subject a file.

mod addresses;
mod candidates;
mod checks;
mod datagrams;
mod feedback;
mod joins;
mod microphone;
mod offers;
mod origins;
mod sessions;
mod sockets;
mod uploads;
mod websockets;

use super::field::Field;
use super::ground::Ground;

/// Something that a stranger, or a viewer who means ill, can do.
pub(super) trait Attack: Sync {
    /// Its name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// What it does, in a line.
    fn about(&self) -> &'static str;

    fn ground(&self) -> Ground {
        Ground::Encoded
    }

    /// Attacks until the field's end. Whatever threads it needs are the field's crew.
    fn run(&self, field: &Field);
}

/// Nobody attacks: what the machine itself does to the figures.
struct Nothing {
    ground: Ground,
}

impl Attack for Nothing {
    fn name(&self) -> &'static str {
        match self.ground {
            Ground::Encoded => "nothing",
            Ground::Echo => "nothing-echo",
        }
    }

    fn about(&self) -> &'static str {
        match self.ground {
            Ground::Encoded => "nobody attacks: the figures of this machine, to compare with",
            Ground::Echo => {
                "the same for a server that encodes, which the attacks after this are on"
            }
        }
    }

    fn ground(&self) -> Ground {
        self.ground
    }

    fn run(&self, field: &Field) {
        field.rest(field.left());
    }
}

/// All there are, in the order in which they are run: those of one ground together.
pub(super) const ALL: &[&dyn Attack] = &[
    &Nothing { ground: Ground::Encoded },
    &datagrams::Garbage { many: false },
    &datagrams::Garbage { many: true },
    &datagrams::Spoofed,
    &datagrams::ClientHello,
    &checks::WrongUser,
    &checks::WrongPassword,
    &checks::OwnChecks,
    &offers::OneNumberTwice,
    &offers::Mutated,
    &offers::GiantFirst,
    &offers::GiantSecond,
    &joins::Restarts,
    &joins::Joins,
    &sockets::Idle { many: false },
    &sockets::Idle { many: true },
    &sockets::SlowHeads,
    &sockets::SlowBodies,
    &websockets::EmptyFragments,
    &websockets::Pings,
    &websockets::Junk,
    &websockets::NeverOffer,
    &candidates::Candidates,
    &sessions::OtherSizes,
    &uploads::Uploads,
    &origins::ForeignOrigin,
    &Nothing { ground: Ground::Echo },
    &addresses::AnothersAddress,
    &microphone::Microphone,
    &feedback::Feedback,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_a_command_line_takes_and_each_has_one() {
        let mut names: Vec<_> = ALL.iter().map(|attack| attack.name()).collect();
        for name in &names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn attacks_of_one_ground_stand_together() {
        let mut grounds: Vec<_> = ALL.iter().map(|attack| attack.ground()).collect();
        grounds.dedup();
        assert_eq!(grounds, [Ground::Encoded, Ground::Echo]);
    }
}
