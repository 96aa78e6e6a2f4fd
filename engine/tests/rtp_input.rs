//! What ffmpeg sends as RTP, as people run it: what is right is shown at once, what is wrong is named.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use visavis::{
    Engine, EngineConfig, IdleLoop, RtpInput, RtpInputConfig, RtpStreamStatus, Session,
    SessionConfig, VideoCodec,
};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long anything is waited for. A machine that is busy is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// ffmpeg. Dropping it ends it.
struct Ffmpeg(Child);

impl Ffmpeg {
    fn start(arguments: &[&str]) -> Self {
        let command = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(command.unwrap())
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to its end.
fn ffmpeg(arguments: &[&str]) {
    let status =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments).status();
    assert!(status.unwrap().success(), "{arguments:?}");
}

/// A session that is fed by RTP.
struct Fed {
    input: RtpInput,
    session: Session,
    _engine: Engine,
}

impl Fed {
    fn open(codec: VideoCodec, config: RtpInputConfig) -> Self {
        let engine = Engine::start(EngineConfig { udp: LOCAL, ..EngineConfig::default() }).unwrap();
        let config_of_session = SessionConfig {
            encoded: Some(codec),
            idle: Some(IdleLoop::built_in()),
            ..SessionConfig::default()
        };
        let session = engine.create_session(config_of_session).unwrap();
        session.start();
        let input = RtpInput::start(&session, config).unwrap();
        Self { input, session, _engine: engine }
    }

    fn h264() -> Self {
        let config =
            RtpInputConfig { video: Some(LOCAL), audio: Some(LOCAL), ..Default::default() };
        Self::open(VideoCodec::H264, config)
    }

    fn video_url(&self) -> String {
        format!("rtp://{}?pkt_size=1200", self.input.video_addr().unwrap())
    }

    fn audio_url(&self) -> String {
        format!("rtp://{}", self.input.audio_addr().unwrap())
    }

    fn video(&self) -> RtpStreamStatus {
        self.session.status().rtp_input.unwrap().video
    }

    fn pictures(&self) -> u64 {
        self.session.status().metrics.video_frames
    }

    fn is_live(&self) -> bool {
        self.session.status().metrics.is_live
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

const PICTURE: &str = "testsrc2=size=320x240:rate=30";

/// What a person would write before the codec.
const LIVE: [&str; 5] = ["-re", "-f", "lavfi", "-i", PICTURE];

#[test]
fn a_copied_stream_that_begins_with_messages_is_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mp4");
    let path = file.to_str().unwrap();
    // A keyframe every 250 pictures, and a message about the encoder before the first: as x264 has it.
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        PICTURE,
        "-t",
        "9",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-pix_fmt",
        "yuv420p",
        path,
    ]);
    let fed = Fed::h264();
    let _sender = Ffmpeg::start(&[
        "-re",
        "-i",
        path,
        "-c:v",
        "copy",
        "-bsf:v",
        "h264_mp4toannexb",
        "-f",
        "rtp",
        &fed.video_url(),
    ]);
    wait_until("no packets", || fed.video().counters.packets > 0);
    let took = wait_until("no picture", || fed.is_live());
    println!("first picture {took:?} after the first packet was told of");
    assert!(fed.pictures() < 200, "not at the second keyframe");
    wait_until("no more pictures", || fed.pictures() > 40);
    assert_eq!((fed.video().fault, fed.video().counters.dropped_units), (None, 0));
}

#[test]
fn what_cannot_be_shown_is_named_and_is_not_live() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let film = path.to_str().unwrap();
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        PICTURE,
        "-t",
        "5",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "30",
        "-pix_fmt",
        "yuv420p",
        film,
    ]);
    let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
    let live = |encoder: &[&'static str]| [&LIVE[..], encoder].concat();
    let cases = [
        (vec!["-re", "-i", film, "-c:v", "copy", "-f", "rtp"], "no-parameter-sets", "-bsf:v"),
        ([&live(&x264)[..], &["-bf", "2", "-g", "30", "-f", "rtp"]].concat(), "b-frames", "-bf 0"),
        (live(&["-c:v", "libx265", "-preset", "ultrafast", "-f", "rtp"]), "other-codec", "HEVC"),
        (live(&["-c:v", "mpeg4", "-f", "rtp"]), "other-codec", "MPEG-4"),
        (live(&["-c:v", "libvpx", "-deadline", "realtime", "-f", "rtp"]), "other-codec", "VP8"),
        (
            live(&["-c:v", "mjpeg", "-huffman", "default", "-pix_fmt", "yuvj420p", "-f", "rtp"]),
            "other-codec",
            "Motion JPEG",
        ),
        (live(&["-c:v", "mpeg2video", "-f", "rtp_mpegts"]), "other-codec", "MPEG-TS"),
    ];
    for (arguments, code, word) in cases {
        let fed = Fed::h264();
        let url = fed.video_url();
        let _sender = Ffmpeg::start(&[&arguments[..], &[&url]].concat());
        named(&fed, &arguments, code, word, |fed| fed.video());
        wait_until("it ends being live", || !fed.is_live());
    }
    // Without RTP.
    let fed = Fed::h264();
    let url = format!("udp://{}?pkt_size=1316", fed.input.video_addr().unwrap());
    let arguments = [&live(&x264)[..], &["-f", "mpegts", &url]].concat();
    let _sender = Ffmpeg::start(&arguments);
    named(&fed, &arguments, "no-rtp", "MPEG-TS", |fed| fed.video());
}

