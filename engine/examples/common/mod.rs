//! What the examples share: an exchange of SDP by a file and the terminal. `own_signaling` shows one over a network.

use std::error::Error;

use visavis::peer::PeerId;
use visavis::{Engine, EngineConfig, Session};

/// An engine for viewers on this machine.
pub(crate) fn engine() -> Result<Engine, Box<dyn Error>> {
    Ok(Engine::start(EngineConfig::default().udp(([127, 0, 0, 1], 0)))?)
}

/// The arguments, of which there must be as many as `names`; otherwise, and for `--help`, says how it is used.
pub(crate) fn arguments<const N: usize>(about: &str, names: [&str; N]) -> [String; N] {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--help").collect();
    given.try_into().unwrap_or_else(|_| {
        println!("{about}\n\nArguments: {}", names.join(" "));
        println!(
            "OFFER.sdp is a viewer's SDP offer; the answer is printed, with a blank line behind it."
        );
        std::process::exit(2);
    })
}

/// Answers the offer in a file.
pub(crate) fn answer(
    engine: &Engine,
    session: &Session,
    offer: &str,
) -> Result<PeerId, Box<dyn Error>> {
    let offer = std::fs::read_to_string(offer)?;
    let answer = engine.handle().connect(session.id(), None, &offer)?;
    println!("{}", answer.sdp);
    Ok(answer.peer)
}
