//! Many idle sessions, whose cost `visavis-bench idle` measures.
//!
//! `cargo run -p visavis-cli --release --example idle_sessions -- 200 film`
//!
//! They are named s0, s1 and so on, and show a still face or a film of the demo face, ten seconds at 25 fps.
//! Prints a line of JSON with the address of the page (`?session=s0`).

use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use visavis::idle::{IdleLoop, IdlePicture};
use visavis::session::SessionId;
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_cli::source::demo::Demo;
use visavis_cli::source::demo::face::Face;
use visavis_cli::source::demo::portrait::SIDE;
use visavis_signaling::{SignalingConfig, SignalingServer};

const FPS: u32 = 25;
const PICTURES: u32 = 250;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u32 = arguments.next().ok_or("how many sessions?")?.parse()?;
    let idle = match arguments.next().as_deref() {
        Some("film") => film()?,
        Some("still") | None => IdleLoop::built_in(),
        Some(_) => return Err("say still or film".into()),
    };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let max_peers = count as usize + 10;
    let engine = Engine::start(EngineConfig::default().udp(any).max_peers(max_peers))?;
    let sessions = (0..count)
        .map(|n| {
            let session = engine.create_session(
                SessionConfig::default()
                    .id(SessionId::new(&format!("s{n}"))?)
                    .idle(Some(idle.clone()))
                    .max_peers(Some(1)),
            )?;
            session.start();
            Ok(session)
        })
        .collect::<Result<Vec<Session>, Box<dyn Error>>>()?;
    let config = SignalingConfig::default().listen(any).max_clients(max_peers);
    let signaling = SignalingServer::start(config, engine.handle())?;
    let mut out = std::io::stdout();
    writeln!(out, r#"{{"ready":true,"url":"http://{}/"}}"#, signaling.local_addr())?;
    out.flush()?;
    let _held = sessions;
    loop {
        thread::sleep(Duration::from_secs(3_600));
    }
}

/// The demo face, drawn picture by picture while it is encoded.
fn film() -> Result<IdleLoop, Box<dyn Error>> {
    Ok(IdleLoop::film(FPS, || {
        let mut demo = Demo::new(FPS).ok();
        (0..PICTURES).map_while(move |n| {
            let mut data = vec![0; Face::FRAME_BYTES];
            demo.as_mut()?.draw(Duration::from_secs(1) * n / FPS, &mut data).ok()?;
            Some(IdlePicture::new(data, SIDE, SIDE))
        })
    })?)
}
