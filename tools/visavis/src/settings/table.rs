//! The settings of `visavis serve`, each defined once: its key, type, default, and in its doc comment the help text
//! of the command line and of docs/visavis.toml. The first paragraph is the short help.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use visavis::address::AnnouncedAddress;
use visavis::audio::AudioCodec;
use visavis::encoder::EncoderChoice;
use visavis::video::{FrameSize, RungConfig, VideoCodec};

use super::definition::{Definition, Spec};
use super::given::{Given, Invalid};
use super::values::{NamedFile, Value};

/// Makes the struct, its defaults and the table out of one list.
macro_rules! settings {
    ($( section $section:literal {
        $( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, $spec:expr; )+
    } )+) => {
        /// Every setting of `visavis serve`. The fields are named as the keys of a settings file.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $( $( $(#[doc = $doc])+ pub $key: $type, )+ )+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $( $( $key: $default, )+ )+ }
            }
        }

        impl Settings {
            /// Sets one setting.
            pub(super) fn set(
                &mut self,
                definition: &Definition,
                given: &Given,
            ) -> Result<(), Invalid> {
                match definition.key {
                    $( $( stringify!($key) => self.$key = Value::read(given, &definition.spec)?, )+ )+
                    _ => {}
                }
                Ok(())
            }
        }

        /// The definitions of all settings, in the order in which people read them.
        pub(crate) fn definitions() -> Vec<Definition> {
            let defaults = Settings::default();
            vec![ $( $( Definition {
                key: stringify!($key),
                section: $section,
                doc: &[$($doc),+],
                spec: $spec,
                default: defaults.$key.plain(),
                default_toml: defaults.$key.toml(),
                check: |given, spec| <$type as Value>::read(given, spec).map(drop),
            }, )+ )+ ]
        }
    };
}

const VIDEO_CODECS: &[&str] = &["H264", "VP8", "VP9", "AV1"];
const ENCODERS: &[&str] = &["auto", "nvenc", "software"];
const AUDIO_CODECS: &[&str] = &["opus", "pcmu", "pcma"];

/// Sources of media that exclude an encoder's RTP.
const NOT_WITH_RTP: &[&str] = &["play", "demo", "echo", "timecode"];

fn any_address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

