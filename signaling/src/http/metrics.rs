//! Figures for Prometheus (text exposition format 0.0.4).

use std::fmt::{Display, Write as _};

use visavis::rtp_input::RtpCounters;
use visavis::session::SessionId;
use visavis::status::{NetworkStatus, RungSummary, SessionStatus};

use super::response::Response;
use super::route::{Call, Reply};
use super::status::counted;
use crate::auth::{Permission, Subject};
use crate::context::Context;

/// Of the default session, and of all others where clients may list them anyway: who must not see the
/// ids of others is not to find them here.
pub(super) fn metrics(call: &Call<'_>, context: &mut Context) -> Reply {
    let ids = context.engine.session_ids();
    let default = &context.config.default_session;
    let lists = call.permit(Permission::ListSessions, Subject::default(), context).is_ok();
    let told = ids.iter().filter(|&id| lists || id == default);
    let sessions: Vec<_> =
        told.filter_map(|id| Some((id.clone(), context.engine.status(id)?))).collect();
    let mut text = Text::default();
    text.head("visavis_sessions", "gauge", "Sessions there are.");
    text.sample("visavis_sessions", "", ids.len());
    text.head("visavis_websocket_clients", "gauge", "WebSocket connections that signal.");
    text.sample("visavis_websocket_clients", "", context.clients.len());
    text.head("visavis_http_requests_total", "counter", "HTTP requests served.");
    text.sample("visavis_http_requests_total", "", context.http_requests);
    text.head("visavis_faults_total", "counter", "Faults caught, by what they were confined to.");
    for (domain, count) in counted(context.engine.faults()) {
        text.sample("visavis_faults_total", &format!("{{domain=\"{domain}\"}}"), count);
    }
    text.head("visavis_refused_total", "counter", "What was refused or dropped, by kind.");
    for (kind, count) in context.engine.refusals().iter() {
        text.sample("visavis_refused_total", &format!("{{kind=\"{}\"}}", kind.name()), count);
    }
    text.sessions(&sessions);
    let response = Response::new(http::StatusCode::OK)
        .header(http::header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")
        .header(http::header::CACHE_CONTROL, "no-store");
    Reply::Response(response.body(text.0.into_bytes()))
}

#[derive(Debug, Default)]
struct Text(String);

/// A figure of a session: its name, its kind, what it is, and where it comes from.
type Figure = (&'static str, &'static str, &'static str, fn(&SessionStatus) -> f64);

const FIGURES: &[Figure] = &[
    ("peers", "gauge", "Viewers connected.", |s| s.peer_count as f64),
    ("streaming", "gauge", "1 while pictures are pushed.", |s| s.metrics.is_streaming.into()),
    ("fps", "gauge", "Frames pushed in the last second.", |s| s.metrics.fps),
    ("latency_seconds", "gauge", "Frame time to last packet, moving average.", |s| {
        s.metrics.avg_latency_ms / 1_000.0
    }),
    ("video_frames_total", "counter", "Frames pushed.", |s| s.metrics.video_frames as f64),
    ("audio_chunks_total", "counter", "Audio chunks pushed.", |s| s.metrics.audio_chunks as f64),
    ("late_frames_total", "counter", "Frames pushed late.", |s| s.metrics.dropped_frames as f64),
    ("replaced_frames_total", "counter", "Frames a newer one replaced.", |s| {
        s.metrics.replaced_frames as f64
    }),
    ("dropped_audio_seconds_total", "counter", "Sound dropped from full queues.", |s| {
        s.metrics.dropped_audio_ms as f64 / 1_000.0
    }),
    ("corrected_stamps_total", "counter", "Stamps that could not be meant.", |s| {
        s.metrics.corrected_stamps as f64
    }),
    ("dropped_units_total", "counter", "Encoded frames dropped.", |s| {
        s.metrics.dropped_units as f64
    }),
    ("encoded_frames_total", "counter", "Frames encoded.", |s| s.metrics.encoded_frames as f64),
    ("keyframes_total", "counter", "Keyframes among them.", |s| s.metrics.keyframes as f64),
    ("mic_packets_total", "counter", "Microphone packets received.", |s| {
        s.metrics.mic_packets as f64
    }),
    (
        "dropped_mic_packets_total",
        "counter",
        "Microphone packets dropped because the audio loop was behind.",
        |s| s.metrics.dropped_mic_packets as f64,
    ),
    ("unread_mic_chunks_total", "counter", "Microphone chunks that nobody read.", |s| {
        s.metrics.unread_mic_chunks as f64
    }),
    ("dropped_audio_packets_total", "counter", "Packets of sound dropped.", |s| {
        s.metrics.dropped_audio_packets as f64
    }),
    ("data_sent_total", "counter", "Messages to viewers.", |s| s.metrics.data_sent as f64),
    ("data_undelivered_total", "counter", "Messages that a viewer left before it got.", |s| {
        s.metrics.data_undelivered as f64
    }),
    ("data_received_total", "counter", "Messages from viewers.", |s| {
        s.metrics.data_received as f64
    }),
    ("data_dropped_total", "counter", "Messages from viewers that did not fit.", |s| {
        s.metrics.data_dropped as f64
    }),
    ("stalls_total", "counter", "Times live pictures ceased to come.", |s| s.metrics.stalls as f64),
    ("live", "gauge", "1 while viewers see live pictures, not the idle loop.", |s| {
        s.metrics.is_live.into()
    }),
];

#[cfg(test)]
pub(super) fn figure_names() -> impl Iterator<Item = &'static str> {
    FIGURES.iter().map(|&(name, ..)| name)
}

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// Ids need no escaping: they have neither quotes nor backslashes.
    fn sessions(&mut self, sessions: &[(SessionId, SessionStatus)]) {
        for (name, kind, help, value) in FIGURES {
            let name = format!("visavis_{name}");
            self.head(&name, kind, help);
            for (id, status) in sessions {
                self.sample(&name, &format!("{{session=\"{id}\"}}"), value(status));
            }
        }
        self.rtp_input(sessions);
        self.networks(sessions);
        self.rungs(sessions);
        let name = "visavis_stage_seconds";
        self.head(name, "gauge", "Time from push to each stage, quantiles.");
        for (id, status) in sessions {
            for stage in &status.stages {
                for (quantile, us) in [("0.5", stage.p50_us), ("0.99", stage.p99_us)] {
                    let labels = format!(
                        "{{session=\"{id}\",stage=\"{}\",quantile=\"{quantile}\"}}",
                        stage.stage.name()
                    );
                    self.sample(name, &labels, us as f64 / 1_000_000.0);
                }
            }
        }
    }

    /// The networks of viewers, all of a session together, so that there are no more figures the more viewers there are.
    fn networks(&mut self, sessions: &[(SessionId, SessionStatus)]) {
        let sessions: Vec<_> =
            sessions.iter().filter_map(|(id, status)| Some((id, status.networks?))).collect();
        if sessions.is_empty() {
            return;
        }
        let name = "visavis_network_viewers";
        self.head(name, "gauge", "Viewers that report when packets arrive.");
        for (id, networks) in &sessions {
            self.sample(name, &format!("{{session=\"{id}\"}}"), networks.viewers);
        }
        let name = "visavis_network_limited_viewers";
        self.head(name, "gauge", "Viewers that get less, as their networks take no more.");
        for (id, networks) in &sessions {
            self.sample(name, &format!("{{session=\"{id}\"}}"), networks.limited);
        }
        let name = "visavis_network_tcp_viewers";
        self.head(name, "gauge", "Viewers that come by TCP, as their networks let no UDP through.");
        for (id, networks) in &sessions {
            self.sample(name, &format!("{{session=\"{id}\"}}"), networks.by_tcp);
        }
        for (name, help, value) in NETWORK_FIGURES {
            let name = format!("visavis_network_{name}");
            self.head(&name, "gauge", help);
            for (id, networks) in &sessions {
                for (which, network) in [("median", networks.median), ("worst", networks.worst)] {
                    let labels = format!("{{session=\"{id}\",viewer=\"{which}\"}}");
                    self.sample(&name, &labels, value(&network));
                }
            }
        }
    }

    /// How many viewers get each size: sixteen figures of a session at most.
    fn rungs(&mut self, sessions: &[(SessionId, SessionStatus)]) {
        if sessions.iter().all(|(_, status)| status.rungs.is_empty()) {
            return;
        }
        let name = "visavis_rung_viewers";
        self.head(name, "gauge", "Viewers that get a size, counted from the smallest, which is 0.");
        for (id, status) in sessions {
            for RungSummary { codec, rung, viewers, .. } in &status.rungs {
                let labels = format!("{{session=\"{id}\",codec=\"{codec}\",rung=\"{rung}\"}}");
                self.sample(name, &labels, viewers);
            }
        }
    }

    /// What became of RTP that came in, of those sessions that take some.
    fn rtp_input(&mut self, sessions: &[(SessionId, SessionStatus)]) {
        let streams: Vec<_> = sessions
            .iter()
            .filter_map(|(id, status)| Some((id, status.rtp_input?)))
            .flat_map(|(id, input)| [(id, "video", input.video), (id, "audio", input.audio)])
            .collect();
        if streams.is_empty() {
            return;
        }
        for (name, help, value) in RTP_FIGURES {
            let name = format!("visavis_rtp_input_{name}_total");
            self.head(&name, "counter", help);
            for (id, stream, status) in &streams {
                let labels = format!("{{session=\"{id}\",stream=\"{stream}\"}}");
                self.sample(&name, &labels, value(&status.counters));
            }
        }
        let name = "visavis_rtp_input_fault";
        self.head(name, "gauge", "1 while RTP comes in that viewers cannot be shown, and why.");
        for (id, stream, status) in &streams {
            if let Some(fault) = status.fault {
                let code = fault.as_str();
                let labels = format!("{{session=\"{id}\",stream=\"{stream}\",fault=\"{code}\"}}");
                self.sample(name, &labels, 1);
            }
        }
    }
}

