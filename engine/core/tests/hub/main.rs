//! Peers in virtual time: what a hub does over minutes, checked in milliseconds.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../common/mod.rs"]
mod common;
mod sound;
mod video;

use std::collections::HashSet;
use std::sync::Arc;

use common::{MS, World};
use visavis_core::{CloseReason, DeadlineReason, HubEvent, Route};
use visavis_types::{AudioCodec, AudioPacket, AudioRenditionSet, Refusal, RenditionId, VideoCodec};

const H264: VideoCodec = VideoCodec::H264;
const VP8: VideoCodec = VideoCodec::Vp8;

fn keyframes_wanted(world: &World) -> usize {
    world.events.iter().filter(|event| matches!(event, HubEvent::KeyframeWanted { .. })).count()
}

#[test]
fn a_viewer_connects_and_gets_every_packet_of_a_frame() {
    let mut world = World::joined();
    assert!(
        matches!(
            world.events[..],
            [
                HubEvent::ActiveRenditions { .. },
                HubEvent::Joined { codec: Some(H264), .. },
                HubEvent::KeyframeWanted { rendition: RenditionId { codec: H264, .. }, .. },
            ]
        ),
        "{:?}",
        world.events
    );

    let frame = world.frame(H264, true, &[900, 900, 500]);
    assert_eq!(world.hub.send_frame(world.session, frame, || world.now, &mut world.wire).peers, 1);
    world.run(100 * MS);
    let packets = &world.viewers[0].packets;
    assert_eq!(packets.len(), 3);
    assert_eq!(packets.iter().map(|p| p.header.marker).collect::<Vec<_>>(), [false, false, true]);
    for (number, packet) in (0..).zip(packets) {
        let extensions = &packet.header.ext_vals;
        assert_eq!(extensions.play_delay_max.map(|at| at.numer()), Some(0));
        assert!(extensions.mid.is_some(), "the viewer has not reported yet");
        assert_eq!(extensions.transport_cc, Some(number), "across all streams, from 0 on");
        let captured = extensions.abs_capture_time.unwrap().capture_time;
        let age = std::time::SystemTime::now().duration_since(captured).unwrap_or_default();
        assert!(age < 60_000 * MS, "{age:?}");
        assert_eq!(packet.header.timestamp, packets[0].header.timestamp);
    }
}

#[test]
fn media_is_added_where_there_was_a_data_channel_alone() {
    let mut world = World::new();
    let viewer = world.join_for_data("captions");
    world.run(2_000 * MS);
    assert!(world.viewers[viewer].connected);
    assert_eq!(world.viewers[viewer].channels.len(), 1);
    assert_eq!(keyframes_wanted(&world), 0);
    world.add_media(viewer);
    world.run(10 * MS);
    assert_eq!(keyframes_wanted(&world), 1, "{:?}", world.events);
    let keyframe = world.frame(H264, true, &[700]);
    assert_eq!(
        world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire).peers,
        1
    );
    world.stream(H264, 3);
    assert_eq!(world.viewers[viewer].packets.len(), 1 + 3 * 3);
}

#[test]
fn what_a_viewers_network_takes_is_known_after_its_first_reports() {
    let mut world = World::joined();
    assert_eq!(world.networks[0].status(), None);
    let mut numbered = 0;
    for tick in 0..300 {
        let frame = world.frame(H264, tick == 0, &[900, 900, 500]);
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
        world.run(33 * MS);
        let packets = world.viewers[0].packets.drain(..);
        let of_picture = packets.filter(|p| p.header.ext_vals.transport_cc.is_some()).count();
        assert!(matches!(of_picture, 0 | 3), "{of_picture} of a picture's packets are numbered");
        numbered += if tick < 200 { 0 } else { of_picture };
    }
    let network = world.networks[0].status().expect("it has reported");
    // 0.55 Mbit/s are sent.
    let available = network.available_bitrate.bps();
    assert!((600_000..1_000_000).contains(&available), "{network:?}");
    assert!(network.round_trip < 100 * MS && network.queue_delay < MS, "{network:?}");
    assert_eq!(network.fraction_lost, 0.0);
    // All is well: one picture in 400 ms is enough.
    assert!((3 * 6..=3 * 12).contains(&numbered), "{numbered} of 300 packets are numbered");
}

