//! A session's status as a dictionary.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use visavis::status::{NetworkSummary, RungSummary, SessionStatus};

use crate::events::in_ms;

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
    let rungs: Result<Vec<_>, _> = status.rungs.iter().map(|one| rung(py, one)).collect();
    dict.set_item("rungs", PyList::new(py, rungs?)?)?;
    dict.set_item("networks", status.networks.map(|all| networks(py, &all)).transpose()?)?;
    Ok(dict)
}

fn rung<'py>(py: Python<'py>, rung: &RungSummary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("codec", rung.codec.name())?;
    dict.set_item("rung", rung.rung.index())?;
    dict.set_item("video_kbps", rung.bitrate.map(|bitrate| bitrate.bps() / 1_000))?;
    dict.set_item("viewers", rung.viewers)?;
    Ok(dict)
}

fn networks<'py>(py: Python<'py>, all: &NetworkSummary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("viewers", all.viewers)?;
    dict.set_item("limited", all.limited)?;
    dict.set_item("by_tcp", all.by_tcp)?;
    for (which, network) in [("median", all.median), ("worst", all.worst)] {
        let figures = PyDict::new(py);
        figures.set_item("available_kbps", network.available_bitrate.bps() / 1_000)?;
        figures.set_item("round_trip_ms", in_ms(network.round_trip))?;
        figures.set_item("queue_delay_ms", in_ms(network.queue_delay))?;
        figures.set_item("fraction_lost", network.fraction_lost)?;
        dict.set_item(which, figures)?;
    }
    Ok(dict)
}
