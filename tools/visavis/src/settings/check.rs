//! Whether settings go together.

use visavis::encoder::{Encoders, Unavailable};

use super::error::SettingsError;
use super::origin::Origins;
use super::table::Settings;

/// Refuses settings of which each is sound and which do not go together.
pub(super) fn check(settings: &Settings, origins: &Origins) -> Result<(), SettingsError> {
    let of = |key: &str| origins.of(key);
    let refuse = |text: String| Err(SettingsError::new(text));
    match (&settings.tls_cert, &settings.tls_key) {
        (Some(_), None) => return refuse(format!("{} requires `tls_key`", of("tls_cert"))),
        (None, Some(_)) => return refuse(format!("{} requires `tls_cert`", of("tls_key"))),
        _ => {}
    }
    let rtp = settings.rtp_video.map(|_| "rtp_video").or(settings.rtp_audio.map(|_| "rtp_audio"));
    if let Some(rtp) = rtp {
        if settings.play.is_some() {
            return refuse(format!("{} and {} are two sources; set one", of("play"), of(rtp)));
        }
        if settings.per_visitor {
            return refuse(format!(
                "{} cannot be combined with {}: media received as RTP is one face for all visitors; use the talking \
                 face, `play` or `echo`",
                of("per_visitor"),
                of(rtp)
            ));
        }
        if settings.timecode {
            return refuse(format!(
                "{} cannot be combined with {}: the time cannot be drawn into encoded pictures",
                of("timecode"),
                of(rtp)
            ));
        }
    }
    if settings.echo {
        let other = rtp.or(settings.play.is_some().then_some("play"));
        if let Some(other) = other {
            return refuse(format!("{} and {} are two sources; set one", of("echo"), of(other)));
        }
    }
    let beside_rtp_video = [
        ("rtp_audio", settings.rtp_audio.is_some()),
        ("rtp_video_feedback", settings.rtp_video_feedback.is_some()),
        ("rtp_video_adaptive", settings.rtp_video_adaptive),
    ];
    for (key, _) in beside_rtp_video.into_iter().filter(|(_, is_set)| *is_set) {
        if settings.rtp_video.is_none() {
            return refuse(format!("{} goes with `rtp_video`, which is not set", of(key)));
        }
    }
    let encoders = Encoders::software();
    for &codec in settings.video_codec.iter().filter(|_| rtp.is_none()) {
        let video_codec = of("video_codec");
        match encoders.offer(codec) {
            Ok(_) => {}
            Err(Unavailable::NotBuilt { feature }) => {
                return refuse(format!(
                    "{video_codec}: this build has no {codec} encoder; build it with `--features {feature}`"
                ));
            }
            Err(reason) => return refuse(format!("{video_codec}: no {codec} encoder: {reason}")),
        }
    }
    if settings.turn_urls.is_empty() {
        for (key, set) in [
            ("turn_user", settings.turn_user.is_some()),
            ("turn_pass", settings.turn_pass.is_some()),
        ] {
            if set {
                return refuse(format!("{} requires `turn_urls`", of(key)));
            }
        }
    }
    Ok(())
}
