use visavis::{Encoders, Unavailable};

use super::fields::Settings;

/// Settings that cannot be used, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub(super) String);

impl Settings {
    /// Whether they go together.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let refuse = |text: &str| Err(SettingsError(text.to_owned()));
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return refuse("`tls_cert` and `tls_key` go together; one of them is missing");
        }
        if self.fps.is_some_and(|fps| !(1..=120).contains(&fps)) {
            return refuse("`fps` must be from 1 to 120");
        }
        if !(50..=50_000).contains(&self.bitrate) {
            return refuse("`bitrate` must be from 50 to 50000 (kbit/s)");
        }
        let rtp = self.rtp_video.is_some() || self.rtp_audio.is_some();
        if rtp && self.play.is_some() {
            return refuse("`play` and `rtp_video` or `rtp_audio` are two sources; name one");
        }
        if self.echo && (rtp || self.play.is_some()) {
            return refuse(
                "`echo` is a source of its own: it goes with neither `play` nor `rtp_video`",
            );
        }
        if rtp && self.per_visitor {
            return refuse(
                "`per_visitor`: what comes as RTP is one face for all; it goes with the talking face, `play` or `echo`",
            );
        }
        if rtp && self.timecode {
            return refuse("`timecode` cannot be painted into pictures that come encoded");
        }
        if self.rtp_video.is_none() && self.rtp_audio.is_some() {
            return refuse("`rtp_audio` goes with `rtp_video`");
        }
        if self.rtp_video_pt.is_some_and(|number| number > 127) {
            return refuse("`rtp_video_pt` must be from 0 to 127");
        }
        let encoders = Encoders::software();
        for &codec in self.video_codec.iter().filter(|_| !rtp) {
            match encoders.offer(codec) {
                Ok(_) => {}
                Err(Unavailable::NotBuilt { feature }) => {
                    return refuse(&format!(
                        "`video_codec`: this build has no {codec} encoder; build it with `--features {feature}`"
                    ));
                }
                Err(reason) => {
                    return refuse(&format!("`video_codec`: no {codec} encoder: {reason}"));
                }
            }
        }
        if !matches!(self.packet_ms, 10 | 20) {
            return refuse("`packet_ms` must be 10 or 20");
        }
        if self.loops == 0 || self.loops > 64 {
            return refuse("`loops` must be from 1 to 64");
        }
        if self.max_clients == 0 {
            return refuse("`max_clients` must be at least 1");
        }
        if self.max_sessions == 0 {
            return refuse("`max_sessions` must be at least 1");
        }
        if self.turn_urls.is_empty() && (self.turn_user.is_some() || self.turn_pass.is_some()) {
            return refuse("`turn_user` and `turn_pass` are of no use without `turn_urls`");
        }
        Ok(())
    }
}
