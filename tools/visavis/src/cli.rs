//! The command line. Flags hold no defaults: what is not given here comes from the environment, the
//! file or [`Settings::default`](crate::settings::Settings::default).

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use visavis::{AnnouncedAddress, FrameSize};

use crate::settings::{size_text, texts};

/// Puts a live face on a web page.
#[derive(Debug, Parser)]
#[command(name = "visavis", version, about, long_about = None, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a page and stream to everyone who opens it
    #[command(after_help = EXAMPLES, after_long_help = LONG_HELP)]
    Serve(ServeFlags),
}

const EXAMPLES: &str = "\
Examples:
  visavis serve                               a talking face on http://localhost:8081/
  visavis serve --play talk.mp4               your own video and sound, round and round
  visavis serve --echo                        the face says what you say into your microphone
  visavis serve --per-visitor                 a face of their own for each visitor
  visavis serve --api --listen 127.0.0.1:8081 your program makes sessions over HTTP (docs/http.md)
  visavis serve --listen 127.0.0.1:0 --json   any free port; one JSON line tells which
  visavis serve --announce 203.0.113.7 --udp 0.0.0.0:40000
                                              on a cloud machine behind 1:1 NAT

`visavis serve --help` explains every setting.";

const LONG_HELP: &str = "\
Examples:
  visavis serve                               a talking face on http://localhost:8081/
  visavis serve --play talk.mp4               your own video and sound, round and round
  visavis serve --echo                        the face says what you say into your microphone
  visavis serve --per-visitor                 a face of their own for each visitor
  visavis serve --api --listen 127.0.0.1:8081 your program makes sessions over HTTP (docs/http.md)
  visavis serve --listen 127.0.0.1:0 --json   any free port; one JSON line tells which
  visavis serve --announce 203.0.113.7 --udp 0.0.0.0:40000
                                              on a cloud machine behind 1:1 NAT; open UDP 40000
  visavis serve --rtp-video 127.0.0.1:5004 --rtp-audio 127.0.0.1:5006
                                              what ffmpeg or GStreamer encode, sent on untouched:
      ffmpeg -re -stream_loop -1 -i talk.mp4 \
        -an -c:v libx264 -profile:v baseline -tune zerolatency -g 30 -f rtp rtp://127.0.0.1:5004 \
        -vn -c:a libopus -ac 1 -f rtp rtp://127.0.0.1:5006
      gst-launch-1.0 videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=30 \
        ! rtph264pay config-interval=-1 ! udpsink host=127.0.0.1 port=5004 \
        audiotestsrc is-live=true ! opusenc ! rtpopuspay ! udpsink host=127.0.0.1 port=5006
  visavis serve --tls-cert cert.pem --tls-key key.pem
                                              HTTPS, which browsers want before they hand out a
                                              microphone on anything but localhost
  visavis serve --config visavis.toml         everything in a file; docs/visavis.toml shows all keys

Settings, each layer over the one before:
  1. the defaults named above
  2. the file given with --config
  3. the environment: VISAVIS_LISTEN, VISAVIS_UDP, VISAVIS_ANNOUNCE, VISAVIS_BITRATE and so on, one
     per flag; and WEBRTC_STUN_URLS, WEBRTC_TURN_URLS, WEBRTC_TURN_USER, WEBRTC_TURN_PASS for the
     STUN and TURN servers told to browsers. Lists are separated by commas.
  4. the flags

SIGINT (Ctrl-C) and SIGTERM say goodbye to every viewer and end the program with exit code 0; a
second one ends it at once. SIGHUP has the certificate read again. Errors end it with 1, a wrong command line
with 2.";

/// Flags of `visavis serve`.
#[derive(Debug, Default, Args, Serialize)]
pub struct ServeFlags {
    /// Where the page, the HTTP API and the WebSocket listen (TCP); port 0: any free one
    /// [default: 0.0.0.0:8081]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,

    /// Where the one UDP socket for all media listens; port 0: any free one [default: 0.0.0.0:0]
    ///
    /// Give it a fixed port where a firewall stands in between, and open that port.
    #[arg(long, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<SocketAddr>,

    /// An address browsers are told to send to; repeat for several [default: all of this machine]
    ///
    /// Needed where the machine does not know its own public address, as behind 1:1 NAT. With a port where that
    /// is mapped to another, as on rented GPUs and in containers; further media loops count up from it. Addresses
    /// that this machine gets or loses while it runs are followed.
    #[arg(long, value_name = "IP[:PORT]")]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub announce: Vec<AnnouncedAddress>,

    /// A TOML file with settings; docs/visavis.toml is an annotated example
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// The certificate chain for HTTPS, as PEM; goes with --tls-key [default: plain HTTP]
    #[arg(long, value_name = "FILE.pem")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,