#[test]
fn sender_reports_tie_both_streams_to_the_same_clock() {
    let mut world = World::joined();
    for tick in 0..150_u32 {
        if tick % 2 == 0 {
            let frame = world.frame(H264, tick == 0, &[700, 300]);
            world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
        }
        let packet = AudioPacket {
            codec: AudioCodec::Opus,
            renditions: AudioRenditionSet::OPUS,
            data: Arc::from([0xf8; 40].as_slice()),
            rtp_time: tick.wrapping_mul(960).wrapping_sub(48_000),
            // Sent ahead of its time.
            captured: world.now + 40 * MS,
            talkspurt: false,
        };
        world.hub.send_audio(world.session, &packet, &mut world.wire);
        world.run(20 * MS);
    }
    let viewer = &world.viewers[0];
    let [video, audio] = [90_000_u32, 48_000].map(|hz| {
        let of_stream = |ssrc| viewer.packets.iter().filter(move |p| p.header.ssrc == ssrc);
        let reports = viewer.sender_reports.iter().filter(|info| {
            of_stream(info.ssrc).next().is_some_and(|p| p.time.frequency().get() == hz)
        });
        let last = reports.max_by_key(|info| info.ntp_time).unwrap();
        let first = of_stream(last.ssrc).next().unwrap();
        // What was sent by then, and when its first packet was captured by the reports' clock.
        let before = of_stream(last.ssrc).filter(|p| p.timestamp <= world.now).count();
        assert!(last.sender_packet_count as usize <= before, "{last:?}");
        assert!(last.sender_packet_count as usize + 200 >= before, "{last:?}");
        let bytes: usize = viewer
            .packets
            .iter()
            .filter(|p| p.header.ssrc == last.ssrc)
            .map(|p| p.payload.len())
            .sum();
        assert!(last.sender_octet_count as usize <= bytes && last.sender_octet_count > 0);
        let ticks = (last.rtp_time.numer() as u32).wrapping_sub(first.header.timestamp);
        let since = std::time::Duration::from_secs_f64(f64::from(ticks) / f64::from(hz));
        last.ntp_time - since
    });
    let apart = audio.duration_since(video).unwrap();
    assert!(apart.abs_diff(40 * MS) < MS, "{apart:?}");
}

#[test]
fn a_viewer_hears_no_report_before_there_is_something_to_report() {
    let mut world = World::joined();
    world.run(5_000 * MS);
    assert!(world.viewers[0].sender_reports.is_empty());
}

#[test]
fn a_peer_that_vanishes_is_dropped_with_an_event() {
    let mut world = World::joined();
    world.viewers[0].online = false;
    world.run(40_000 * MS);
    let left = world.events.iter().any(|event| {
        matches!(event, HubEvent::Left { reason: CloseReason::Vanished, was_connected: true, .. })
    });
    assert!(left, "{:?}", world.events);
    assert_eq!(world.hub.peer_count(), 0);
}

#[test]
fn a_peer_that_never_connects_is_dropped_in_time() {
    let mut world = World::new();
    world.join(None);
    world.viewers[0].online = false;
    world.run(14_000 * MS);
    assert_eq!(world.hub.peer_count(), 1);
    world.run(2_000 * MS);
    assert_eq!(world.hub.peer_count(), 0);
    assert!(world.events.iter().any(|event| {
        matches!(
            event,
            HubEvent::Left { reason: CloseReason::ConnectTimeout, was_connected: false, .. }
        )
    }));
}

#[test]
fn a_deadline_says_what_is_due() {
    use DeadlineReason::{ConnectTimeout, Consent, Ice, Keyframe, KeyframeRequest, Rtcp};
    let reasons = |world: &mut World, ms: u32| {
        let (mut reasons, until) = (HashSet::new(), world.now + ms * MS);
        while world.now < until {
            let next = world.hub.next_deadline();
            reasons.extend(next.map(|deadline| deadline.reason));
            let next = next.map_or(until, |deadline| deadline.at.min(world.now + MS));
            world.run(next.saturating_duration_since(world.now));
        }
        reasons
    };
    // Nobody answers: ICE checks until the peer is given up.
    let mut world = World::new();
    world.join(None);
    world.viewers[0].online = false;
    let seen = reasons(&mut world, 15_010);
    assert!(seen.is_superset(&HashSet::from([Ice, ConnectTimeout])), "{seen:?}");
    assert_eq!(world.hub.next_deadline(), None, "nobody is left");
    // A viewer that watches, and asks for keyframes without end.
    let mut world = World::joined();
    let seen = reasons(&mut world, 2_000);
    assert!(seen.is_superset(&HashSet::from([Ice, Rtcp])), "{seen:?}");
    let (mut seen, mut wanted) = (HashSet::new(), 0);
    for _ in 0..60 {
        world.viewers[0].request_keyframe(world.now, &mut world.wire);
        let before = std::mem::replace(&mut wanted, keyframes_wanted(&world));
        let frame = world.frame(H264, wanted > before, &[700]);
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
        seen.extend(reasons(&mut world, 33));
    }
    assert!(seen.contains(&Keyframe), "{seen:?}");
    seen.extend(reasons(&mut world, 5_000));
    assert!(seen.contains(&KeyframeRequest), "{seen:?}");
    // Then it is gone without a word.
    world.viewers[0].online = false;
    let seen = reasons(&mut world, 31_000);
    assert!(seen.contains(&Consent), "{seen:?}");
}

