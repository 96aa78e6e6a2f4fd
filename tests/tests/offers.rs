//! Offers that are unlike a browser's own, played by a real Chromium: each is what it made, changed by a few lines as
//! applications and proxies change them.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::time::{Duration, Instant};

use serde::Deserialize;
use visavis_bench::{Browser, Microphone, Server, ServerOptions};
use visavis_tests::{Outcome, Turn};

const PATIENCE: Duration = Duration::from_secs(120);

/// What there is on the page for a case: a WebSocket that answers offers, and a connection with a first frame.
const TOOLS: &str = r"
window.signaling = () => new Promise((resolve, reject) => {
  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
  const waiting = [];
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'config') resolve(ask);
    if (message.type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
    if (message.type === 'answer') waiting.shift()?.resolve(message.data.sdp);
    if (message.type === 'error') waiting.shift()?.reject(new Error(`${message.code}: ${message.error}`));
  };
  socket.onerror = () => reject(new Error('no WebSocket'));
  const ask = (sdp) => new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    socket.send(JSON.stringify({ type: 'offer', data: { type: 'offer', sdp } }));
  });
  ask.close = () => socket.close();
});

window.negotiate = async (peer, ask, change, local) => {
  const offer = await peer.createOffer();
  const changed = change(offer.sdp);
  await peer.setLocalDescription(local ? { type: 'offer', sdp: changed } : offer);
  const sdp = await ask(changed);
  const count = (text) => text.split('\r\nm=').length - 1;
  if (count(sdp) !== count(changed)) throw new Error(`${count(sdp)} sections for ${count(changed)}`);
  await peer.setRemoteDescription({ type: 'answer', sdp });
  return sdp;
};

window.firstFrame = async (peer, patience = 8000) => {
  const end = performance.now() + patience;
  while (performance.now() < end) {
    const report = [...(await peer.getStats()).values()];
    const video = report.filter((s) => s.type === 'inbound-rtp' && s.kind === 'video');
    if (video.some((s) => (s.framesDecoded ?? 0) > 2)) return;
    await new Promise((wait) => setTimeout(wait, 20));
  }
  throw new Error(`no picture; the connection is ${peer.connectionState}`);
};

window.watching = (peer) => {
  peer.addTransceiver('audio', { direction: 'recvonly' });
  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.createDataChannel('visavis');
};

window.camera = () => {
  const canvas = document.createElement('canvas');
  canvas.getContext('2d').fillRect(0, 0, 10, 10);
  return canvas.captureStream(5).getVideoTracks()[0];
};
";

/// Each: a name, what is offered, how the SDP is changed, and whether the browser applies the changed SDP too.
const CASES: &str = r"
const each = (of, into) => (sdp) => sdp.replaceAll(of, into);
const afterFirst = (line, added) => (sdp) => sdp.replace(new RegExp(`(m=video[^]*?${line}[^]*?\r\n)`), `$1${added}`);
const bundle = /a=group:BUNDLE.*\r\n/g;
return [
  ['unchanged', watching, (sdp) => sdp, false],
  ['two b= lines', watching, afterFirst('c=', 'b=AS:2500\r\nb=TIAS:2400000\r\n'), false],
  ['b= after a=mid', watching, afterFirst('a=mid', 'b=TIAS:2400000\r\n'), false],
  ['b= at the end', watching, (sdp) => sdp + 'b=AS:64\r\n', false],
  ['i= in a section', watching, each(/(m=.*\r\n)/g, '$1i=a title\r\n'), false],
  ['k= in a section', watching, each(/(c=.*\r\n)/g, '$1k=prompt\r\n'), false],
  ['t= that is not 0', watching, each('t=0 0', 't=1 2'), false],
  ['RTP/SAVPF', watching, each('UDP/TLS/RTP/SAVPF', 'RTP/SAVPF'), false],
  ['TCP/DTLS/RTP/SAVPF', watching, each('UDP/TLS/RTP/SAVPF', 'TCP/DTLS/RTP/SAVPF'), false],
  ['direction left out', (peer) => { peer.addTransceiver('audio'); peer.addTransceiver('video'); },
    each(/a=sendrecv\r\n/g, ''), false],
  ['no BUNDLE, one section', (peer) => peer.addTransceiver('video', { direction: 'recvonly' }), each(bundle, ''), true],
  ['no BUNDLE, two sections', (peer) => { peer.addTransceiver('audio', { direction: 'recvonly' });
    peer.addTransceiver('video', { direction: 'recvonly' }); }, each(bundle, ''), true],
  ['mids with hyphens', watching, (sdp) => sdp.replace('BUNDLE 0 1 2', 'BUNDLE audio-0 video-0 data-0')
    .replace('a=mid:0', 'a=mid:audio-0').replace('a=mid:1', 'a=mid:video-0').replace('a=mid:2', 'a=mid:data-0'), true],
  ['simulcast', (peer) => { peer.addTransceiver('audio', { direction: 'recvonly' });
    peer.addTransceiver(camera(), { direction: 'sendrecv',
      sendEncodings: [{ rid: 'h' }, { rid: 'l', scaleResolutionDownBy: 2 }] }); }, (sdp) => sdp, false],
  ['m=text in the bundle', watching, (sdp) => sdp.replace('BUNDLE 0 1 2', 'BUNDLE 0 1 2 3') +
    'm=text 9 UDP/TLS/RTP/SAVPF 98\r\nc=IN IP4 0.0.0.0\r\na=mid:3\r\na=sendrecv\r\na=rtpmap:98 t140/1000\r\n', false, 3],
  ['a camera that is only sent', (peer) => { watching(peer);
    peer.addTransceiver(camera(), { direction: 'sendonly' }); }, (sdp) => sdp, false],
  ['camera and screen', (peer) => { peer.addTransceiver('audio', { direction: 'sendrecv' });
    peer.addTransceiver(camera(), { direction: 'sendrecv' });
    peer.addTransceiver(camera(), { direction: 'sendrecv' }); }, (sdp) => sdp, false],
  ['times of packets', watching, each(/(a=rtcp-mux\r\n)/g, '$1a=ptime:20\r\na=maxptime:120\r\n'), false],
];
";

