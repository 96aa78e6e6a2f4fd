use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use visavis::faults::{FaultDomain, Faults};
use visavis::rtp_input::{RtpCounters, RtpStreamStatus};
use visavis::session::SessionId;
use visavis::status::{
    Metrics, NetworkStatus, NetworkSummary, Refusals, RungSummary, SessionStatus,
    VideoEncoderStatus,
};

use crate::context::Context;

/// The JSON of `GET /status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusBody<'a> {
    session: &'a str,
    peer_count: usize,
    metrics: MetricsBody,
    /// Time from push to each stage.
    stages: BTreeMap<&'static str, StageBody>,
    encoders: Vec<&'static str>,
    /// What encodes live pictures now.
    video_encoders: Vec<VideoEncoderBody>,
    /// Why the server does not encode by NVENC; null where it does.
    without_nvenc: Option<&'a str>,
    /// Of the whole server, by domain: those that there were.
    faults: BTreeMap<&'static str, u64>,
    /// What the whole server refused or dropped since its start; kinds of which there were none are absent.
    refused: BTreeMap<&'static str, u64>,
    /// Of an encoder that sends RTP into the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtp_input: Option<RtpInputBody>,
    /// Of viewers that report when packets arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<NetworksBody>,
    /// What viewers get; what nobody gets is absent.
    rungs: Vec<RungBody>,
}

/// An encoder of live pictures.
#[derive(Debug, Serialize)]
struct VideoEncoderBody {
    codec: &'static str,
    /// From the smallest, which is 0.
    rung: usize,
    encoder: &'static str,
}

impl VideoEncoderBody {
    fn new(status: &VideoEncoderStatus) -> Self {
        let VideoEncoderStatus { codec, rung, encoder, .. } = *status;
        Self { codec: codec.name(), rung: rung.index(), encoder }
    }
}

/// One of the sizes that pictures are encoded in.
#[derive(Debug, Serialize)]
struct RungBody {
    codec: &'static str,
    /// From the smallest, which is 0.
    rung: usize,
    /// Bits a second at most; null where there is one size that is always the same.
    bitrate: Option<u64>,
    viewers: usize,
}

impl RungBody {
    fn new(rung: &RungSummary) -> Self {
        let RungSummary { codec, rung, bitrate, viewers, .. } = *rung;
        let bitrate = bitrate.map(|bitrate| bitrate.bps());
        Self { codec: codec.name(), rung: rung.index(), bitrate, viewers }
    }
}

/// The networks of viewers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworksBody {
    viewers: usize,
    limited: usize,
    by_tcp: usize,
    median: NetworkBody,
    worst: NetworkBody,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworkBody {
    /// Bits a second.
    available_bitrate: u64,
    /// Milliseconds.
    round_trip: f64,
    queue_delay: f64,
    fraction_lost: f64,
}

impl NetworkBody {
    fn new(network: &NetworkStatus) -> Self {
        let ms = |time: Duration| time.as_micros() as f64 / 1_000.0;
        Self {
            available_bitrate: network.available_bitrate.bps(),
            round_trip: ms(network.round_trip),
            queue_delay: ms(network.queue_delay),
            fraction_lost: network.fraction_lost,
        }
    }
}

