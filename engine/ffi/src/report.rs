//! Figures of a session, as a struct and as JSON.

use std::ffi::c_char;
use std::time::Duration;

use serde_json::{Value, json};
use visavis::status::{Metrics, NetworkStatus, RungSummary, SessionStatus};

use crate::handle;
use crate::raw::{self, Versioned};
use crate::session::{SessionObject, visavis_session};
use crate::status::{visavis_status, visavis_status::*};

/// Figures of a session since it was made; initialised by visavis_session_status_init().
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_session_status {
    /// Set by visavis_session_status_init().
    pub struct_size: usize,
    /// Viewers connected now.
    pub peer_count: u64,
    /// Frames accepted.
    pub video_frames: u64,
    /// Chunks of sound accepted.
    pub audio_chunks: u64,
    /// Frames that came later than 1.5 frame intervals after their timestamp. They are sent all the same.
    pub dropped_frames: u64,
    /// Frames replaced by a newer one before the encoder took them.
    pub replaced_frames: u64,
    /// Milliseconds of queued sound dropped because the queue was full.
    pub dropped_audio_ms: u64,
    /// Timestamps that could not be meant, and were corrected.
    pub corrected_stamps: u64,
    /// Encoded frames dropped because the engine did not keep up.
    pub dropped_units: u64,
    /// Frames encoded, over all codecs.
    pub encoded_frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Microphone packets received.
    pub mic_packets: u64,
    /// Those among them that were dropped because the engine did not keep up.
    pub dropped_mic_packets: u64,
    /// Chunks of microphones dropped because nobody read them.
    pub unread_mic_chunks: u64,
    /// Packets of sound dropped because the engine did not keep up.
    pub dropped_audio_packets: u64,
    /// Messages accepted for viewers.
    pub data_sent: u64,
    /// Those among them whose channel or connection ended before they left.
    pub data_undelivered: u64,
    /// Messages received from viewers.
    pub data_received: u64,
    /// Messages from viewers dropped because nobody read them.
    pub data_dropped: u64,
    /// Times that pictures stopped coming unexpectedly.
    pub stalls: u64,
    /// From a frame's timestamp to its last packet to the last viewer, in milliseconds: moving average.
    pub avg_latency_ms: f64,
    /// Frames pushed during the last second.
    pub fps: f64,
    /// When the last frame was pushed, in Unix milliseconds; -1: none yet.
    pub last_frame_time_ms: i64,
    /// 1: the session is started, and a frame came within the last two seconds.
    pub is_streaming: u32,
    /// 1: viewers see what is pushed; 0: they see the idle picture.
    pub is_live: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_session_status {
    const NAME: &'static str = "visavis_session_status";

    fn initial() -> Self {
        Self::new(&SessionStatus::default())
    }
}

impl visavis_session_status {
    fn new(status: &SessionStatus) -> Self {
        let m = &status.metrics;
        let last = m.last_frame_time.and_then(|time| i64::try_from(time.0).ok());
        Self {
            struct_size: size_of::<Self>(),
            peer_count: status.peer_count as u64,
            video_frames: m.video_frames,
            audio_chunks: m.audio_chunks,
            dropped_frames: m.dropped_frames,
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
            avg_latency_ms: m.avg_latency_ms,
            fps: m.fps,
            last_frame_time_ms: last.unwrap_or(-1),
            is_streaming: m.is_streaming.into(),
            is_live: m.is_live.into(),
        }
    }
}

/// Prepares a status to be filled; struct_size is sizeof(*status).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_status_init(
    status: *mut visavis_session_status,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(status, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Fills in the session's figures, in some microseconds. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_get_status(
    session: *const visavis_session,
    status: *mut visavis_session_status,
) -> visavis_status {
    entry!({
        let session = handle::get::<SessionObject>(session)?;
        raw::write(status, visavis_session_status::new(&session.session.status()))?;
        Ok(VISAVIS_OK)
    })
}

/// The session's figures as JSON, with the names of GET /status, to be freed with visavis_string_free(). Beside those of
/// the struct it has how long frames took to each stage, the encoders that run, what viewers get, and their networks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_session_get_status_json(
    session: *const visavis_session,
    json: *mut *mut c_char,
) -> visavis_status {
    entry!([json] {
        let session = handle::get::<SessionObject>(session)?;
        let text = to_json(session.session.id().as_str(), &session.session.status()).to_string();
        raw::put_text(json, text)?;
        Ok(VISAVIS_OK)
    })
}

