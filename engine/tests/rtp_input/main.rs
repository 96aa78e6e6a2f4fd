//! What ffmpeg and GStreamer send as RTP, as people run them: what is right is shown at once, what is wrong is named.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

mod feedback;
mod senders;
#[path = "../viewer/mod.rs"]
mod viewer;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use visavis::idle::IdleLoop;
use visavis::rtp_input::{RtpInput, RtpInputConfig, RtpStreamStatus};
use visavis::video::VideoCodec;
use visavis::{Engine, EngineConfig, Session, SessionConfig};

use Line::{Ffmpeg, Gst};
use senders::{
    Line, Sender, ffmpeg, ffmpeg_picture as picture, ffmpeg_sound as sound, gst_picture, gst_sound,
};
use viewer::Viewer;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long anything is waited for. A machine that is busy is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session that is fed by RTP.
struct Fed {
    input: RtpInput,
    session: Session,
    engine: Engine,
}

impl Fed {
    fn open(codec: VideoCodec, config: RtpInputConfig) -> Self {
        let engine = Engine::start(EngineConfig::default().udp(LOCAL)).unwrap();
        let config_of_session =
            SessionConfig::default().encoded(Some(codec)).idle(Some(IdleLoop::built_in()));
        let session = engine.create_session(config_of_session).unwrap();
        session.start();
        let input = RtpInput::start(&session, config).unwrap();
        Self { input, session, engine }
    }

    fn of(codec: VideoCodec) -> Self {
        let config = RtpInputConfig::default().video(Some(LOCAL)).audio(Some(LOCAL));
        Self::open(codec, config)
    }

    fn h264() -> Self {
        Self::of(VideoCodec::H264)
    }

    fn video_addr(&self) -> SocketAddr {
        self.input.video_addr().unwrap()
    }

    fn send_video(&self, line: Line) -> Sender {
        Sender::start(line, self.video_addr())
    }

    fn send_audio(&self, line: Line) -> Sender {
        Sender::start(line, self.input.audio_addr().unwrap())
    }

    fn video(&self) -> RtpStreamStatus {
        self.session.status().rtp_input.unwrap().video
    }

