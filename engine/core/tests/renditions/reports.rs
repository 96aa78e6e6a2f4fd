//! What sender reports and capture times claim of a stream whose pictures are not all of one rendition: it must be true
//! of what the viewer has, or sound and picture come apart.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use str0m::rtp::RtpPacket;
use str0m::rtp::rtcp::SenderInfo;
use visavis_types::{AudioCodec, AudioPacket, AudioRenditionSet, Rung, TemporalLayer, VideoCodec};

use crate::common::{MS, Viewer, World};
use crate::face::Face;
use crate::{Got, limit, lossless, lossy, pictures, ready};

/// How far a report may be from the truth: two ticks of the video clock, and rounding.
const TOLERANCE: f64 = 40e-6;

/// Where sequence numbers of a viewer's pictures begin.
fn first(viewer: &Viewer) -> u64 {
    viewer.id.as_raw() & 0x7fff
}

/// The reports on a stream whose clock has this rate, each with the packets of it that had come before.
fn reports(viewer: &Viewer, hz: u32) -> Vec<(SenderInfo, Vec<&RtpPacket>)> {
    let of_rate = |packet: &&RtpPacket| packet.time.frequency().get() == hz;
    let ssrc = viewer.packets.iter().find(of_rate).unwrap().header.ssrc;
    let all = viewer.sender_reports.iter().zip(&viewer.packets_before);
    all.filter(|(report, _)| report.ssrc == ssrc)
        .map(|(report, &before)| {
            (*report, viewer.packets[..before].iter().filter(of_rate).collect())
        })
        .collect()
}

/// By how many seconds an RTP time, taken for that of a moment, is later than what a report makes of it.
fn error(report: &SenderInfo, hz: u32, rtp_time: u32, moment: SystemTime) -> f64 {
    let ticks = rtp_time.wrapping_sub(report.rtp_time.numer() as u32) as i32;
    let seconds = match moment.duration_since(report.ntp_time) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    };
    f64::from(ticks) / f64::from(hz) - seconds
}

/// Whether reports count what was sent, each packet once: `bytes` before the sequence number `since`, and what came.
fn assert_counts(viewer: &Viewer, since: u64, bytes: u64, strict: bool) {
    let all = reports(viewer, 90_000);
    assert!(!all.is_empty());
    for (n, (report, before)) in all.iter().enumerate() {
        let Some(next) = before.iter().map(|packet| *packet.seq_no + 1).max() else { continue };
        let counted = u64::from(report.sender_packet_count);
        // Where the network loses some, what was sent last may not have come.
        let is_last = n + 1 == all.len();
        let missing = if strict || is_last { 0 } else { 12 };
        let sent = next - first(viewer);
        assert!((sent..=sent + missing).contains(&counted), "{counted} of {sent}, report {n}");
        if missing == 0 {
            let mut packets: Vec<_> = viewer
                .packets
                .iter()
                .filter(|packet| {
                    packet.time.frequency().get() == 90_000
                        && (since..next).contains(&packet.seq_no)
                })
                .collect();
            packets.sort_by_key(|packet| *packet.seq_no);
            packets.dedup_by_key(|packet| *packet.seq_no);
            assert_eq!(packets.len() as u64, next - since);
            let octets: u64 = packets.iter().map(|packet| packet.payload.len() as u64).sum();
            assert_eq!(u64::from(report.sender_octet_count), bytes + octets, "report {n}");
        }
    }
}

/// The pictures that do not have the RTP time that some report gives the moment of their capture.
fn out_of_time(world: &World, face: &Face, viewer: usize, got: &[Got]) -> Vec<u32> {
    let reports = reports(&world.viewers[viewer], 90_000);
    let is_out = |got: &&Got| {
        let moment = world.clock.to_system(face.captured[got.picture as usize]);
        let errors =
            reports.iter().map(|(report, _)| error(report, 90_000, got.rtp_time as u32, moment));
        errors.map(f64::abs).fold(0.0, f64::max) > TOLERANCE
    };
    got.iter().filter(is_out).map(|got| got.picture).collect()
}

/// The moments that packets of pictures carry are those of their RTP times; returns the longest time without one.
fn longest_without_capture_time(world: &World, viewer: usize, got: &[Got]) -> Duration {
    let viewer = &world.viewers[viewer];
    let reports = reports(viewer, 90_000);
    let (report, _) = reports.last().unwrap();
    let carried = |got: &&Got| {
        let packet = viewer.packets.iter().find(|packet| packet.time.numer() == got.rtp_time);
        let carried = packet.unwrap().header.ext_vals.abs_capture_time.as_ref();
        carried
            .inspect(|carried| {
                let error = error(report, 90_000, got.rtp_time as u32, carried.capture_time);
                assert!(error.abs() < TOLERANCE, "{got:?}: {error}");
            })
            .is_some()
    };
    let (mut longest, mut last) = (0, got[0].rtp_time);
    for got in got {
        longest = longest.max(got.rtp_time - last);
        if carried(&got) {
            last = got.rtp_time;
        }
    }
    Duration::from_secs_f64(longest as f64 / 90_000.0)
}