fn named(
    fed: &Fed,
    arguments: &[&str],
    code: &str,
    word: &str,
    stream: impl Fn(&Fed) -> RtpStreamStatus,
) {
    let seen = |status: RtpStreamStatus| status.counters.packets + status.counters.ignored > 0;
    wait_until("no packets", || seen(stream(fed)));
    let took = wait_until(&format!("{arguments:?} is not named"), || stream(fed).fault.is_some());
    let fault = stream(fed).fault.unwrap();
    println!("{code} after {took:?}: {fault}");
    assert_eq!(fault.as_str(), code, "{arguments:?}");
    assert!(fault.to_string().contains(word), "{fault}");
}

#[test]
fn sound_that_is_no_opus_is_named_and_not_played() {
    let tone = ["-re", "-f", "lavfi", "-i", "anoisesrc=color=pink:sample_rate=48000"];
    for (encoder, code, word) in [
        (&["-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"][..], "other-codec", "law"),
        (&["-c:a", "pcm_mulaw", "-ar", "48000", "-ac", "1"], "unreadable", "libopus"),
        (&["-c:a", "aac"], "other-codec", "AAC"),
        (&["-c:a", "pcm_s16be", "-ac", "1"], "unreadable", "libopus"),
        (&["-c:a", "libmp3lame"], "other-codec", "MPEG audio"),
    ] {
        let fed = Fed::h264();
        let url = fed.audio_url();
        let arguments = [&tone[..], encoder, &["-f", "rtp", &url]].concat();
        let _sender = Ffmpeg::start(&arguments);
        named(&fed, &arguments, code, word, |fed| fed.session.status().rtp_input.unwrap().audio);
        let audio = fed.session.status().rtp_input.unwrap().audio.counters;
        assert!(audio.units <= 6, "{encoder:?}: {audio:?}");
    }
    let fed = Fed::h264();
    let url = fed.audio_url();
    let _sender = Ffmpeg::start(&[&tone[..], &["-c:a", "libopus", "-f", "rtp", &url]].concat());
    let audio = || fed.session.status().rtp_input.unwrap().audio;
    wait_until("Opus is heard", || audio().counters.units > 50);
    assert_eq!((audio().fault, audio().counters.dropped_units), (None, 0));
}

#[test]
fn a_refresh_piece_by_piece_is_named_to_who_joins_in_the_middle() {
    let socket = UdpSocket::bind(LOCAL).unwrap();
    let addr = socket.local_addr().unwrap();
    let encoder = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-x264-params",
        "intra-refresh=1:keyint=30",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rtp",
    ];
    let url = format!("rtp://{addr}?pkt_size=1200");
    let _sender = Ffmpeg::start(&[&LIVE[..], &encoder, &[&url]].concat());
    socket.recv_from(&mut [0; 2_000]).unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(socket);
    let video = Some(addr);
    let fed = Fed::open(VideoCodec::H264, RtpInputConfig { video, ..Default::default() });
    let code = || fed.video().fault.map(visavis::RtpFault::as_str);
    wait_until("it is named", || code() == Some("intra-refresh"));
    assert!(!fed.is_live());
}

/// Passes datagrams on, all but each fiftieth.
fn lossy(to: SocketAddr, stop: Arc<AtomicBool>) -> SocketAddr {
    let socket = UdpSocket::bind(LOCAL).unwrap();
    let addr = socket.local_addr().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    thread::spawn(move || {
        let (mut buffer, mut count) = ([0; 2_000], 0_u32);
        while !stop.load(Relaxed) {
            let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
            count += 1;
            // Not of the beginning: the first keyframe has to come.
            if count < 60 || count % 50 != 0 {
                socket.send_to(&buffer[..length], to).unwrap();
            }
        }
    });
    addr
}

#[test]
fn lost_packets_leave_the_last_picture_and_no_stall() {
    let fed = Fed::h264();
    let stop = Arc::new(AtomicBool::new(false));
    let relay = lossy(fed.input.video_addr().unwrap(), Arc::clone(&stop));
    let encoder = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "30",
        "-b:v",
        "1M",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rtp",
    ];
    let url = format!("rtp://{relay}?pkt_size=1000");
    let sender = Ffmpeg::start(&[&LIVE[..], &encoder, &[&url]].concat());
    wait_until("it begins", || fed.is_live());
    wait_until("packets are lost", || fed.video().counters.lost >= 8);
    assert!(fed.video().counters.dropped_units > 0);
    assert_eq!((fed.is_live(), fed.session.status().metrics.stalls), (true, 0));
    drop(sender);
    wait_until("silence ends it", || !fed.is_live());
    stop.store(true, Relaxed);
}

#[test]
fn an_encoder_that_is_started_again_at_once_is_shown_from_its_first_keyframe_on() {
    let fed = Fed::h264();
    let url = fed.video_url();
    // One keyframe in 8 s.
    let encoder = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "250",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rtp",
    ];
    let arguments = [&LIVE[..], &encoder, &[&url]].concat();
    let sender = Ffmpeg::start(&arguments);
    wait_until("it begins", || fed.pictures() > 15);
    drop(sender);
    let _again = Ffmpeg::start(&arguments);
    wait_until("it is followed", || fed.video().counters.restarts == 1);
    let before = fed.pictures();
    wait_until("pictures go on", || fed.pictures() > before + 30);
    let keyframes = fed.video();
    assert_eq!((keyframes.counters.dropped_units, keyframes.fault), (0, None));
}