    fn audio(&self) -> RtpStreamStatus {
        self.session.status().rtp_input.unwrap().audio
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

/// Runs the cases three at a time: each takes a second, in which it mostly waits.
fn for_each<T: Copy + Send + Sync>(cases: &[T], check: impl Fn(T) + Sync) {
    let check = &check;
    for together in cases.chunks(3) {
        thread::scope(|scope| {
            for &case in together {
                scope.spawn(move || check(case));
            }
        });
    }
}

const FAST_X264: &str = concat!(picture!(), "-c:v libx264 -preset ultrafast ");

#[test]
fn a_copied_stream_that_begins_with_messages_is_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mp4");
    let path = file.to_str().unwrap();
    // A keyframe every 250 pictures, and a message about the encoder before the first: as x264 has it.
    let encode = FAST_X264.replace("-re ", "");
    ffmpeg(&format!("{encode} -t 9 -bf 0 {path}"));
    let fed = Fed::h264();
    let to = fed.video_addr();
    let _sender = Sender::ffmpeg(&format!(
        "-re -i {path} -c:v copy -bsf:v h264_mp4toannexb -f rtp rtp://{to}?pkt_size=1200"
    ));
    wait_until("no packets", || fed.video().counters.packets > 0);
    let took = wait_until("no picture", || fed.is_live());
    println!("first picture {took:?} after the first packet was told of");
    assert!(fed.pictures() < 200, "not at the second keyframe");
    wait_until("no more pictures", || fed.pictures() > 40);
    assert_eq!((fed.video().fault, fed.video().counters.dropped_units), (None, 0));
}

/// What was sent, and what has to be told of it: the code, and a word of the sentence.
type Wrong = (Line, &'static str, &'static str);

#[test]
fn what_cannot_be_shown_is_named_and_is_not_live() {
    let cases: [Wrong; 18] = [
        (
            Ffmpeg(concat!(picture!(), "-c:v libx264 -preset ultrafast -bf 2 -g 30 -f rtp")),
            "b-frames",
            "-bf 0",
        ),
        (
            Ffmpeg(concat!(picture!(), "-c:v libx265 -preset ultrafast -f rtp")),
            "other-codec",
            "HEVC",
        ),
        (Ffmpeg(concat!(picture!(), "-c:v mpeg4 -f rtp")), "other-codec", "MPEG-4"),
        (
            Ffmpeg(concat!(picture!(), "-c:v libvpx -deadline realtime -f rtp")),
            "other-codec",
            "VP8",
        ),
        (
            Ffmpeg(concat!(picture!(), "-c:v mjpeg -huffman default -pix_fmt yuvj420p -f rtp")),
            "other-codec",
            "Motion JPEG",
        ),
        (Ffmpeg(concat!(picture!(), "-c:v mpeg2video -f rtp_mpegts")), "other-codec", "MPEG-TS"),
        (
            Ffmpeg(concat!(picture!(), "-c:v libx264 -preset ultrafast -f mpegts")),
            "no-rtp",
            "MPEG-TS",
        ),
        // x264enc without any option has B frames.
        (Gst(concat!(gst_picture!(), "x264enc ! rtph264pay")), "b-frames", "bframes=0"),
        (
            Gst(concat!(
                gst_picture!(),
                "x265enc speed-preset=ultrafast tune=zerolatency ! rtph265pay config-interval=-1"
            )),
            "other-codec",
            "HEVC",
        ),
        (Gst(concat!(gst_picture!(), "vp8enc deadline=1 ! rtpvp8pay")), "other-codec", "VP8"),
        (
            Gst(concat!(gst_picture!(), "vp8enc deadline=1 ! rtpvp8pay picture-id-mode=15-bit")),
            "other-codec",
            "VP8",
        ),
        (
            Gst(concat!(gst_picture!(), "vp9enc deadline=1 cpu-used=8 ! rtpvp9pay")),
            "other-codec",
            "VP9",
        ),
        (Gst(concat!(gst_picture!(), "jpegenc ! rtpjpegpay")), "other-codec", "Motion JPEG"),
        (Gst(concat!(gst_picture!(), "rtpvrawpay")), "other-codec", "uncompressed"),
        (
            Gst(concat!(gst_picture!(), "x264enc tune=zerolatency ! mpegtsmux ! rtpmp2tpay")),
            "other-codec",
            "mpegtsmux",
        ),
        (
            Gst(concat!(gst_picture!(), "x264enc tune=zerolatency ! mpegtsmux alignment=7")),
            "no-rtp",
            "mpegtsmux",
        ),
        (
            Gst(concat!(
                gst_picture!(),
                "x264enc tune=zerolatency ! video/x-h264,stream-format=byte-stream"
            )),
            "no-rtp",
            "rtph264pay",
        ),
        (Gst(concat!(gst_picture!(), "rtpgstpay")), "unreadable", "x264enc"),
    ];
    for_each(&cases, |case| {
        let fed = Fed::h264();
        let _sender = fed.send_video(case.0);
        named(&case, || fed.video());
        // Of B frames it is known once the first comes, behind a keyframe that could be shown.
        assert!(case.1 == "b-frames" || fed.pictures() == 0, "{case:?}");
        wait_until("it ends being live", || !fed.is_live());
    });
}

#[test]
fn a_film_that_is_copied_without_its_parameter_sets_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mp4");
    let path = file.to_str().unwrap();
    let encode = FAST_X264.replace("-re ", "");
    ffmpeg(&format!("{encode} -t 5 -g 30 {path}"));
    let fed = Fed::h264();
    let to = fed.video_addr();
    let line = format!("-re -i {path} -c:v copy -f rtp rtp://{to}?pkt_size=1200");
    let _sender = Sender::ffmpeg(&line);
    named(&(Ffmpeg("copied"), "no-parameter-sets", "-bsf:v"), || fed.video());
    assert_eq!((fed.pictures(), fed.is_live()), (0, false));
    // rtph264pay sends those of a file once, at the beginning.
    let line = format!("filesrc location={path} ! qtdemux ! rtph264pay");
    let (fed, _sender) = joined_in_the_middle(|to| Sender::gst(&line, to));
    named(&(Gst("copied"), "no-parameter-sets", "config-interval=-1"), || fed.video());
    assert_eq!((fed.pictures(), fed.is_live()), (0, false));
}

#[test]
fn another_payload_type_than_was_asked_for_is_named() {
    let cases: [Wrong; 2] = [
        (
            Ffmpeg(concat!(picture!(), "-c:v libx264 -preset ultrafast -tune zerolatency -f rtp")),
            "payload-type",
            "-payload_type 102",
        ),
        (
            Gst(concat!(gst_picture!(), "x264enc tune=zerolatency ! rtph264pay pt=96")),
            "payload-type",
            "pt=102",
        ),
    ];
    for_each(&cases, |case| {
        let (video, video_payload_type) = (Some(LOCAL), Some(102));
        let config = RtpInputConfig::default().video(video).video_payload_type(video_payload_type);
        let fed = Fed::open(VideoCodec::H264, config);
        let _sender = fed.send_video(case.0);
        named(&case, || fed.video());
        assert_eq!((fed.pictures(), fed.is_live()), (0, false));
    });
}