/// What became of the RTP that came in.
#[derive(Debug, Serialize)]
struct RtpInputBody {
    video: RtpStreamBody,
    audio: RtpStreamBody,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RtpStreamBody {
    packets: u64,
    lost: u64,
    ignored: u64,
    units: u64,
    dropped_units: u64,
    restarts: u64,
    clock_steps: u64,
    /// Why the stream cannot be played; null if it can.
    fault: Option<RtpFaultBody>,
}

#[derive(Debug, Serialize)]
struct RtpFaultBody {
    code: &'static str,
    detail: String,
}

impl RtpStreamBody {
    fn new(status: &RtpStreamStatus) -> Self {
        let RtpCounters {
            packets, lost, ignored, units, dropped_units, restarts, clock_steps, ..
        } = status.counters;
        let fault = status
            .fault
            .map(|fault| RtpFaultBody { code: fault.as_str(), detail: fault.to_string() });
        Self { packets, lost, ignored, units, dropped_units, restarts, clock_steps, fault }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsBody {
    video_frames: u64,
    audio_chunks: u64,
    dropped_frames: u64,
    /// Milliseconds.
    avg_latency: f64,
    /// Unix milliseconds; null before the first frame.
    last_frame_time: Option<u64>,
    fps: f64,
    is_streaming: bool,
    replaced_frames: u64,
    dropped_audio_ms: u64,
    corrected_stamps: u64,
    dropped_units: u64,
    encoded_frames: u64,
    keyframes: u64,
    mic_packets: u64,
    dropped_mic_packets: u64,
    unread_mic_chunks: u64,
    dropped_audio_packets: u64,
    data_sent: u64,
    data_undelivered: u64,
    data_received: u64,
    data_dropped: u64,
    stalls: u64,
    is_live: bool,
}

impl MetricsBody {
    fn new(m: &Metrics) -> Self {
        Self {
            video_frames: m.video_frames,
            audio_chunks: m.audio_chunks,
            dropped_frames: m.dropped_frames,
            avg_latency: m.avg_latency_ms,
            last_frame_time: m.last_frame_time.map(|time| time.0),
            fps: m.fps,
            is_streaming: m.is_streaming,
            replaced_frames: m.replaced_frames,
            dropped_audio_ms: m.dropped_audio_ms,
            corrected_stamps: m.corrected_stamps,
            dropped_units: m.dropped_units,
            encoded_frames: m.encoded_frames,
            keyframes: m.keyframes,
            mic_packets: m.mic_packets,
            dropped_mic_packets: m.dropped_mic_packets,
            unread_mic_chunks: m.unread_mic_chunks,
            dropped_audio_packets: m.dropped_audio_packets,
            data_sent: m.data_sent,
            data_undelivered: m.data_undelivered,
            data_received: m.data_received,
            data_dropped: m.data_dropped,
            stalls: m.stalls,
            is_live: m.is_live,
        }
    }
}

/// Milliseconds, but for the count.
#[derive(Debug, Serialize)]
struct StageBody {
    p50: f64,
    p99: f64,
    max: f64,
    count: u64,
}

impl<'a> StatusBody<'a> {
    pub(crate) fn new(
        session: &'a SessionId,
        status: &SessionStatus,
        context: &'a Context,
    ) -> Self {
        let engine = &context.engine;
        Self::with(session, status, engine.without_nvenc(), (engine.faults(), engine.refusals()))
    }

    fn with(
        session: &'a SessionId,
        status: &SessionStatus,
        without_nvenc: Option<&'a str>,
        (faults, refusals): (&Faults, &Refusals),
    ) -> Self {
        // Microseconds since push stay far below 2^53, where an f64 stops being exact.
        let ms = |us: u64| us as f64 / 1_000.0;
        let stages = status.stages.iter().map(|s| {
            let body = StageBody {
                p50: ms(s.p50_us),
                p99: ms(s.p99_us),
                max: ms(s.max_us),
                count: s.count,
            };
            (s.stage.name(), body)
        });
        Self {
            session: session.as_str(),
            peer_count: status.peer_count,
            metrics: MetricsBody::new(&status.metrics),
            stages: stages.collect(),
            encoders: status.encoders.iter().map(|codec| codec.name()).collect(),
            video_encoders: status.video_encoders.iter().map(VideoEncoderBody::new).collect(),
            without_nvenc,
            faults: counted(faults).filter(|(_, count)| *count > 0).collect(),
            refused: refusals
                .iter()
                .filter(|&(_, count)| count > 0)
                .map(|(kind, count)| (kind.name(), count))
                .collect(),
            rtp_input: status.rtp_input.map(|input| RtpInputBody {
                video: RtpStreamBody::new(&input.video),
                audio: RtpStreamBody::new(&input.audio),
            }),
            networks: status.networks.map(
                |NetworkSummary { viewers, limited, by_tcp, median, worst, .. }| {
                    let [median, worst] = [&median, &worst].map(NetworkBody::new);
                    NetworksBody { viewers, limited, by_tcp, median, worst }
                },
            ),
            rungs: status.rungs.iter().map(RungBody::new).collect(),
        }
    }
}

/// Faults by domain, those that never happened included.
pub(super) fn counted(faults: &Faults) -> impl Iterator<Item = (&'static str, u64)> {
    FaultDomain::ALL.into_iter().map(|domain| (domain.as_str(), faults.total(domain)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use visavis::rtp_input::{RtpFault, RtpInputStatus};
    use visavis::status::{PictureStatus, Refusal, Stage, StageSummary};
    use visavis::units::{Bitrate, UnixMillis};
    use visavis::video::{Rung, VideoCodec};

    use super::super::{metrics, pages};
    use super::*;

    #[test]
    fn names_are_camel_case_and_times_are_milliseconds() {
        let mut status = SessionStatus::default();
        status.peer_count = 2;
        status.metrics.video_frames = 7;
        status.metrics.avg_latency_ms = 3.5;
        status.metrics.last_frame_time = Some(UnixMillis(1_700_000_000_123));
        status.metrics.is_streaming = true;
        let mut stage = StageSummary::empty(Stage::FirstSent);
        (stage.count, stage.p50_us, stage.p99_us, stage.max_us) = (7, 2_500, 4_000, 9_001);
        status.stages.push(stage);
        status.encoders.push(VideoCodec::Vp8);
        let mut rtp_input = RtpInputStatus::default();
        rtp_input.video.counters.packets = 9;
        rtp_input.video.counters.dropped_units = 3;
        rtp_input.video.fault = Some(RtpFault::Reordered);
        status.rtp_input = Some(rtp_input);
        let times = (Duration::from_micros(30_500), Duration::from_millis(2));
        let network = NetworkStatus::new(Bitrate::from_kbps(900), times, 0.25);
        status.networks = NetworkSummary::of(&[network.limiting(true)]);
        let rung = PictureStatus::new(VideoCodec::Vp8, Rung::HIGHEST);
        status.rungs = RungSummary::of([rung.bitrate(Bitrate::from_kbps(1_500)); 2]);
        let (faults, refusals) = (Faults::default(), Refusals::default());
        faults.count(FaultDomain::Encoder);
        refusals.count_many(Refusal::Datagram, 5);
        let id = SessionId::default();
        let json = serde_json::to_value(StatusBody::with(
            &id,
            &status,
            Some("no GPU"),
            (&faults, &refusals),
        ))
        .unwrap();
        assert_eq!(json["session"], "default");
        assert_eq!(json["peerCount"], 2);
        assert_eq!(json["metrics"]["videoFrames"], 7);
        assert_eq!(json["metrics"]["avgLatency"], 3.5);
        assert_eq!(json["metrics"]["lastFrameTime"], 1_700_000_000_123_u64);
        assert_eq!(json["metrics"]["isStreaming"], true);
        assert_eq!(
            json["stages"]["firstSent"],
            serde_json::json!({"p50": 2.5, "p99": 4.0, "max": 9.001, "count": 7})
        );
        assert_eq!(json["faults"], serde_json::json!({"encoder": 1}));
        assert_eq!(json["encoders"], serde_json::json!(["VP8"]));
        assert_eq!(json["videoEncoders"], serde_json::json!([]));
        assert_eq!(json["withoutNvenc"], "no GPU");
        assert_eq!(json["refused"], serde_json::json!({"datagram": 5}));
        let network = serde_json::json!(
            {"availableBitrate": 900_000, "roundTrip": 30.5, "queueDelay": 2.0, "fractionLost": 0.25}
        );
        let networks = serde_json::json!({"viewers": 1, "limited": 1, "byTcp": 0, "median": network, "worst": network});
        assert_eq!(json["networks"], networks);
        let rung =
            serde_json::json!({"codec": "VP8", "rung": 3, "bitrate": 1_500_000, "viewers": 2});
        assert_eq!(json["rungs"], serde_json::json!([rung]));
        let video = &json["rtpInput"]["video"];
        assert_eq!((&video["packets"], &video["droppedUnits"]), (&9.into(), &3.into()));
        assert_eq!(video["fault"]["code"], "b-frames");
        assert!(video["fault"]["detail"].as_str().is_some_and(|text| text.contains("-bf 0")));
        assert!(json["rtpInput"]["audio"]["fault"].is_null());
    }

    #[test]
    fn the_metrics_are_those_of_the_openapi_document_and_of_prometheus() {
        let json = serde_json::to_value(MetricsBody::new(&Metrics::default())).unwrap();
        let names: BTreeSet<&String> = json.as_object().unwrap().keys().collect();
        let document: serde_json::Value = serde_json::from_str(pages::OPENAPI).unwrap();
        let metrics = &document["components"]["schemas"]["Status"]["properties"]["metrics"];
        let documented = metrics["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, documented);
        let required = metrics["required"].as_array().unwrap();
        assert_eq!(required.len(), names.len());
        for name in names {
            let expected = match name.as_str() {
                // The time itself is of no use to Prometheus.
                "lastFrameTime" => continue,
                "avgLatency" => "latency_seconds".to_owned(),
                "droppedFrames" => "late_frames_total".to_owned(),
                "droppedAudioMs" => "dropped_audio_seconds_total".to_owned(),
                "isStreaming" => "streaming".to_owned(),
                "isLive" => "live".to_owned(),
                "fps" => "fps".to_owned(),
                counter => {
                    let snake = counter.chars().flat_map(|letter| {
                        let mark = letter.is_ascii_uppercase().then_some('_');
                        mark.into_iter().chain([letter.to_ascii_lowercase()])
                    });
                    snake.collect::<String>() + "_total"
                }
            };
            assert!(metrics::figure_names().any(|figure| figure == expected), "{expected}");
        }
    }
}
