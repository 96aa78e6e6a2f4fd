//! Signaling of the application's own: SDP over plain TCP. A client sends its offer, closes its sending half, and gets
//! the answer. Viewers see the idle loop.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the terminal")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use visavis::session::SessionId;
use visavis::{Engine, EngineConfig, EngineHandle, SessionConfig};

/// More than any offer has.
const MAX_OFFER_BYTES: u64 = 64 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|given| given != "--help").collect();
    let [address] = &arguments[..] else {
        println!("Answers SDP offers over TCP.\n\nArguments: ADDRESS:PORT");
        std::process::exit(2);
    };
    let engine = Engine::start(EngineConfig::default().udp(([127, 0, 0, 1], 0)))?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    for client in listener.incoming() {
        // One client's trouble is not the others'.
        if let Err(error) = client
            .map_err(Into::into)
            .and_then(|client| serve(client, &engine.handle(), session.id()))
        {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn serve(
    mut client: TcpStream,
    engine: &EngineHandle,
    session: &SessionId,
) -> Result<(), Box<dyn Error>> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut offer = String::new();
    (&client).take(MAX_OFFER_BYTES).read_to_string(&mut offer)?;
    // Answers at once; a refused offer costs its sender the connection.
    let answer = engine.connect(session, None, &offer)?;
    client.write_all(answer.sdp.as_bytes())?;
    Ok(())
}