/// What a DTLS 1.2 client says in place of its certificate, in the clear, if it has none that was asked for.
#[cfg(not(feature = "openssl"))]
#[test]
fn a_viewer_without_an_ecdsa_certificate_is_refused_at_once_in_words() {
    // A handshake of RFC 5246 §7.4.6 with an empty list, as OpenSSL has it, or an alert.
    fn empty_list(record: &[u8]) -> Vec<u8> {
        let (sequence, message_sequence) = (&record[5..11], &record[17..19]);
        let head = [&[22, 0xfe, 0xfd, 0, 0][..], sequence, &[0, 15, 11, 0, 0, 3], message_sequence];
        [&head.concat()[..], &[0, 0, 0, 0, 0, 3, 0, 0, 0]].concat()
    }
    fn alert(record: &[u8]) -> Vec<u8> {
        [&[21, 0xfe, 0xfd, 0, 0][..], &record[5..11], &[0, 2, 2, 40]].concat()
    }
    for instead in [empty_list, alert] {
        let mut world = World::new();
        world.join(None);
        let hub = world.hub_addr;
        world.bend = Box::new(move |sent| {
            const CERTIFICATE: u8 = 11;
            if sent.to == hub && sent.contents[0] == 22 && sent.contents[13] == CERTIFICATE {
                sent.contents = instead(&sent.contents);
            }
            // What is said in return ends the viewer's connection too, which is no matter of the test's.
            sent.to == hub || sent.contents[0] != 21
        });
        let start = world.now;
        while world.hub.peer_count() > 0 {
            world.run(MS);
            assert!(world.now - start < 1_000 * MS);
        }
        let left: Vec<_> =
            world.events.iter().filter(|event| matches!(event, HubEvent::Left { .. })).collect();
        assert!(
            matches!(
                left[..],
                [HubEvent::Left { reason: CloseReason::RsaCertificate, was_connected: false, .. }]
            ),
            "{left:?}"
        );
        assert_eq!(world.hub.refusals().get(Refusal::RsaCertificate), 1);
    }
}

#[test]
fn a_short_outage_ends_with_a_keyframe_not_with_a_goodbye() {
    let mut world = World::joined();
    let before = keyframes_wanted(&world);
    world.viewers[0].online = false;
    world.run(5_000 * MS);
    world.viewers[0].online = true;
    world.run(5_000 * MS);
    assert_eq!(world.hub.peer_count(), 1);
    let frame = world.frame(H264, true, &[500]);
    assert_eq!(world.hub.send_frame(world.session, frame, || world.now, &mut world.wire).peers, 1);
    world.run(100 * MS);
    assert_eq!(world.viewers[0].packets.len(), 1);
    assert!(keyframes_wanted(&world) >= before);
}

#[test]
fn an_ice_restart_keeps_the_media_flowing() {
    let mut world = World::joined();
    let keyframe = world.frame(H264, true, &[500]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
    world.run(100 * MS);
    world.restart_ice(0);
    world.run(1_000 * MS);
    world.stream(H264, 10);
    assert_eq!(world.viewers[0].packets.len(), 1 + 30);
    assert_eq!(world.hub.peer_count(), 1);
}

#[test]
fn garbage_is_refused_and_harms_nobody() {
    let mut world = World::joined();
    let viewer = world.viewers[0].addr;
    let hub = "192.0.2.1:5000".parse().unwrap();
    let stranger = "198.51.100.9:1".parse().unwrap();
    let mut byte = 1u8;
    for len in [0, 1, 3, 12, 20, 40, 100, 1_200, 65_000] {
        for first in [0, 1, 2, 20, 22, 63, 64, 79, 80, 127, 128, 144, 191, 200, 255] {
            let mut datagram: Vec<u8> = (0..len)
                .map(|_| {
                    byte = byte.wrapping_mul(37).wrapping_add(11);
                    byte
                })
                .collect();
            if let Some(start) = datagram.first_mut() {
                *start = first;
            }
            // From a stranger, and from the viewer's own address.
            for source in [stranger, viewer] {
                world.hub.receive(world.now, Route::udp(hub, source), &datagram, &mut world.wire);
            }
        }
    }
    assert!(world.hub.refusals().get(Refusal::Datagram) > 0);
    let keyframe = world.frame(H264, true, &[500]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
    world.run(100 * MS);
    assert_eq!(world.viewers[0].packets.len(), 1);
}

#[test]
fn a_removed_session_says_goodbye() {
    let mut world = World::joined();
    for codec in [H264, VP8, VideoCodec::Vp9] {
        world.join(Some(codec));
    }
    world.run(2_000 * MS);
    world.events.clear();
    world.hub.remove_session(world.session, world.now, &mut world.wire);
    world.run(200 * MS);
    assert!(world.viewers.iter().all(|viewer| viewer.closed));
    assert_eq!(world.hub.peer_count(), 0);
    // What it still sends is not counted anew for each that leaves: there may be a thousand.
    let told =
        world.events.iter().filter(|event| matches!(event, HubEvent::ActiveRenditions { .. }));
    assert_eq!(told.count(), 1, "{:?}", world.events);
    assert!(world.events.iter().any(|event| {
        matches!(event, HubEvent::Left { reason: CloseReason::SessionEnded, .. })
    }));
}