settings! {
    section "Network" {
        /// Address of the page, the HTTP API and the WebSocket (TCP); port 0: any free port
        listen: SocketAddr = any_address(8081), Spec::value("listen", "IP:PORT");

        /// Address of the UDP socket for all media; port 0: any free port
        ///
        /// Give it a fixed port where there is a firewall, and open that port, for TCP too (--ice-tcp).
        udp: SocketAddr = any_address(0), Spec::value("udp", "IP:PORT");

        /// Address that browsers send media to; repeat for several
        ///
        /// Needed where the machine does not know its own public address, as behind 1:1 NAT. Give the port too where
        /// it is mapped to another one, as on rented GPUs and in containers: 203.0.113.7:20638 or
        /// [2001:db8::7]:20638; further media loops count up from it. Without this setting, addresses that the machine
        /// gains or loses while the server runs are followed.
        announce: Vec<AnnouncedAddress> = Vec::new(),
            Spec::list("announce", "IP[:PORT]").unset("all addresses of this machine");

        /// Let viewers come by TCP too (ICE-TCP), at the address and port of --udp
        ///
        /// For networks that let no UDP through: open the port for both. Where --listen has the same port, TCP there is for
        /// the page alone.
        ice_tcp: bool = true, Spec::toggle("ice-tcp", "BOOL");

        /// Let viewers' media come to --listen too, by TCP; PORT is the number at which they reach it, such as 443
        ///
        /// For networks that let nothing through but web pages: page, signaling and media then need one TCP port. It works
        /// with and without TLS, but not through a proxy that ends TLS or HTTP there. Of the ports below 1024 browsers take 80
        /// and 443 alone, and those not at private addresses.
        ice_tcp_port: Option<u16> = None, Spec::value("ice-tcp-port", "PORT").range(1, 65_535)
            .unset("not there").example("443");

        /// Number of media loops that share the viewers, each a thread with a UDP port of its own
        ///
        /// One loop serves many hundred viewers; use more on hosts that have cores for them. With a fixed port in
        /// --udp, the second loop takes the port after it, and so on.
        loops: usize = 1, Spec::value("loops", "N").range(1, 64);

        /// Processor core for the media loop, counted from 0
        ///
        /// Choose one that nothing else runs on (isolcpus, cgroups), or leave it unset. Further loops take the cores
        /// after it.
        media_core: Option<usize> = None, Spec::value("media-core", "N").unset("any").example("1");

        /// Run the threads that keep time with real-time priority; needs CAP_SYS_NICE
        realtime: bool = false, Spec::switch("realtime");

        /// Maximum number of viewers; one more is refused with the error `full`
        max_clients: usize = 100, Spec::value("max-clients", "N").range(1, u64::MAX);
    }

    section "HTTPS, names and proxies" {
        /// Certificate chain for HTTPS, as PEM; requires --tls-key
        ///
        /// Browsers allow microphones only on HTTPS pages and on localhost.
        tls_cert: Option<PathBuf> = None,
            Spec::value("tls-cert", "FILE.pem").unset("plain HTTP").example("\"/etc/visavis/cert.pem\"");

        /// Private key for HTTPS, as PEM; requires --tls-cert
        tls_key: Option<PathBuf> = None,
            Spec::value("tls-key", "FILE.pem").example("\"/etc/visavis/key.pem\"");

        /// Address of the server for visitors when it is behind a proxy, such as https://face.example.org/avatar
        ///
        /// Its host is a name of this server, its origin the server's own, and its path the prefix that the proxy
        /// removes. docs/proxies.md has settings for nginx and Caddy.
        public_url: Option<String> = None,
            Spec::value("public-url", "URL").example("\"https://face.example.org/avatar\"");

        /// Name of this server, such as face.example.org or *.example.org; `*`: any; repeat for several
        ///
        /// Requests for other names are refused (421), so that no web page can point a name of its own at this server.
        /// IP addresses, localhost, this machine's name and that of --public-url are always accepted. With --tls-cert
        /// every name is: the certificate limits them.
        allowed_hosts: Vec<String> = Vec::new(),
            Spec::list("allowed-host", "NAME").unset("none but those that are always accepted");

        /// Proxy whose X-Forwarded-For, -Host, -Port and -Prefix headers are trusted: an address, a network such as
        /// 10.0.0.0/8, or loopback, private or none; repeat for several
        trusted_proxies: Vec<String> = vec![String::from("loopback")],
            Spec::list("trusted-proxy", "NETWORK");

        /// Origin whose pages may use the HTTP API and the WebSocket, such as https://app.example.org; `*`: any;
        /// repeat for several
        cors: Vec<String> = Vec::new(), Spec::list("cors", "ORIGIN").unset("this server's own only");
    }

    section "Sessions and page" {
        /// Let programs create, list and end sessions over HTTP (POST /webrtc/sessions/create and so on)
        ///
        /// There is no login: everybody who can reach the port may use it. Let only your own programs reach it, with
        /// --listen 127.0.0.1:8081 or a proxy. Watching does not need this setting. docs/http.md has the routes, with
        /// an example of each.
        api: bool = false, Spec::switch("api");

        /// Give each visitor a session of their own, with its own face, voice and microphone
        ///
        /// Without it all visitors watch the same session. Each face is drawn and encoded separately, which takes some
        /// hundredths to tenths of a core. A session is kept for half a minute after its visitor has left.
        per_visitor: bool = false, Spec::switch("per-visitor").conflicts(&["rtp_video", "rtp_audio"]);

        /// Maximum number of sessions created over HTTP and for visitors; one more is refused
        max_sessions: usize = 100, Spec::value("max-sessions", "N").range(1, u64::MAX);

        /// Title of the page, in its bar and in the browser tab: up to 80 characters
        page_title: Option<String> = None,
            Spec::value("page-title", "TEXT").unset("visavis").example("\"Anna\"");

        /// Picture beside the title and in the browser tab: SVG, PNG, JPEG or WebP, up to 512 KiB
        ///
        /// It is shown 28 pixels high and up to 144 pixels wide, on a light or a dark background, and is read when the
        /// server starts. The kind is recognised from the content, not from the file name.
        page_logo: Option<PathBuf> = None, Spec::value("page-logo", "FILE")
            .unset("two halves of a face").example("\"/etc/visavis/anna.svg\"");
    }

    section "Source" {
        /// Play a video file with its sound in a loop
        ///
        /// MP4 (H264 with AAC or Opus) and Y4M (with a WAV file of the same name beside it) are built in. All other
        /// files are decoded by the program ffmpeg, if it is installed.
        play: Option<PathBuf> = None, Spec::value("play", "FILE")
            .conflicts(&["demo"]).unset("the built-in talking face").example("\"talk.mp4\"");

        /// Have the built-in face repeat what visitors say
        ///
        /// The simplest proof that microphones work: open the page, switch the microphone on, speak. Of several
        /// visitors one is repeated at a time: the first to speak, until half a second of silence.
        echo: bool = false, Spec::switch("echo").conflicts(&["play", "demo"]);

        /// Image (PNG, JPEG) or film that viewers see after half a second without pictures
        ///
        /// A film is played in a loop: MP4 with H264, Y4M, and all formats of ffmpeg, if that is installed.
        idle: Option<PathBuf> = None,
            Spec::value("idle", "FILE").unset("a face at rest").example("\"waiting.mp4\"");

        /// Idle loop that sessions created over HTTP can select by name (`"idle": "NAME"`), such as anna=anna.mp4; repeat for
        /// several
        idle_loops: Vec<NamedFile> = Vec::new(), Spec::list("idle-loop", "NAME=FILE").unset("none");

        /// UDP address to receive an encoder's video on, as RTP; port 0: any free port
        ///
        /// The pictures are sent to viewers as they are. The encoder is asked for a keyframe over RTCP (PLI) when viewers
        /// need one. One that cannot be asked, such as ffmpeg, should make one every second or two (ffmpeg: -g;
        /// GStreamer's x264enc: key-int-max): a viewer who joins waits for it. No B frames (-bf 0; tune=zerolatency). Problems with a stream are reported in the log and
        /// in /status, with the option that helps. RTCP is received on the next port, if that is free. Everybody who
        /// can send to this address decides what is shown: use 127.0.0.1 or a trusted network.
        rtp_video: Option<SocketAddr> = None, Spec::value("rtp-video", "IP:PORT")
            .conflicts(NOT_WITH_RTP).example("\"127.0.0.1:5004\"");

        /// Codec of --rtp-video; a browser that cannot decode it gets no picture
        rtp_video_codec: VideoCodec = VideoCodec::H264,
            Spec::value("rtp-video-codec", "CODEC").choices(VIDEO_CODECS);

        /// RTP payload type of --rtp-video
        rtp_video_pt: Option<u8> = None, Spec::value("rtp-video-pt", "N")
            .range(0, 127).unset("that of the first packet").example("96");

        /// Where the sender of --rtp-video takes RTCP: reports, requests for keyframes, bitrates
        ///
        /// Without it that is where its own reports come from; a sender that makes none is told nothing.
        rtp_video_feedback: Option<SocketAddr> = None, Spec::value("rtp-video-feedback", "IP:PORT")
            .unset("where its sender reports come from").example("\"127.0.0.1:5009\"");

        /// Tell the sender of --rtp-video which bitrate the viewer's network takes (RTCP REMB); one viewer at a time
        ///
        /// Between --min-bitrate and --bitrate. Use it only with an encoder that changes its bitrate when it is told to.
        rtp_video_adaptive: bool = false, Spec::switch("rtp-video-adaptive");

        /// UDP address to receive an encoder's sound on, as RTP with Opus; requires --rtp-video
        rtp_audio: Option<SocketAddr> = None, Spec::value("rtp-audio", "IP:PORT")
            .conflicts(NOT_WITH_RTP).example("\"127.0.0.1:5006\"");

        /// Draw the time of sending into the bottom of each picture, for latency measurements
        timecode: bool = false, Spec::switch("timecode");
    }

    section "Video" {
        /// Video codecs in order of preference, such as VP9,H264
        ///
        /// A browser that supports none of them gets one that it supports. AV1 needs a build with the feature `av1`.
        video_codec: Vec<VideoCodec> = vec![VideoCodec::H264],
            Spec::preferences("video-codec", "CODECS").choices(VIDEO_CODECS);

        /// What encodes H264: auto, nvenc or software
        ///
        /// auto takes NVENC, the encoder of NVIDIA's GPUs, where the GPU and its driver have it, and else software; the log
        /// says which, and why. With nvenc the server does not start without it. One that fails later is replaced by
        /// software in either case.
        encoder: EncoderChoice = EncoderChoice::Auto,
            Spec::value("encoder", "ENCODER").choices(ENCODERS);

        /// The GPU that NVENC is used of, counted from 0
        gpu: u32 = 0, Spec::value("gpu", "N").range(0, 63);

        /// Target bitrate of the video, in kbit/s
        bitrate: u64 = 1_500, Spec::value("bitrate", "KBPS").range(50, 50_000);

        /// Least bitrate of the video, in kbit/s
        ///
        /// Viewers whose networks take less than the target get a smaller picture: 45 %, 20 % or 8 % of the bitrate, and
        /// 3/4, 1/2 or 1/4 of each side, but none below this. As much as the target: all get the same.
        min_bitrate: u64 = 100, Spec::value("min-bitrate", "KBPS").range(0, 50_000);

        /// Smaller picture for such viewers, such as 50%:300 or 25%:120:15; repeat for up to three
        ///
        /// So much of each side, at so many kbit/s, with so many frames per second at most. With any of them there are no
        /// others.
        rungs: Vec<RungConfig> = Vec::new(),
            Spec::list("rung", "SIDE%:KBPS[:FPS]").unset("as --min-bitrate says");

        /// Size that all pictures are scaled to, the idle loop's too, such as 512x512
        ///
        /// Pictures of another shape are cropped to the middle.
        size: Option<FrameSize> = None, Spec::value("size", "WIDTHxHEIGHT")
            .unset("each picture keeps its own").example("\"512x512\"");

        /// Frames per second of the talking face; a file keeps its own rate
        fps: Option<u32> = None, Spec::value("fps", "N").range(1, 120).unset("30").example("30");
    }

    section "Audio" {
        /// Audio codecs in order of preference
        ///
        /// A browser that supports none of them gets one that it supports.
        audio_codec: Vec<AudioCodec> = vec![AudioCodec::Opus],
            Spec::preferences("audio-codec", "CODECS").choices(AUDIO_CODECS);

        /// Milliseconds of sound in one packet
        ///
        /// With 10 sound arrives 10 ms sooner, for twice the packets.
        packet_ms: u32 = 20, Spec::value("packet-ms", "MS").choices(&["10", "20"]);

        /// Send a coarse copy of each Opus packet in the next one while viewers lose packets (in-band FEC)
        opus_fec: bool = true, Spec::toggle("opus-fec", "BOOL");

        /// Send almost nothing while nobody speaks (Opus discontinuous transmission)
        opus_dtx: bool = false, Spec::toggle("opus-dtx", "BOOL");

        /// Send every Opus packet twice in any case, to browsers that support it (RED, RFC 2198)
        ///
        /// It doubles the bitrate of the sound. Viewers that lose 1 % of their packets or more get copies anyway, for
        /// as long as they do.
        opus_red: bool = false, Spec::toggle("opus-red", "BOOL");
    }

    section "STUN and TURN" {
        /// STUN servers for browsers, such as stun:stun.example.org:3478
        stun_urls: Vec<String> = Vec::new(), Spec::without_flag().unset("none");

        /// TURN servers for browsers, such as turn:turn.example.org:3478?transport=udp
        turn_urls: Vec<String> = Vec::new(), Spec::without_flag().unset("none");

        /// User name for the TURN servers
        turn_user: Option<String> = None, Spec::without_flag().example("\"visavis\"");

        /// Password for the TURN servers
        turn_pass: Option<String> = None, Spec::without_flag().example("\"secret\"");
    }

    section "Output" {
        /// Log on stderr: error, warn, info, debug, trace, or a filter such as `info,visavis=debug`
        log: String = String::from("info"), Spec::value("log", "LEVEL|FILTER");

        /// Print one line of JSON on stdout when ready, and nothing else
        json: bool = false, Spec::switch("json");
    }
}