fn named(&(line, code, word): &Wrong, stream: impl Fn() -> RtpStreamStatus) {
    let seen = |status: RtpStreamStatus| status.counters.packets + status.counters.ignored > 0;
    wait_until(&format!("{line:?}: no packets"), || seen(stream()));
    let is_named = || stream().fault.is_some_and(|fault| fault.as_str() == code);
    let start = Instant::now();
    while !is_named() {
        assert!(start.elapsed() < PATIENCE, "{line:?} is not named: {:?}", stream());
        thread::sleep(Duration::from_millis(5));
    }
    let fault = stream().fault.unwrap();
    println!("{code} after {:?}: {fault}", start.elapsed());
    assert!(fault.to_string().contains(word), "{line:?}: {fault}");
}

#[test]
fn sound_that_is_no_opus_is_named_and_not_played() {
    let cases: [Wrong; 11] = [
        (Ffmpeg(concat!(sound!(), "-c:a pcm_mulaw -ar 8000 -ac 1 -f rtp")), "other-codec", "law"),
        (
            Ffmpeg(concat!(sound!(), "-c:a pcm_mulaw -ar 48000 -ac 1 -f rtp")),
            "unreadable",
            "libopus",
        ),
        (Ffmpeg(concat!(sound!(), "-c:a aac -f rtp")), "other-codec", "AAC"),
        (Ffmpeg(concat!(sound!(), "-c:a pcm_s16be -ac 1 -f rtp")), "unreadable", "libopus"),
        (Ffmpeg(concat!(sound!(), "-c:a libmp3lame -f rtp")), "other-codec", "MPEG audio"),
        (Gst(concat!(gst_sound!("8000", "1"), "mulawenc ! rtppcmupay")), "other-codec", "law"),
        (
            Gst(concat!(gst_sound!("8000", "1"), "mulawenc ! rtppcmupay pt=97")),
            "unreadable",
            "opusenc",
        ),
        (
            Gst(concat!(gst_sound!("48000", "2"), "voaacenc ! aacparse ! rtpmp4gpay")),
            "other-codec",
            "AAC",
        ),
        (
            Gst(concat!(gst_sound!("48000", "2"), "voaacenc ! aacparse ! rtpmp4apay")),
            "unreadable",
            "rtpopuspay",
        ),
        (
            Gst(concat!(gst_sound!("48000", "2"), "audioconvert ! rtpL16pay pt=97")),
            "unreadable",
            "rtpopuspay",
        ),
        (
            Gst(concat!(gst_sound!("48000", "2"), "lamemp3enc ! mpegaudioparse ! rtpmpapay")),
            "other-codec",
            "MPEG audio",
        ),
    ];
    for_each(&cases, |case| {
        let fed = Fed::h264();
        let _sender = fed.send_audio(case.0);
        named(&case, || fed.audio());
        let audio = fed.audio().counters;
        assert!(audio.units <= 6, "{case:?}: {audio:?}");
    });
}

#[test]
fn opus_is_played() {
    let cases = [
        Ffmpeg(concat!(sound!(), "-c:a libopus -f rtp")),
        Gst(concat!(gst_sound!("48000", "2"), "opusenc ! rtpopuspay")),
        Gst(concat!(
            gst_sound!("16000", "1"),
            "opusenc dtx=true frame-size=60 ! rtpopuspay dtx=true"
        )),
    ];
    for_each(&cases, |line| {
        let fed = Fed::h264();
        let _sender = fed.send_audio(line);
        wait_until(&format!("{line:?} is heard"), || fed.audio().counters.units > 20);
        let audio = fed.audio();
        assert_eq!((audio.fault, audio.counters.dropped_units), (None, 0), "{line:?}");
    });
}

