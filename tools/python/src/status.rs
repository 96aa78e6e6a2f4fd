//! A session's status as a dictionary.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use visavis::status::SessionStatus;

/// `peer_count`, `encoders`, `metrics` and `stages`, each by its name in Rust.
pub(crate) fn as_dict<'py>(
    py: Python<'py>,
    status: &SessionStatus,
) -> PyResult<Bound<'py, PyDict>> {
    let metrics = PyDict::new(py);
    let from = &status.metrics;
    let counters = [
        ("video_frames", from.video_frames),
        ("audio_chunks", from.audio_chunks),
        ("dropped_frames", from.dropped_frames),
        ("replaced_frames", from.replaced_frames),
        ("dropped_audio_ms", from.dropped_audio_ms),
        ("corrected_stamps", from.corrected_stamps),
        ("dropped_units", from.dropped_units),
        ("encoded_frames", from.encoded_frames),
        ("keyframes", from.keyframes),
        ("mic_packets", from.mic_packets),
        ("dropped_mic_packets", from.dropped_mic_packets),
        ("unread_mic_chunks", from.unread_mic_chunks),
        ("dropped_audio_packets", from.dropped_audio_packets),
        ("data_sent", from.data_sent),
        ("data_undelivered", from.data_undelivered),
        ("data_received", from.data_received),
        ("data_dropped", from.data_dropped),
        ("stalls", from.stalls),
    ];
    for (name, count) in counters {
        metrics.set_item(name, count)?;
    }
    metrics.set_item("avg_latency", from.avg_latency_ms)?;
    metrics.set_item("last_frame_time", from.last_frame_time.map(|time| time.0))?;
    metrics.set_item("fps", from.fps)?;
    metrics.set_item("is_streaming", from.is_streaming)?;
    metrics.set_item("is_live", from.is_live)?;

    let stages = PyDict::new(py);
    for stage in &status.stages {
        let figures = PyDict::new(py);
        figures.set_item("count", stage.count)?;
        figures.set_item("p50_us", stage.p50_us)?;
        figures.set_item("p99_us", stage.p99_us)?;
        figures.set_item("max_us", stage.max_us)?;
        stages.set_item(stage.stage.name(), figures)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("peer_count", status.peer_count)?;
    dict.set_item("encoders", PyList::new(py, status.encoders.iter().map(|codec| codec.name()))?)?;
    dict.set_item("metrics", metrics)?;
    dict.set_item("stages", stages)?;
    Ok(dict)
}