#[derive(Deserialize)]
struct Played {
    name: String,
    ms: f64,
    wrong: Option<String>,
}

#[test]
fn offers_that_are_unlike_a_browsers_own_play_in_chromium() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.run_on_open(TOOLS)?;
    page.bypass_content_policy()?;
    page.open(server.url())?;
    let began = Instant::now();
    let run = format!(
        r"
        const cases = (() => {{ {CASES} }})();
        const played = [];
        for (const [name, shape, change, local, extra] of cases) {{
          const start = performance.now();
          const peer = new RTCPeerConnection();
          let wrong = null;
          let ask;
          try {{
            ask = await signaling();
            shape(peer);
            if (extra === undefined) {{
              await negotiate(peer, ask, change, local);
            }} else {{
              // A section that the browser does not support: it only gets the others.
              const offer = await peer.createOffer();
              await peer.setLocalDescription(offer);
              const parts = (await ask(change(offer.sdp))).split(/(?=^m=)/m);
              if (parts.length !== extra + 2) throw new Error(`${{parts.length - 1}} sections`);
              parts.splice(extra + 1, 1);
              await peer.setRemoteDescription({{ type: 'answer', sdp: parts.join('') }});
            }}
            await firstFrame(peer);
            const sending = peer.getTransceivers().filter((one) => one.sender.track?.kind === 'video'
              && (one.currentDirection ?? '').startsWith('send'));
            if (sending.length > 0) throw new Error('pictures are sent that nobody takes');
          }} catch (error) {{
            wrong = String(error);
          }}
          peer.close();
          ask?.close();
          played.push({{ name, ms: performance.now() - start, wrong }});
        }}
        return played;
        "
    );
    let played: Vec<Played> = page.eval_within(&run, PATIENCE)?;
    for Played { name, ms, wrong } in &played {
        println!("{name:28} {ms:6.0} ms {}", wrong.as_deref().unwrap_or(""));
    }
    println!("{} offers in {:.1} s", played.len(), began.elapsed().as_secs_f64());
    let wrong: Vec<_> =
        played.iter().filter(|case| case.wrong.is_some()).map(|case| &case.name).collect();
    assert!(wrong.is_empty(), "{wrong:?}");

    // One payload number with two meanings: Chromium itself would not offer that.
    let healthy: bool = page.eval(
        r"
        const ask = await signaling();
        const peer = new RTCPeerConnection();
        watching(peer);
        const offer = (await peer.createOffer()).sdp;
        const [, resent] = offer.match(/a=rtpmap:(\d+) rtx/);
        const [, opus] = offer.match(/a=rtpmap:(\d+) opus/);
        const parts = offer.split(/(?=^m=)/m);
        parts[1] = parts[1].replaceAll(new RegExp(`([ :/])${opus}\\b`, 'g'), `$1${resent}`);
        await ask(parts.join(''));
        peer.close();
        ask.close();
        return (await fetch('/healthz')).ok;
        ",
    )?;
    assert!(healthy, "signaling did not survive an offer");

    // A data channel alone first, media by a second offer; and then another connection on the same WebSocket.
    let rows: Vec<f64> = page.eval_within(
        r"
        const ask = await signaling();
        const took = [];
        const peer = new RTCPeerConnection();
        peer.createDataChannel('visavis');
        await negotiate(peer, ask, (sdp) => sdp, false);
        await new Promise((wait) => setTimeout(wait, 500));
        peer.addTransceiver('video', { direction: 'recvonly' });
        let start = performance.now();
        await negotiate(peer, ask, (sdp) => sdp, false);
        await firstFrame(peer);
        took.push(performance.now() - start);
        peer.close();
        const other = new RTCPeerConnection();
        watching(other);
        start = performance.now();
        await negotiate(other, ask, (sdp) => sdp, false);
        await firstFrame(other);
        took.push(performance.now() - start);
        other.close();
        ask.close();
        return took;
        ",
        PATIENCE,
    )?;
    println!("picture added after {:.0} ms, another connection's after {:.0} ms", rows[0], rows[1]);
    Ok(())
}
