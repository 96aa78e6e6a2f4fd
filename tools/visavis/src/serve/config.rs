//! The settings as the configuration of the engine, its sessions and the signaling server.

use visavis::audio::{AudioCodec, OpusSettings, PacketTime};
use visavis::engine::Scheduling;
use visavis::idle::IdleLoop;
use visavis::rtp_input::RtpInputConfig;
use visavis::units::Bitrate;
use visavis::video::{PlayoutDelay, VideoCodec};
use visavis::{EngineConfig, SessionConfig};
use visavis_signaling::{IceServer, PageBranding, SessionApi, SignalingConfig, TlsFiles};

use crate::echo;
use crate::settings::Settings;
use crate::source::SourceInfo;

/// Frames per second of the demo face.
pub(super) fn demo_fps(settings: &Settings) -> u32 {
    settings.fps.unwrap_or(30)
}

/// The codec that most viewers get.
pub(super) fn video_codec(settings: &Settings) -> VideoCodec {
    match (settings.rtp_video, settings.video_codec.first()) {
        (None, Some(&codec)) => codec,
        _ => settings.rtp_video_codec,
    }
}

pub(super) fn engine_config(settings: &Settings) -> EngineConfig {
    EngineConfig::default()
        .udp(settings.udp)
        .announce(settings.announce.clone())
        .ice_tcp(settings.ice_tcp)
        .ice_tcp_port(settings.ice_tcp_port)
        .max_peers(settings.max_clients)
        .media_loops(settings.loops)
        .encoder(settings.encoder)
        .gpu(settings.gpu)
        .scheduling(
            Scheduling::default().media_core(settings.media_core).realtime(settings.realtime),
        )
        .leave_tcp_to(settings.listen)
}

pub(super) fn session_config(
    settings: &Settings,
    info: Option<&SourceInfo>,
    idle: IdleLoop,
) -> SessionConfig {
    // For a file, lip sync matters more than low delay: nobody has a conversation with it.
    let playout_delay =
        if settings.play.is_some() { PlayoutDelay::IN_SYNC } else { PlayoutDelay::NONE };
    let fps = info.map_or_else(|| demo_fps(settings), |info| info.fps.round() as u32);
    let config = SessionConfig::default();
    let adapts = settings.rtp_video.is_some() && settings.rtp_video_adaptive;
    let microphone_rate = if settings.echo { echo::RATE_HZ } else { config.microphone_rate };
    config
        .microphone_rate(microphone_rate)
        .playout_delay(playout_delay)
        .video_codecs(settings.video_codec.clone())
        .audio_codecs(settings.audio_codec.clone())
        .packet_time(if settings.packet_ms == 10 { PacketTime::Ms10 } else { PacketTime::Ms20 })
        .opus(
            OpusSettings::default()
                .fec(settings.opus_fec)
                .dtx(settings.opus_dtx)
                .red(settings.opus_red),
        )
        .idle(idle)
        .encoded(settings.rtp_video.map(|_| settings.rtp_video_codec))
        .adaptive_encoder(adapts)
        .max_peers(adapts.then_some(1))
        .size(settings.size)
        .fps(fps.clamp(1, 120))
        .video_bitrate(Bitrate::from_kbps(settings.bitrate))
        .min_video_bitrate(Bitrate::from_kbps(settings.min_bitrate))
        .rungs(settings.rungs.clone())
}

pub(super) fn rtp_config(settings: &Settings) -> RtpInputConfig {
    RtpInputConfig::default()
        .video(settings.rtp_video)
        .video_payload_type(settings.rtp_video_pt)
        .video_feedback(settings.rtp_video_feedback)
        .audio(settings.rtp_audio)
}

pub(super) fn signaling_config(settings: &Settings, idle: IdleLoop) -> SignalingConfig {
    let tls = settings.tls_cert.clone().zip(settings.tls_key.clone());
    let mut ice_servers = Vec::new();
    if !settings.stun_urls.is_empty() {
        ice_servers.push(IceServer::new(settings.stun_urls.clone()));
    }
    if !settings.turn_urls.is_empty() {
        ice_servers.push(
            IceServer::new(settings.turn_urls.clone())
                .username(settings.turn_user.clone())
                .credential(settings.turn_pass.clone()),
        );
    }
    let page = PageBranding::default();
    SignalingConfig::default()
        .listen(settings.listen)
        .tls(tls.map(|(cert, key)| TlsFiles::new(cert, key)))
        .ice_servers(ice_servers)
        .video_codec(video_codec(settings))
        .audio_codec(settings.audio_codec.first().copied().unwrap_or(AudioCodec::Opus))
        .max_clients(settings.max_clients)
        .api(session_api(settings, idle))
        .cors(settings.cors.clone())
        .public_url(settings.public_url.clone())
        .allowed_hosts(settings.allowed_hosts.clone())
        .trusted_proxies(settings.trusted_proxies.clone())
        .page(page.title(settings.page_title.clone()).logo(settings.page_logo.clone()))
}

/// Defaults of sessions created over HTTP: encoded like the default session; they show their idle loop until media is
/// pushed.
fn session_api(settings: &Settings, idle: IdleLoop) -> SessionApi {
    let template = session_config(settings, None, idle)
        .encoded(None)
        .adaptive_encoder(false)
        .max_peers(None)
        .playout_delay(PlayoutDelay::NONE);
    SessionApi::default()
        .manage(settings.api)
        .per_visitor(settings.per_visitor)
        .max_sessions(settings.max_sessions)
        .template(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stun_and_turn_become_ice_servers() {
        let settings = Settings {
            stun_urls: vec!["stun:a".to_owned()],
            turn_urls: vec!["turn:b".to_owned()],
            turn_user: Some("user".to_owned()),
            turn_pass: Some("pass".to_owned()),
            ..Settings::default()
        };
        let servers = signaling_config(&settings, IdleLoop::built_in()).ice_servers;
        assert_eq!(servers.len(), 2);
        assert_eq!((&servers[0].username, servers[1].username.as_deref()), (&None, Some("user")));
        assert!(
            signaling_config(&Settings::default(), IdleLoop::built_in()).ice_servers.is_empty()
        );
    }
}