#[test]
fn what_gstreamer_sends_is_shown() {
    let (h264, vp8, vp9) = (VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9);
    let cases = [
        (
            h264,
            concat!(
                gst_picture!(),
                "x264enc tune=zerolatency key-int-max=30 ! rtph264pay config-interval=-1"
            ),
        ),
        // Parameter sets come once, at the beginning.
        (h264, concat!(gst_picture!(), "x264enc tune=zerolatency key-int-max=30 ! rtph264pay")),
        (
            h264,
            concat!(
                gst_picture!(),
                "x264enc tune=zerolatency key-int-max=30 ! rtph264pay aggregate-mode=zero-latency"
            ),
        ),
        (
            h264,
            concat!(
                gst_picture!(),
                "x264enc tune=zerolatency key-int-max=30 ! rtph264pay aggregate-mode=max-stap mtu=9000"
            ),
        ),
        (h264, concat!(gst_picture!(), "openh264enc ! rtph264pay mtu=300")),
        (vp8, concat!(gst_picture!(), "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay")),
        (vp8, concat!(gst_picture!(), "vp8enc deadline=1 ! rtpvp8pay picture-id-mode=15-bit")),
        (vp9, concat!(gst_picture!(), "vp9enc deadline=1 cpu-used=8 ! rtpvp9pay")),
    ];
    for_each(&cases, |(codec, line)| {
        let fed = Fed::of(codec);
        let _sender = fed.send_video(Gst(line));
        wait_until(&format!("{line} is shown"), || fed.is_live() && fed.pictures() > 40);
        let video = fed.video();
        assert_eq!((video.fault, video.counters.dropped_units), (None, 0), "{line}");
    });
}

/// A session that begins to listen when the sender has been at work for a while.
fn joined_in_the_middle(start: impl FnOnce(SocketAddr) -> Sender) -> (Fed, Sender) {
    let socket = UdpSocket::bind(LOCAL).unwrap();
    let addr = socket.local_addr().unwrap();
    let sender = start(addr);
    socket.recv_from(&mut [0; 2_000]).unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(socket);
    let video = Some(addr);
    let fed = Fed::open(VideoCodec::H264, RtpInputConfig::default().video(video));
    (fed, sender)
}

#[test]
fn what_a_stream_lacks_is_named_to_who_joins_in_the_middle() {
    let cases: [Wrong; 2] = [
        (
            Ffmpeg(concat!(
                picture!(),
                "-c:v libx264 -preset ultrafast -bf 0 -x264-params intra-refresh=1:keyint=30 -f rtp"
            )),
            "intra-refresh",
            "intra-refresh=0",
        ),
        (
            Gst(concat!(
                gst_picture!(),
                "x264enc tune=zerolatency intra-refresh=true key-int-max=30 ! rtph264pay config-interval=-1"
            )),
            "intra-refresh",
            "intra-refresh=false",
        ),
    ];
    for_each(&cases, |case| {
        let (fed, _sender) = joined_in_the_middle(|to| Sender::start(case.0, to));
        named(&case, || fed.video());
        assert!(!fed.is_live());
    });
}

/// Whoever comes between two keyframes that are far apart waits, which is not for others to see; and it is told.
#[test]
fn a_late_viewer_of_a_stream_with_few_keyframes_is_told_of() {
    let fed = Fed::h264();
    let line = "-c:v libx264 -preset ultrafast -tune zerolatency -g 150 -f rtp";
    let to = fed.video_addr();
    let _sender = Sender::ffmpeg(&format!("{}{line} rtp://{to}?pkt_size=1200", picture!()));
    wait_until("it begins", || fed.pictures() > 15);
    assert_eq!(fed.video().fault, None);
    let mut viewer = Viewer::join(&fed.engine.handle(), fed.session.id());
    let joined = Instant::now();
    viewer.run_until(|_| fed.video().fault.is_some_and(|fault| fault.as_str() == "no-keyframe"));
    let told = joined.elapsed();
    assert!(fed.is_live(), "it goes on for those who are there");
    assert_eq!(fed.video().counters.dropped_units, 0);
    println!("told after {told:?}");
    viewer.run_until(|_| fed.video().fault.is_none());
    let before = viewer.video.len();
    viewer.run_until(|viewer| viewer.video.len() > before + 10);
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
    let relay = lossy(fed.video_addr(), Arc::clone(&stop));
    let line = concat!(
        picture!(),
        "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -b:v 1M -f rtp"
    );
    let sender = Sender::start(Ffmpeg(line), relay);
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
    // One keyframe in 8 s.
    let cases = [
        Ffmpeg(concat!(
            picture!(),
            "-c:v libx264 -preset ultrafast -tune zerolatency -g 250 -f rtp"
        )),
        Gst(concat!(gst_picture!(), "x264enc tune=zerolatency key-int-max=250 ! rtph264pay")),
    ];
    for_each(&cases, |line| {
        let fed = Fed::h264();
        let sender = fed.send_video(line);
        wait_until("it begins", || fed.pictures() > 15);
        drop(sender);
        let _again = fed.send_video(line);
        wait_until("it is followed", || fed.video().counters.restarts == 1);
        let before = fed.pictures();
        wait_until("pictures go on", || fed.pictures() > before + 30);
        let video = fed.video();
        assert_eq!((video.counters.dropped_units, video.fault), (0, None), "{line:?}");
    });
}