fn to_json(session: &str, status: &SessionStatus) -> Value {
    // Microseconds since a push stay far below 2^53, where an f64 stops being exact.
    let ms = |us: u64| us as f64 / 1_000.0;
    let stages: serde_json::Map<_, _> = status
        .stages
        .iter()
        .map(|stage| {
            let (p50, p99, max) = (ms(stage.p50_us), ms(stage.p99_us), ms(stage.max_us));
            let figures = json!({"p50": p50, "p99": p99, "max": max, "count": stage.count});
            (stage.stage.name().to_owned(), figures)
        })
        .collect();
    let mut all = json!({
        "session": session,
        "peerCount": status.peer_count,
        "metrics": metrics(&status.metrics),
        "stages": stages,
        "encoders": status.encoders.iter().map(|codec| codec.name()).collect::<Vec<_>>(),
        "rungs": status.rungs.iter().map(rung).collect::<Vec<_>>(),
    });
    if let Some(networks) = status.networks {
        all["networks"] = json!({
            "viewers": networks.viewers,
            "limited": networks.limited,
            "byTcp": networks.by_tcp,
            "median": network(&networks.median),
            "worst": network(&networks.worst),
        });
    }
    all
}

fn rung(rung: &RungSummary) -> Value {
    json!({
        "codec": rung.codec.name(),
        "rung": rung.rung.index(),
        "bitrate": rung.bitrate.map(|bitrate| bitrate.bps()),
        "viewers": rung.viewers,
    })
}

fn network(network: &NetworkStatus) -> Value {
    let ms = |time: Duration| time.as_micros() as f64 / 1_000.0;
    json!({
        "availableBitrate": network.available_bitrate.bps(),
        "roundTrip": ms(network.round_trip),
        "queueDelay": ms(network.queue_delay),
        "fractionLost": network.fraction_lost,
    })
}

fn metrics(m: &Metrics) -> Value {
    json!({
        "videoFrames": m.video_frames,
        "audioChunks": m.audio_chunks,
        "droppedFrames": m.dropped_frames,
        "avgLatency": m.avg_latency_ms,
        "lastFrameTime": m.last_frame_time.map(|time| time.0),
        "fps": m.fps,
        "isStreaming": m.is_streaming,
        "replacedFrames": m.replaced_frames,
        "droppedAudioMs": m.dropped_audio_ms,
        "correctedStamps": m.corrected_stamps,
        "droppedUnits": m.dropped_units,
        "encodedFrames": m.encoded_frames,
        "keyframes": m.keyframes,
        "micPackets": m.mic_packets,
        "droppedMicPackets": m.dropped_mic_packets,
        "unreadMicChunks": m.unread_mic_chunks,
        "droppedAudioPackets": m.dropped_audio_packets,
        "dataSent": m.data_sent,
        "dataUndelivered": m.data_undelivered,
        "dataReceived": m.data_received,
        "dataDropped": m.data_dropped,
        "stalls": m.stalls,
        "isLive": m.is_live,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use visavis::status::{NetworkSummary, PictureStatus};
    use visavis::units::Bitrate;
    use visavis::video::{Rung, VideoCodec};

    use super::*;

    #[test]
    fn the_metrics_are_those_of_the_http_api() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../signaling/openapi.json");
        let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let status = &document["components"]["schemas"]["Status"]["properties"];
        let documented: BTreeSet<_> =
            status["metrics"]["properties"].as_object().unwrap().keys().collect();
        let mut own = SessionStatus::default();
        let time = Duration::from_millis(40);
        let network = NetworkStatus::new(Bitrate::from_kbps(900), (time, time), 0.25);
        own.networks = NetworkSummary::of(&[network]);
        own.rungs = RungSummary::of([PictureStatus::new(VideoCodec::H264, Rung::LOWEST)]);
        let own = to_json("default", &own);
        assert_eq!(own["networks"]["worst"]["roundTrip"], 40.0);
        let rung = json!({"codec": "H264", "rung": 0, "bitrate": null, "viewers": 1});
        assert_eq!(own["rungs"], json!([rung]));
        for (part, shape) in
            [("networks", &status["networks"]), ("rungs", &status["rungs"]["items"])]
        {
            let told = own[part].get(0).unwrap_or(&own[part]);
            let documented = shape["properties"].as_object().unwrap();
            assert!(told.as_object().unwrap().keys().eq(documented.keys()), "{part}");
        }
        assert_eq!(own["metrics"].as_object().unwrap().keys().collect::<BTreeSet<_>>(), documented);
        for key in own.as_object().unwrap().keys() {
            assert!(status.get(key).is_some(), "{key}");
        }
    }
}
