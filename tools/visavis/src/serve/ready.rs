//! What is printed on stdout once everything runs: lines for people, or one line of JSON for programs.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::config::video_codec;
use super::feed::Feed;
use crate::settings::Settings;
use crate::source::SourceInfo;

/// Where the program listens.
pub(super) struct Addresses {
    tcp: SocketAddr,
    udp: Vec<SocketAddr>,
    rtp_video: Option<SocketAddr>,
    rtp_audio: Option<SocketAddr>,
}

impl Addresses {
    pub(super) fn new(tcp: SocketAddr, udp: &[SocketAddr], feed: Option<&Feed>) -> Self {
        let (rtp_video, rtp_audio) = match feed {
            Some(Feed::Rtp(input)) => (input.video_addr(), input.audio_addr()),
            Some(Feed::Source(_) | Feed::Echo(_)) | None => (None, None),
        };
        Self { tcp, udp: udp.to_vec(), rtp_video, rtp_audio }
    }
}

/// The line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadyLine {
    ready: bool,
    /// The player page.
    url: String,
    /// The first media loop.
    udp: SocketAddr,
    /// The other media loops.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    udp_more: Vec<SocketAddr>,
    /// Where video is received as RTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtp_video: Option<SocketAddr>,
    /// Where audio is received as RTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtp_audio: Option<SocketAddr>,
    pid: u32,
}

/// Prints that everything is ready, and where.
pub(super) fn print(
    settings: &Settings,
    info: Option<&SourceInfo>,
    addresses: &Addresses,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if settings.json {
        write_json(&mut out, scheme(settings), addresses)?;
    } else {
        write_text(&mut out, settings, info, addresses)?;
    }
    out.flush()
}

fn scheme(settings: &Settings) -> &'static str {
    if settings.tls_cert.is_some() { "https" } else { "http" }
}

fn write_json(out: &mut impl Write, scheme: &str, addresses: &Addresses) -> io::Result<()> {
    let &Addresses { tcp, ref udp, rtp_video, rtp_audio } = addresses;
    if let [udp, udp_more @ ..] = &udp[..] {
        let url = format!("{scheme}://{}/", reachable(tcp));
        let (udp, udp_more) = (*udp, udp_more.to_vec());
        let pid = std::process::id();
        let line = ReadyLine { ready: true, url, udp, udp_more, rtp_video, rtp_audio, pid };
        serde_json::to_writer(&mut *out, &line)?;
    }
    writeln!(out)
}

fn write_text(
    out: &mut impl Write,
    settings: &Settings,
    info: Option<&SourceInfo>,
    addresses: &Addresses,
) -> io::Result<()> {
    let &Addresses { tcp, ref udp, rtp_video, rtp_audio } = addresses;
    let here = reachable(tcp);
    let place = match here.ip().is_loopback() {
        true => format!("localhost:{}", here.port()),
        false => here.to_string(),
    };
    writeln!(out, "Open {}://{place}/ in a browser", scheme(settings))?;
    if let Some(info) = info {
        let sound = if info.sound { "with sound" } else { "without sound" };
        let SourceInfo { label, width, height, fps, .. } = info;
        let fps = (fps * 100.0).round() / 100.0;
        writeln!(out, "  playing  {label}, {width}x{height} at {fps} fps, {sound}")?;
        let size = settings.size.map_or_else(String::new, |size| format!(", {size}"));
        let (codec, rate) = (video_codec(settings), settings.bitrate);
        writeln!(out, "  sending  {codec} at {rate} kbit/s{size}")?;
    }
    if let Some(addr) = rtp_video {
        writeln!(out, "  playing  {} received as RTP on UDP {addr}", video_codec(settings))?;
    }
    if let Some(addr) = rtp_audio {
        writeln!(out, "  sound    Opus received as RTP on UDP {addr}")?;
    }
    let ports: Vec<String> = udp.iter().map(|addr| addr.port().to_string()).collect();
    let word = if ports.len() == 1 { "port" } else { "ports" };
    writeln!(out, "  media    UDP {word} {}", ports.join(", "))?;
    writeln!(out, "Press Ctrl-C to stop.")
}

/// An address a browser on this machine can open.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_addresses_are_made_reachable() {
        let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(reach("[::]:8081"), "[::1]:8081");
        assert_eq!(reach("10.1.2.3:80"), "10.1.2.3:80");
    }
}
