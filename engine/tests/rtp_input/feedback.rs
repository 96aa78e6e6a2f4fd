//! What a sender of pictures is told over RTCP.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use visavis::rtp_input::{RtpInput, RtpInputConfig};
use visavis::video::VideoCodec;
use visavis::{Engine, EngineConfig, SessionConfig};

use super::senders::{Sender, gst_picture};
use super::viewer::Viewer;
use super::{Fed, LOCAL, wait_until};

/// GStreamer with RTCP both ways, an encoder that makes no keyframe of its own accord, and where it takes RTCP.
fn with_rtcp(to: SocketAddr, feedback: SocketAddr) -> Sender {
    let (host, rtp, rtcp, own) = (to.ip(), to.port(), to.port() + 1, feedback.port());
    let picture = gst_picture!();
    Sender::gst_whole(&format!(
        "rtpbin name=b {picture} x264enc tune=zerolatency key-int-max=100000 ! rtph264pay config-interval=-1 \
         ! application/x-rtp,rtcp-fb-nack-pli=(boolean)true ! b.send_rtp_sink_0 \
         b.send_rtp_src_0 ! udpsink host={host} port={rtp} \
         b.send_rtcp_src_0 ! udpsink host={host} port={rtcp} sync=false async=false \
         udpsrc address={host} port={own} ! b.recv_rtcp_sink_0"
    ))
}

#[test]
fn a_late_viewer_of_a_stream_without_keyframes_gets_one_where_the_sender_takes_rtcp() {
    let feedback = UdpSocket::bind(LOCAL).unwrap().local_addr().unwrap();
    let config = RtpInputConfig::default().video(LOCAL).video_feedback(feedback);
    let fed = Fed::open(VideoCodec::H264, config);
    let _sender = with_rtcp(fed.video_addr(), feedback);
    wait_until("nothing is shown", || fed.is_live());
    // Its first keyframe is long ago, and nobody has seen it.
    thread::sleep(Duration::from_secs(1));
    let mut viewer = Viewer::join_for_units(&fed.engine.handle(), fed.session.id());
    // Until then it has the idle picture.
    viewer.run_until(|_| fed.session.status().metrics.keyframes == 1);
    assert_eq!(fed.video().fault, None);
}

/// A sender of pictures that reads what it is told.
struct Listener {
    socket: UdpSocket,
    to: SocketAddr,
    sequence: u16,
}

impl Listener {
    const SSRC: u32 = 0x0102_0304;

    fn send(&mut self, kind: u8, rest: &[u8]) {
        let mut packet = vec![0x80, kind];
        if kind == 96 | 0x80 {
            self.sequence += 1;
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 3_000).to_be_bytes());
        } else {
            packet.extend(((rest.len() / 4 + 1) as u16).to_be_bytes());
        }
        packet.extend(Self::SSRC.to_be_bytes());
        packet.extend(rest);
        self.socket.send_to(&packet, self.to).unwrap();
    }

    /// A picture of one slice.
    fn send_picture(&mut self) {
        self.send(96 | 0x80, &[0x41, 0xff, 0xff]);
    }

    /// A sender report.
    fn report(&mut self) {
        self.send(200, &[0; 20]);
    }

    /// The kinds of packets in what came, and the bitrate that is wanted.
    fn told(&self) -> Vec<(Vec<u8>, Option<u64>)> {
        let mut told = Vec::new();
        let mut buffer = [0; 1_500];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let (mut rest, mut kinds, mut bitrate) = (&buffer[..length], Vec::new(), None);
            while let Some(&[first, kind, high, low]) = rest.first_chunk() {
                let (packet, after) =
                    rest.split_at(4 + 4 * usize::from(u16::from_be_bytes([high, low])));
                kinds.push(if kind == 206 { first & 0x1f } else { kind });
                if (first & 0x1f, kind) == (15, 206) {
                    assert_eq!(packet[12..16], *b"REMB");
                    let word = u32::from_be_bytes(*packet[16..].first_chunk().unwrap());
                    bitrate = Some(u64::from(word & 0x3_ffff) << (word >> 18 & 0x3f));
                }
                rest = after;
            }
            told.push((kinds, bitrate));
        }
        told
    }
}

/// RR, SDES, PLI, REMB.
const ALL: [u8; 4] = [201, 202, 1, 15];

#[test]
fn who_sends_pictures_is_told_how_they_arrive_and_what_is_wanted() {
    let engine = Engine::start(EngineConfig::default().udp(LOCAL)).unwrap();
    let config = SessionConfig::default().encoded(VideoCodec::H264).max_peers(1);
    let session = engine.create_session(config.adaptive_encoder(true)).unwrap();
    session.start();
    let input = RtpInput::start(&session, RtpInputConfig::default().video(LOCAL)).unwrap();
    let socket = UdpSocket::bind(LOCAL).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut sender = Listener { socket, to: input.video_addr().unwrap(), sequence: 0 };
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.push_until(|viewer| viewer.connected, || sender.send_picture());
    assert!(sender.told().is_empty(), "it has made no report: nobody knows where it takes any");

    sender.report();
    let mut told = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_300) {
        sender.send_picture();
        viewer.run_for(Duration::from_millis(20));
        told.extend(sender.told());
    }
    let wanted = 1_500_000 / 8 * 8;
    assert_eq!(told.first(), Some(&(ALL.to_vec(), Some(wanted))));
    // The viewer has no picture yet: two a second, and no more than that.
    let asked = told.iter().filter(|(kinds, _)| kinds.contains(&1)).count();
    assert!((2..=5).contains(&asked) && told.len() <= 8, "{told:?}");
    assert!(told.iter().all(|(_, bitrate)| *bitrate == Some(wanted)));
}