/// A figure of viewers' networks: its name, what it is, and where it comes from.
type NetworkFigure = (&'static str, &'static str, fn(&NetworkStatus) -> f64);

const NETWORK_FIGURES: &[NetworkFigure] = &[
    ("available_bits_per_second", "What a viewer's network takes, estimated.", |n| {
        n.available_bitrate.bps() as f64
    }),
    ("round_trip_seconds", "From a packet sent to the report of it.", |n| {
        n.round_trip.as_secs_f64()
    }),
    ("queue_seconds", "How long packets wait in the network.", |n| n.queue_delay.as_secs_f64()),
    ("lost_ratio", "The part of packets that is lost.", |n| n.fraction_lost),
];

/// A figure of a stream that comes in: its name, what it is, and where it comes from.
type RtpFigure = (&'static str, &'static str, fn(&RtpCounters) -> u64);

const RTP_FIGURES: &[RtpFigure] = &[
    ("packets", "RTP packets received.", |c| c.packets),
    ("lost", "RTP packets that never came.", |c| c.lost),
    ("ignored", "Datagrams that do not belong to the stream.", |c| c.ignored),
    ("units", "Received pictures, or packets of sound, handed on.", |c| c.units),
    ("dropped_units", "Received pictures or packets of no use.", |c| c.dropped_units),
    ("restarts", "Times that the sender was started again.", |c| c.restarts),
    ("clock_steps", "Times that the sender's RTP time went back.", |c| c.clock_steps),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use visavis::rtp_input::{RtpFault, RtpInputStatus};
    use visavis::status::{NetworkSummary, PictureStatus, Stage, StageSummary};
    use visavis::units::Bitrate;
    use visavis::video::{Rung, VideoCodec};

    use super::*;

    #[test]
    fn each_sample_has_its_name_labels_and_value() {
        let mut status = SessionStatus::default();
        status.peer_count = 2;
        status.metrics.video_frames = 7;
        status.metrics.avg_latency_ms = 2.5;
        let mut stage = StageSummary::empty(Stage::FirstSent);
        (stage.count, stage.p50_us, stage.p99_us, stage.max_us) = (1, 1_500, 2_000, 2_000);
        status.stages.push(stage);
        let mut rtp_input = RtpInputStatus::default();
        rtp_input.video.counters.packets = 5;
        rtp_input.video.fault = Some(RtpFault::NoKeyframe);
        status.rtp_input = Some(rtp_input);
        let network = |kbps, lost| {
            let times = (Duration::from_millis(30), Duration::from_millis(2));
            NetworkStatus::new(Bitrate::from_kbps(kbps), times, lost)
        };
        let networks = [
            network(900, 0.0).limiting(true).by_tcp(true),
            network(2_000, 0.25),
            network(3_000, 0.0),
        ];
        status.networks = NetworkSummary::of(&networks);
        let rungs =
            [3, 0, 3].map(|rung| PictureStatus::new(VideoCodec::Vp8, Rung::new(rung).unwrap()));
        status.rungs = RungSummary::of(rungs);
        let mut text = Text::default();
        text.sessions(&[(SessionId::default(), status)]);
        let text = text.0;
        for line in [
            "# TYPE visavis_video_frames_total counter",
            "visavis_peers{session=\"default\"} 2",
            "visavis_video_frames_total{session=\"default\"} 7",
            "visavis_latency_seconds{session=\"default\"} 0.0025",
            "visavis_rtp_input_packets_total{session=\"default\",stream=\"video\"} 5",
            "visavis_rtp_input_packets_total{session=\"default\",stream=\"audio\"} 0",
            "visavis_rtp_input_fault{session=\"default\",stream=\"video\",fault=\"no-keyframe\"} 1",
            "visavis_network_viewers{session=\"default\"} 3",
            "visavis_network_limited_viewers{session=\"default\"} 1",
            "visavis_network_tcp_viewers{session=\"default\"} 1",
            "visavis_network_available_bits_per_second{session=\"default\",viewer=\"median\"} 2000000",
            "visavis_network_available_bits_per_second{session=\"default\",viewer=\"worst\"} 900000",
            "visavis_network_round_trip_seconds{session=\"default\",viewer=\"median\"} 0.03",
            "visavis_network_queue_seconds{session=\"default\",viewer=\"worst\"} 0.002",
            "visavis_network_lost_ratio{session=\"default\",viewer=\"worst\"} 0.25",
            "visavis_rung_viewers{session=\"default\",codec=\"VP8\",rung=\"0\"} 1",
            "visavis_rung_viewers{session=\"default\",codec=\"VP8\",rung=\"3\"} 2",
            "visavis_stage_seconds{session=\"default\",stage=\"firstSent\",quantile=\"0.5\"} 0.0015",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    }
}