    /// The private key for HTTPS, as PEM
    #[arg(long, value_name = "FILE.pem")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,

    /// Play a video file with its sound, round and round
    ///
    /// MP4 (H264 with AAC or Opus) and Y4M (with a WAV of the same name beside it) are built in.
    /// Everything else is decoded by the program ffmpeg where that is installed.
    #[arg(long, value_name = "FILE", conflicts_with = "demo")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub play: Option<PathBuf>,

    /// Have the built-in face say what visitors say, its mouth following
    ///
    /// The simplest proof that microphones come through: open the page, switch the microphone on, speak.
    /// Of several visitors one has the floor at a time: who began to speak first, until half a second of
    /// silence.
    #[arg(long, conflicts_with_all = ["play", "demo"])]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub echo: bool,

    /// What viewers see while no pictures come, after half a second without one: an image (PNG, JPEG) or a
    /// film that goes round (MP4 with H264, Y4M; what else ffmpeg reads, where it is installed) [default: a
    /// face at rest]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<PathBuf>,

    /// An idle loop that sessions made over HTTP may ask for by its name (`"idle": "NAME"`); repeat for several
    #[arg(long = "idle-loop", value_name = "NAME=FILE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle_loops: Vec<String>,

    /// Show what an encoder sends as RTP to this UDP address; port 0: any free one
    ///
    /// The pictures go to viewers as they are. Nobody can ask the encoder for a keyframe: a viewer
    /// that joins waits for the next one, so let it make one every second or two (ffmpeg: -g; GStreamer's
    /// x264enc: key-int-max), and no B frames (-bf 0; tune=zerolatency). What is wrong with a stream is said
    /// in the log and in /status, with the option that helps. RTCP is taken at the port above, if that is free. Whoever can send to this
    /// address decides what is seen: use 127.0.0.1 or a network that is trusted.
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["play", "demo", "echo", "timecode"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_video: Option<SocketAddr>,

    /// What the encoder of --rtp-video makes, H264, VP8, VP9 or AV1; a browser that cannot decode it
    /// gets no picture [default: H264]
    #[arg(long, value_name = "CODEC", ignore_case = true, value_parser = ["H264", "VP8", "VP9", "AV1"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_video_codec: Option<String>,

    /// The RTP payload type of --rtp-video [default: that of the first packet]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..=127))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_video_pt: Option<u8>,

    /// Play the sound that an encoder sends as RTP (Opus) to this UDP address; goes with --rtp-video
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["play", "demo", "echo", "timecode"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtp_audio: Option<SocketAddr>,

    /// Show the built-in talking face, 512x512 [the default]
    #[arg(long)]
    #[serde(skip)]
    pub demo: bool,

    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as
    /// `info,visavis=debug` [default: info]
    #[arg(long, value_name = "LEVEL|FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,

    /// Video codecs in order of preference, such as VP9,H264; a browser that has none of them gets
    /// what it has. AV1 is one in a build with the feature `av1` [default: H264]
    #[arg(long, value_name = "CODECS", value_delimiter = ',', ignore_case = true,
          value_parser = ["H264", "VP8", "VP9", "AV1"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<Vec<String>>,

    /// Audio codecs in order of preference, as with video [default: opus]
    #[arg(long, value_name = "CODECS", value_delimiter = ',', ignore_case = true,
          value_parser = ["opus", "pcmu", "pcma"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<Vec<String>>,

    /// Milliseconds of sound in one packet, 10 or 20: ten less delay for twice the packets
    /// [default: 20]
    #[arg(long, value_name = "MS", value_parser = ["10", "20"])]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "number")]
    pub packet_ms: Option<String>,

    /// Whether Opus carries a coarse copy of each packet in the next, against loss [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opus_fec: Option<bool>,

    /// Send next to nothing while nobody speaks (Opus discontinuous transmission)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opus_dtx: Option<bool>,

    /// Send every Opus packet twice, to browsers that take it (RED): any one may be lost
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opus_red: Option<bool>,

    /// Scale all pictures to this size, the idle loop's too; of pictures of another shape the middle is
    /// shown [default: each keeps its own]
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    #[serde(serialize_with = "size_text", skip_serializing_if = "Option::is_none")]
    pub size: Option<FrameSize>,

    /// Frames per second of the demo, 1 to 120 [default: 30; a file keeps its own rate]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=120))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<u32>,

    /// Target rate of the video in kbit/s, 50 to 50000 [default: 1500]
    #[arg(long, value_name = "KBPS", value_parser = clap::value_parser!(u64).range(50..=50_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<u64>,

    /// Viewers at once; one more is told that it is full [default: 100]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clients: Option<usize>,

    /// Let programs make, list and end sessions over HTTP (POST /webrtc/sessions/create and so on)
    ///
    /// Whoever reaches the port may: there is no login. Let only your own programs reach it, by
    /// --listen 127.0.0.1:8081 or a proxy. Watching needs no leave. docs/http.md has the routes, with
    /// an example of each.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub api: bool,

    /// Give each visitor a session of its own: a face, a voice and a microphone for them alone
    ///
    /// Without it all visitors watch the same one. Each face is drawn and encoded by itself, which costs
    /// some hundredths to tenths of a core. A session is kept for half a minute after its visitor has left.
    #[arg(long, conflicts_with_all = ["rtp_video", "rtp_audio"])]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub per_visitor: bool,

    /// Sessions made over HTTP and for visitors at once; one more is refused [default: 100]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions: Option<usize>,

    /// An origin such as https://app.example.org whose pages may use the HTTP API and the WebSocket; `*`: all;
    /// repeat for several [default: only this server's own]
    #[arg(long, value_name = "ORIGIN")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cors: Vec<String>,

    /// Where visitors find the server behind a proxy, such as https://face.example.org/avatar
    ///
    /// Its name is one the server goes by, its origin the server's own, and its path what the proxy takes off.
    /// docs/proxies.md has settings for nginx and Caddy.
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,

    /// A name the server goes by, such as face.example.org or *.example.org; `*`: any; repeat for several
    /// [default: addresses, localhost, this machine's name, that of --public-url]
    ///
    /// Requests addressed to other names are refused (421), so that no web page can have its own name resolve
    /// to this server. With --tls-cert every name is taken: the certificate holds it.
    #[arg(long = "allowed-host", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_hosts: Vec<String>,

    /// A proxy whose X-Forwarded-For, -Host, -Port and -Prefix are believed: an address, a network such as
    /// 10.0.0.0/8, or loopback, private or none; repeat for several [default: loopback]
    #[arg(long = "trusted-proxy", value_name = "NETWORK")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,

    /// What the page is called, in its bar and in the browser's tab: up to 80 characters [default: visavis]
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_title: Option<String>,

    /// The picture beside the page's title, which is the tab's as well: SVG, PNG, JPEG or WebP, up to 512 KiB
    /// [default: two halves of a face]
    ///
    /// It is shown 28 pixels high and up to 144 wide, on a light or a dark ground as the visitor likes it, and is
    /// read when the server starts. What kind it is tells its content, not its name.
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_logo: Option<PathBuf>,

    /// Media loops that share out the viewers, each a thread with a UDP port of its own [default: 1]
    ///
    /// One carries many hundred viewers; more are for hosts that have cores for them. With a port in
    /// --udp, the second loop takes the port after it, and so on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loops: Option<u64>,

    /// The processor core the media loop stays on, counted from 0 [default: any]
    ///
    /// Name one that nothing else runs on (isolcpus, cgroups), or leave it out. Further loops take the
    /// cores after it.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_core: Option<usize>,

    /// Run the threads that keep time with real-time priority; needs CAP_SYS_NICE
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub realtime: bool,

    /// Paint the time of sending into the bottom of each picture, to measure latency by
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub timecode: bool,

    /// Print one line of JSON on stdout when ready, and nothing else
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json: bool,
}

/// A number that clap has checked as one of some texts.
fn number<S: serde::Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match text.as_deref().map(str::parse::<u64>) {
        Some(Ok(number)) => serializer.serialize_u64(number),
        _ => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn contradictions_and_nonsense_are_usage_errors() {
        for bad in [
            &["visavis", "serve", "--demo", "--play", "a.mp4"][..],
            &["visavis", "serve", "--demo", "--rtp-video", "127.0.0.1:0"],
            &["visavis", "serve", "--play", "a.mp4", "--rtp-audio", "127.0.0.1:0"],
            &["visavis", "serve", "--echo", "--play", "a.mp4"],
            &["visavis", "serve", "--echo", "--rtp-video", "127.0.0.1:0"],
            &["visavis", "serve", "--rtp-video-pt", "128"],
            &["visavis", "serve", "--fps", "0"],
            &["visavis", "serve", "--video-codec", "mpeg2"],
            &["visavis", "serve", "--audio-codec", "opus,g729"],
            &["visavis", "serve", "--packet-ms", "30"],
            &["visavis", "serve", "--listen", "8081"],
            &["visavis"],
        ] {
            assert!(Cli::try_parse_from(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn help_names_every_default() {
        let help = Cli::command().find_subcommand_mut("serve").unwrap().render_long_help();
        let help = help.to_string();
        for default in ["0.0.0.0:8081", "0.0.0.0:0", "[default: info]", "1500", "[default: 100]"] {
            assert!(help.contains(default), "{default}");
        }
    }
}
