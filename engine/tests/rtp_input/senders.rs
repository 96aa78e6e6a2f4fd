//! Programs that send, as people run them.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A picture with much in it, and what is before an encoder.
macro_rules! ffmpeg_picture {
    () => {
        "-re -f lavfi -i testsrc2=size=320x240:rate=30 -pix_fmt yuv420p "
    };
}
macro_rules! gst_picture {
    () => {
        "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
    };
}
macro_rules! ffmpeg_sound {
    () => {
        "-re -f lavfi -i anoisesrc=color=pink:sample_rate=48000 "
    };
}
macro_rules! gst_sound {
    ($rate:literal, $channels:literal) => {
        concat!(
            "audiotestsrc is-live=true wave=pink-noise ! audio/x-raw,rate=",
            $rate,
            ",channels=",
            $channels,
            " ! "
        )
    };
}
pub(crate) use {ffmpeg_picture, ffmpeg_sound, gst_picture, gst_sound};

/// What to run, with all that follows the program's name but where it is sent to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    /// Ends with the name of a muxer. Datagrams of 1,200 bytes.
    Ffmpeg(&'static str),
    /// Ends with a payloader.
    Gst(&'static str),
}

/// A program that sends. Dropping it ends it.
pub(crate) struct Sender(Child);

impl Sender {
    pub(crate) fn start(line: Line, to: SocketAddr) -> Self {
        match line {
            // MPEG-TS without RTP has datagrams of seven packets.
            Line::Ffmpeg(line) if line.ends_with("mpegts") && !line.ends_with("rtp_mpegts") => {
                Self::ffmpeg(&format!("{line} udp://{to}?pkt_size=1316"))
            }
            Line::Ffmpeg(line) => Self::ffmpeg(&format!("{line} rtp://{to}?pkt_size=1200")),
            Line::Gst(line) => Self::gst(line, to),
        }
    }

    /// A pipeline up to its payloader.
    pub(crate) fn gst(line: &str, to: SocketAddr) -> Self {
        let (host, port) = (to.ip(), to.port());
        Self::gst_whole(&format!("{line} ! udpsink host={host} port={port}"))
    }

    /// A whole pipeline.
    pub(crate) fn gst_whole(line: &str) -> Self {
        Self::spawn(Command::new("gst-launch-1.0").arg("-q"), line)
    }

    /// All of the arguments but those that keep it quiet; none of them has a space in it.
    pub(crate) fn ffmpeg(line: &str) -> Self {
        Self::spawn(Command::new("ffmpeg").args(["-nostdin", "-v", "error"]), line)
    }

    fn spawn(program: &mut Command, line: &str) -> Self {
        let program = program.args(line.split_whitespace());
        Self(program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to its end.
pub(crate) fn ffmpeg(line: &str) {
    let mut command = Command::new("ffmpeg");
    let status =
        command.args(["-nostdin", "-v", "error", "-y"]).args(line.split_whitespace()).status();
    assert!(status.unwrap().success(), "{line}");
}
