//! Viewers whose DTLS certificate is RSA: they are refused at once, with an error, and do not try again; in a build with
//! the feature `openssl` they can watch.

#![allow(clippy::print_stdout, reason = "what was said is part of the outcome")]

use std::error::Error;
use std::time::Duration;
#[cfg(not(feature = "openssl"))]
use std::{thread, time::Instant};

use visavis_bench::{Browser, Microphone, Page, Server, ServerOptions};
use visavis_tests::{Outcome, Turn, watch_with_webrtcbin};

/// How long anything is waited for. A machine that is busy is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(not(feature = "openssl"))]
fn refused(server: &Server) -> Result<u64, Box<dyn Error>> {
    Ok(server.status()?["refused"]["rsa_certificate"].as_u64().ok_or("not counted")?)
}

/// Its certificate is RSA, always.
#[cfg(feature = "openssl")]
#[test]
fn webrtcbin_plays() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let report = watch_with_webrtcbin(&format!("{}whep/default", server.url()), PATIENCE)?;
    println!("webrtcbin: {report:?}");
    assert_eq!((report.created, report.ended), (Some(201), None));
    assert!(report.video >= 30 && report.audio >= 30, "{report:?}");
    server.stop()?;
    Ok(())
}

/// Its certificate is RSA, always.
#[cfg(not(feature = "openssl"))]
#[test]
fn webrtcbin_is_refused_in_words() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let endpoint = format!("{}whep/default", server.url());
    let start = Instant::now();
    let report = watch_with_webrtcbin(&endpoint, PATIENCE)?;
    println!("webrtcbin after {:?}: {report:?}", start.elapsed());
    assert_eq!((report.created, report.ended), (Some(201), Some(410)));
    assert_eq!(report.code.as_deref(), Some("rsa-certificate"));
    assert_eq!(refused(&server)?, 1);
    let log = server.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert!(said.len() == 1 && said[0].contains("RSA") && said[0].contains("ECDSA"), "{said:?}");
    assert!(log.contains("rsa-certificate"), "{log}");
    server.stop()?;
    Ok(())
}

/// Every connection of the page gets an RSA certificate.
const WITH_RSA: &str = r"
const Peer = RTCPeerConnection;
const kind = {
  name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256',
};
Peer.generateCertificate(kind).then((certificate) => { globalThis.rsa = certificate; });
globalThis.RTCPeerConnection = class extends Peer {
  constructor(config) {
    super({ ...config, certificates: [rsa] });
    (globalThis.peers ??= []).push(this);
  }
};
";

/// Opens the page and starts it.
fn visit(server: &Server) -> Result<(Browser, Page), Box<dyn Error>> {
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.run_on_open(WITH_RSA)?;
    page.open(server.url())?;
    page.wait_for("globalThis.rsa", PATIENCE)?;
    page.eval::<()>("document.getElementById('start').click();")?;
    Ok((browser, page))
}

#[cfg(feature = "openssl")]
#[test]
fn a_browser_with_an_rsa_certificate_plays() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let (_browser, page) = visit(&server)?;
    page.wait_for("visavis.client.state === 'connected'", PATIENCE)?;
    page.wait_for("document.querySelector('video').currentTime > 1", PATIENCE)?;
    let used: String = page.eval(
        "const stats = [...(await peers.at(-1).getStats()).values()];
        return stats.find((one) => one.type === 'transport').dtlsCipher;",
    )?;
    println!("{used}");
    server.stop()?;
    Ok(())
}

#[cfg(not(feature = "openssl"))]
#[test]
fn a_browser_with_an_rsa_certificate_is_told_why_and_does_not_try_again() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let (_browser, page) = visit(&server)?;
    page.wait_for("visavis.client.state === 'failed'", PATIENCE)?;
    let told: [String; 2] = page
        .eval("return ['state', 'reason'].map((id) => document.getElementById(id).textContent);")?;
    println!("{told:?}");
    assert!(told[1].contains("RSA") && told[1].contains("ECDSA"), "{told:?}");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(refused(&server)?, 1, "it tried again");
    server.stop()?;
    Ok(())
}