/// One packet of sound for each picture.
fn run_with_sound(world: &mut World, face: &mut Face, pictures: usize) {
    for _ in 0..pictures {
        let packet = AudioPacket {
            codec: AudioCodec::Opus,
            renditions: AudioRenditionSet::OPUS,
            data: Arc::from([0xf8; 40].as_slice()),
            rtp_time: face.picture * 48 * 33,
            captured: world.now,
            talkspurt: false,
        };
        world.hub.send_audio(world.session, &packet, &mut world.wire);
        face.run(world, 1);
    }
}

#[test]
fn reports_of_a_viewer_that_skips_every_second_picture_count_what_it_was_sent() {
    for (codec, loses) in
        [(VideoCodec::H264, false), (VideoCodec::Vp8, false), (VideoCodec::Vp8, true)]
    {
        let (mut world, since) = ready(codec, 2);
        let bytes = [0, 1].map(|viewer| (since[viewer] - first(&world.viewers[viewer])) * 500);
        let mut face = Face::new(&world, codec, true, &[3_500]);
        limit(&mut world, 1, Rung::HIGHEST, TemporalLayer::BASE);
        world.viewers.iter_mut().for_each(|viewer| {
            viewer.sender_reports.clear();
            viewer.packets_before.clear();
        });
        if loses {
            lossy(&mut world);
        }
        face.run(&mut world, 400);
        lossless(&mut world);
        face.run(&mut world, 60);
        for viewer in 0..2 {
            let got = pictures(&world, viewer, codec, true, since[viewer]);
            assert_eq!(got.len(), [460, 230][viewer]);
            assert!(reports(&world.viewers[viewer], 90_000).len() >= 10, "once a second");
            assert_counts(&world.viewers[viewer], since[viewer], bytes[viewer], !loses);
            assert_eq!(out_of_time(&world, &face, viewer, &got), [0; 0], "{codec}");
            let longest = longest_without_capture_time(&world, viewer, &got);
            assert!(longest <= 1_100 * MS, "{codec}, viewer {viewer}: {longest:?}");
        }
    }
}

#[test]
fn reports_of_a_viewer_that_changes_rungs_ten_times_are_of_one_stream() {
    // The second rung comes with the first, or one picture later, as where encoders work side by side.
    for (codec, delay, loses) in [
        (VideoCodec::H264, 0, false),
        (VideoCodec::H264, 1, false),
        (VideoCodec::Vp8, 0, true),
        (VideoCodec::Vp8, 1, true),
        (VideoCodec::Vp9, 1, false),
    ] {
        let (mut world, since) = ready(codec, 1);
        let since = since[0];
        let bytes = (since - first(&world.viewers[0])) * 500;
        let mut face = Face::new(&world, codec, false, &[1_500, 5_500]);
        face.encoders[1].delay = delay;
        limit(&mut world, 0, Rung::LOWEST, TemporalLayer::HIGHEST);
        world.hub.set_renditions(
            world.session,
            (face.renditions(), [None; Rung::COUNT]),
            world.now,
        );
        world.viewers[0].sender_reports.clear();
        world.viewers[0].packets_before.clear();
        run_with_sound(&mut world, &mut face, 30);
        if loses {
            lossy(&mut world);
        }
        for change in 0..10 {
            let rung = if change % 2 == 0 { Rung::HIGHEST } else { Rung::LOWEST };
            limit(&mut world, 0, rung, TemporalLayer::HIGHEST);
            run_with_sound(&mut world, &mut face, 40);
        }
        lossless(&mut world);
        run_with_sound(&mut world, &mut face, 60);

        let of_pictures = |packet: &RtpPacket| packet.time.frequency().get() == 90_000;
        let sound: Vec<_> = world.viewers[0].packets.iter().filter(|p| !of_pictures(p)).collect();
        let sound: Vec<_> = sound.iter().map(|packet| packet.header.timestamp).collect();
        let of_sound = reports(&world.viewers[0], 48_000);
        assert_counts(&world.viewers[0], since, bytes, !loses);
        assert!(of_sound.len() >= 10);
        for (report, _) in &of_sound {
            for &rtp_time in &sound {
                let picture = rtp_time / (48 * 33);
                let moment = world.clock.to_system(face.captured[picture as usize]);
                let error = error(report, 48_000, rtp_time, moment);
                assert!(error.abs() < TOLERANCE, "{codec}: sound of {picture}, {error}");
            }
        }
        let got = pictures(&world, 0, codec, false, since);
        let changes = got.windows(2).filter(|two| two[0].rung != two[1].rung).count();
        assert_eq!(changes, 10, "{codec}");
        // Where it changes to what comes later, a picture or two come twice, and have to be later than themselves.
        let out = out_of_time(&world, &face, 0, &got);
        let is_after_change = |picture: &u32| {
            got.windows(2).any(|two| {
                two[0].rung < two[1].rung && (two[1].picture..two[1].picture + 2).contains(picture)
            })
        };
        assert!(out.len() <= 15 * delay && out.iter().all(is_after_change), "{codec}: {out:?}");
        let longest = longest_without_capture_time(&world, 0, &got);
        assert!(longest <= 1_100 * MS, "{codec}: {longest:?}");
    }
}
