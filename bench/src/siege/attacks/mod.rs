//! What strangers do, one subject a file.

mod addresses;
mod attack;
mod candidates;
mod checks;
mod datagrams;
mod feedback;
mod joins;
mod media_tcp;
mod microphone;
mod offers;
mod origins;
mod sessions;
mod sockets;
mod uploads;
mod websockets;

pub(super) use attack::Attack;

use super::server_mode::ServerMode;
use attack::Nothing;

/// All there are, in the order in which they are run: those of one mode together.
pub(super) const ALL: &[&dyn Attack] = &[
    &Nothing { mode: ServerMode::RtpInput },
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
    &media_tcp::MediaConnections(media_tcp::Words::Nothing),
    &media_tcp::MediaConnections(media_tcp::Words::Garbage),
    &media_tcp::MediaConnections(media_tcp::Words::Packets),
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
    &Nothing { mode: ServerMode::Echo },
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
        let mut grounds: Vec<_> = ALL.iter().map(|attack| attack.mode()).collect();
        grounds.dedup();
        assert_eq!(grounds, [ServerMode::RtpInput, ServerMode::Echo]);
    }
}
