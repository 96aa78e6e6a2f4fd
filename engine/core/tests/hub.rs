//! Peers in virtual time: what a hub does over minutes, checked in milliseconds.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;

use common::{MS, World};
use visavis_core::{Farewell, HubEvent};
use visavis_types::{
    AudioCodec, AudioPacket, AudioRendition, AudioRenditionSet, CodecSet, Refusal, VideoCodec,
};

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
                HubEvent::ActiveCodecs { .. },
                HubEvent::Joined { codec: Some(H264), .. },
                HubEvent::KeyframeWanted { codec: H264, .. },
            ]
        ),
        "{:?}",
        world.events
    );

    let frame = world.frame(H264, true, &[900, 900, 500]);
    assert_eq!(world.hub.send_frame(world.session, frame, world.now, &mut world.wire), 1);
    world.run(100 * MS);
    let packets = &world.viewers[0].packets;
    assert_eq!(packets.len(), 3);
    assert_eq!(packets.iter().map(|p| p.header.marker).collect::<Vec<_>>(), [false, false, true]);
    for packet in packets {
        let extensions = &packet.header.ext_vals;
        assert_eq!(extensions.play_delay_max.map(|at| at.numer()), Some(0));
        assert!(extensions.mid.is_some(), "the viewer has not reported yet");
        assert_eq!(extensions.transport_cc, None);
        let captured = extensions.abs_capture_time.unwrap().capture_time;
        let age = std::time::SystemTime::now().duration_since(captured).unwrap_or_default();
        assert!(age < 60_000 * MS, "{age:?}");
        assert_eq!(packet.header.timestamp, packets[0].header.timestamp);
    }
}

#[test]
fn nothing_is_sent_before_a_keyframe() {
    let mut world = World::joined();
    world.stream(H264, 3);
    assert_eq!(world.viewers[0].packets.len(), 0);
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
    world.stream(H264, 2);
    assert_eq!(world.viewers[0].packets.len(), 1 + 6);
    let sequence: Vec<u64> = world.viewers[0].packets.iter().map(|p| *p.seq_no).collect();
    assert!(sequence.windows(2).all(|w| w[1] == w[0] + 1), "{sequence:?}");
}

#[test]
fn equal_payloads_leave_as_equal_datagrams_in_one_turn() {
    let mut world = World::joined();
    world.wire.turns.clear();
    let keyframe = world.frame(H264, true, &[1_000, 1_000, 1_000, 400]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
    let turn = world.wire.turns.iter().find(|turn| turn.len() >= 4).unwrap();
    let media = &turn[turn.len() - 4..];
    assert!(media[0] == media[1] && media[1] == media[2] && media[3] < media[0], "{turn:?}");
    assert!(media[0] <= 1_200, "{turn:?}");
}

/// str0m wants to be called once per packet, a microsecond later each time, and its estimator's timers
/// get in between: a picture of many packets used to stop on its way until the next wake-up.
#[test]
fn a_large_picture_leaves_in_one_turn() {
    let mut world = World::joined();
    for packets in [60, 150, 400] {
        world.wire.turns.clear();
        let keyframe = world.frame(H264, true, &vec![1_000; packets]);
        world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
        let most = world.wire.turns.iter().map(Vec::len).max();
        assert!(most >= Some(packets), "{most:?} of {packets}");
        world.run(33 * MS);
    }
}

#[test]
fn lost_packets_are_sent_again() {
    let mut world = World::joined();
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
    world.run(50 * MS);
    let mut count = 0;
    world.lose = Box::new(move |datagram| {
        let media = datagram.contents.len() > 400;
        count += usize::from(media);
        media && count % 9 == 0
    });
    world.stream(H264, 30);
    world.lose = Box::new(|_| false);
    world.stream(H264, 10);
    let mut sequence: Vec<u64> = world.viewers[0].packets.iter().map(|p| *p.seq_no).collect();
    sequence.sort_unstable();
    sequence.dedup();
    let span = sequence[sequence.len() - 1] - sequence[0] + 1;
    assert_eq!(sequence.len() as u64, span, "a packet is missing for good");
    assert_eq!(sequence.len(), 1 + 120);
}

/// A stream that begins again would use its nonces a second time: whoever sees both packets has the keys.
#[test]
fn video_that_was_switched_off_goes_on_where_it_was() {
    let mut world = World::joined();
    let mut expected = 0;
    for _ in 0..3 {
        let keyframe = world.frame(H264, true, &[700, 300]);
        assert_eq!(world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire), 1);
        world.run(50 * MS);
        world.stream(H264, 3);
        expected += 2 + 9;
        world.set_video(0, false);
        world.run(50 * MS);
        let frame = world.frame(H264, true, &[700]);
        assert_eq!(world.hub.send_frame(world.session, frame, world.now, &mut world.wire), 0);
        world.set_video(0, true);
        world.run(50 * MS);
    }
    let sequence: Vec<u64> = world.viewers[0].packets.iter().map(|p| *p.seq_no).collect();
    assert_eq!(sequence.len(), expected, "{sequence:?}");
    assert!(sequence.windows(2).all(|w| w[1] == w[0] + 1), "{sequence:?}");
}

/// Sequence numbers come around after 65,536 packets; SRTP counts how often.
#[test]
fn video_taken_up_again_asks_for_a_keyframe_with_the_answer() {
    let mut world = World::joined();
    world.join(None);
    world.run(2_000 * MS);
    world.set_video(0, false);
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
    world.run(1_000 * MS);
    let before = keyframes_wanted(&world);
    world.set_video(0, true);
    // No time passes: nobody has had a chance to ask over the network.
    world.events.extend(std::iter::from_fn(|| world.hub.poll_event()));
    assert_eq!(keyframes_wanted(&world), before + 1, "{:?}", world.events);
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
    assert_eq!(world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire), 1);
    world.stream(H264, 3);
    assert_eq!(world.viewers[viewer].packets.len(), 1 + 3 * 3);
}

#[test]
fn lost_packets_are_sent_again_across_a_roll_over() {
    let mut world = World::joined();
    let mut count = 0_usize;
    world.lose = Box::new(move |datagram| {
        count += 1;
        datagram.contents.len() > 400 && count.is_multiple_of(97)
    });
    let mut sent = 0;
    for _ in 0..1_100 {
        // str0m's client asks for none but the last hundred packets.
        let frame = world.frame(H264, true, &[500; 60]);
        world.hub.send_frame(world.session, frame, world.now, &mut world.wire);
        world.run(50 * MS);
        sent += 60;
    }
    world.lose = Box::new(|_| false);
    world.stream(H264, 10);
    let mut sequence: Vec<u64> = world.viewers[0].packets.iter().map(|p| *p.seq_no).collect();
    sequence.sort_unstable();
    sequence.dedup();
    assert_eq!(sequence.len(), sent + 30);
    assert!(sequence[sequence.len() - 1] > 65_536);
}

/// A viewer behind a network that loses nearly everything, or one that asks out of malice.
#[test]
fn a_viewer_that_asks_for_everything_again_costs_half_as_much_again() {
    let mut world = World::joined();
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
    world.run(50 * MS);
    world.wire.turns.clear();
    let mut count = 0;
    world.lose = Box::new(move |datagram| {
        count += 1;
        datagram.contents.len() > 400 && count % 10 != 0
    });
    world.stream(H264, 600);
    let media = world.wire.turns.iter().flatten().filter(|len| **len > 400).count();
    let sent = 3 * 600;
    assert!(media > sent * 5 / 4, "{media}: hardly anything was sent again");
    assert!(media <= sent * 3 / 2 + 256 + 1, "{media}: too much was sent again");
}

#[test]
fn sender_reports_tie_both_streams_to_the_same_clock() {
    let mut world = World::joined();
    for tick in 0..150_u32 {
        if tick % 2 == 0 {
            let frame = world.frame(H264, tick == 0, &[700, 300]);
            world.hub.send_frame(world.session, frame, world.now, &mut world.wire);
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
fn each_viewer_gets_its_codec_and_encoders_follow() {
    let mut world = World::new();
    world.join(Some(H264));
    world.join(Some(VP8));
    world.run(2_000 * MS);
    let both = CodecSet::EMPTY.with(H264).with(VP8);
    let active = |world: &World| {
        world.events.iter().rev().find_map(|event| match event {
            HubEvent::ActiveCodecs { video, .. } => Some(*video),
            _ => None,
        })
    };
    assert_eq!(active(&world), Some(both));
    for codec in [H264, VP8] {
        let frame = world.frame(codec, true, &[800, 300]);
        assert_eq!(world.hub.send_frame(world.session, frame, world.now, &mut world.wire), 1);
    }
    world.run(50 * MS);
    assert!(world.viewers.iter().all(|viewer| viewer.packets.len() == 2));

    let vp8 = world.viewers[1].id;
    world.hub.disconnect(vp8, world.now, &mut world.wire);
    world.run(100 * MS);
    assert_eq!(active(&world), Some(CodecSet::EMPTY.with(H264)));
    assert!(world.viewers[1].closed, "a disconnected viewer is told");
}

#[test]
fn fifty_joins_are_a_handful_of_keyframes() {
    let mut world = World::new();
    for _ in 0..50 {
        world.join(None);
    }
    world.run(3_000 * MS);
    assert!(world.viewers.iter().all(|viewer| viewer.connected));
    assert!((1..=4).contains(&keyframes_wanted(&world)), "{}", keyframes_wanted(&world));
}

#[test]
fn a_peer_that_vanishes_is_dropped_with_an_event() {
    let mut world = World::joined();
    world.viewers[0].online = false;
    world.run(40_000 * MS);
    let left = world.events.iter().any(|event| {
        matches!(event, HubEvent::Left { reason: Farewell::Vanished, was_connected: true, .. })
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
            HubEvent::Left { reason: Farewell::ConnectTimeout, was_connected: false, .. }
        )
    }));
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
                [HubEvent::Left { reason: Farewell::RsaCertificate, was_connected: false, .. }]
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
    assert_eq!(world.hub.send_frame(world.session, frame, world.now, &mut world.wire), 1);
    world.run(100 * MS);
    assert_eq!(world.viewers[0].packets.len(), 1);
    assert!(keyframes_wanted(&world) >= before);
}

#[test]
fn an_ice_restart_keeps_the_media_flowing() {
    let mut world = World::joined();
    let keyframe = world.frame(H264, true, &[500]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
    world.run(100 * MS);
    world.restart_ice(0);
    world.run(1_000 * MS);
    world.stream(H264, 10);
    assert_eq!(world.viewers[0].packets.len(), 1 + 30);
    assert_eq!(world.hub.peer_count(), 1);
}

#[test]
fn sound_reaches_every_viewer() {
    let mut world = World::new();
    world.join(None);
    world.join(None);
    world.run(2_000 * MS);
    let packet = AudioPacket {
        codec: AudioCodec::Opus,
        renditions: AudioRenditionSet::OPUS,
        data: Arc::from([0xf8, 0xff, 0xfe].as_slice()),
        rtp_time: 960,
        captured: world.now,
        talkspurt: true,
    };
    assert_eq!(world.hub.send_audio(world.session, &packet, &mut world.wire), 2);
    world.run(50 * MS);
    for viewer in &world.viewers {
        assert_eq!(viewer.packets.len(), 1);
        assert!(viewer.packets[0].header.marker);
    }
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
                world.hub.receive(world.now, source, hub, &datagram, &mut world.wire);
            }
        }
    }
    assert!(world.hub.refusals().get(Refusal::Datagram) > 0);
    let keyframe = world.frame(H264, true, &[500]);
    world.hub.send_frame(world.session, keyframe, world.now, &mut world.wire);
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
    let told = world.events.iter().filter(|event| matches!(event, HubEvent::ActiveCodecs { .. }));
    assert_eq!(told.count(), 1, "{:?}", world.events);
    assert!(
        world.events.iter().any(|event| {
            matches!(event, HubEvent::Left { reason: Farewell::SessionEnded, .. })
        })
    );
}

/// A packet of sound in the next 20 ms after the one before.
fn sound(world: &World, codec: AudioCodec, n: u32, data: &[u8]) -> AudioPacket {
    AudioPacket {
        codec,
        renditions: AudioRenditionSet::EMPTY.with(AudioRendition::of(codec, false)),
        data: Arc::from(data),
        rtp_time: n * codec.clock_hz() / 50,
        captured: world.now,
        talkspurt: n == 0,
    }
}

#[test]
fn each_viewer_hears_the_codec_that_it_and_the_session_like_best() {
    use AudioCodec::{Opus, Pcma, Pcmu};
    let mut world = World::new();
    world.order.audio = vec![Pcma, Opus];
    world.join_as(|config| config.enable_pcmu(true, false).enable_pcma(true, false));
    world.join(None);
    world.join_as(|config| config.enable_opus(false, false).enable_pcmu(true, false));
    world.run(2_000 * MS);
    let used = world.events.iter().rev().find_map(|event| match event {
        HubEvent::ActiveCodecs { audio, .. } => Some(*audio),
        _ => None,
    });
    let expected = [AudioRendition::Opus, AudioRendition::Pcmu, AudioRendition::Pcma];
    assert_eq!(used.unwrap().iter().collect::<Vec<_>>(), expected);
    for (codec, payload_type) in [(Pcma, 8), (Opus, 111), (Pcmu, 0)] {
        let packet = sound(&world, codec, 5, &[7; 160]);
        assert_eq!(world.hub.send_audio(world.session, &packet, &mut world.wire), 1);
        world.run(50 * MS);
        let heard = world.viewers.iter().find_map(|viewer| {
            let packet = viewer.packets.first()?;
            (*packet.header.payload_type == payload_type).then_some(packet.header.timestamp)
        });
        assert_eq!(heard, Some(packet.rtp_time), "{codec}");
    }
}

#[test]
fn sound_of_two_channels_goes_to_who_takes_two_and_changes_nothing_in_its_stream() {
    use AudioRendition::{Opus, OpusStereo};
    let mut world = World::new();
    let one = world.join(None);
    world.stereo = true;
    let two = world.join(None);
    world.run(2_000 * MS);
    let active = |world: &World| {
        let last = world.events.iter().rev().find_map(|event| match event {
            HubEvent::ActiveCodecs { audio, .. } => Some(*audio),
            _ => None,
        });
        last.unwrap()
    };
    assert_eq!(active(&world), AudioRenditionSet::OPUS);
    for n in 0..30_u8 {
        let packet = |data: &[u8], to| AudioPacket {
            renditions: to,
            ..sound(&world, AudioCodec::Opus, n.into(), data)
        };
        let only = |rendition| AudioRenditionSet::EMPTY.with(rendition);
        let packets = match n {
            10..20 => vec![packet(&[2, n], only(OpusStereo)), packet(&[1, n], only(Opus))],
            _ => vec![packet(&[0, n], AudioRenditionSet::OPUS)],
        };
        let reached = packets
            .iter()
            .map(|packet| world.hub.send_audio(world.session, packet, &mut world.wire));
        assert_eq!(reached.sum::<usize>(), 2);
        world.run(20 * MS);
    }
    for (viewer, between) in [(one, 1), (two, 2)] {
        let packets = &world.viewers[viewer].packets;
        let heard: Vec<_> = packets.iter().map(|packet| &*packet.payload).collect();
        let kind = |n| if (10..20).contains(&n) { between } else { 0 };
        let expected: Vec<_> = (0..30).map(|n| [kind(n), n]).collect();
        assert_eq!(heard, expected);
        for pair in packets.windows(2) {
            let [before, after] = [&pair[0].header, &pair[1].header];
            assert_eq!(after.timestamp, before.timestamp + 960);
            assert_eq!(after.sequence_number, before.sequence_number.wrapping_add(1));
            assert_eq!(after.ssrc, before.ssrc);
        }
    }
    let id = world.viewers[two].id;
    world.hub.disconnect(id, world.now, &mut world.wire);
    world.run(50 * MS);
    assert_eq!(active(&world), AudioRenditionSet::EMPTY.with(Opus));
}

#[test]
fn a_viewer_that_takes_redundancy_misses_nothing_that_is_lost_alone() {
    let mut world = World::new();
    world.red = true;
    let with = world.join_as(|config| config.enable_opus(true, true));
    let without = world.join(None);
    world.run(2_000 * MS);
    for n in 0..50 {
        let packet = sound(&world, AudioCodec::Opus, n, &[0xf8, n as u8, 1, 2]);
        world.hub.send_audio(world.session, &packet, &mut world.wire);
        if n % 10 == 5 {
            world.wire.queue.clear(); // The network has a hiccup.
        }
        world.run(20 * MS);
    }
    let alone = world.viewers[without].packets.iter().map(|packet| packet.payload[1]);
    assert_eq!(alone.count(), 45);
    let mut heard = std::collections::BTreeSet::new();
    for packet in &world.viewers[with].packets {
        // A header of four bytes before a copy, of one before the packet itself (RFC 2198 §3).
        match packet.payload[0] {
            first if first & 0x80 == 0 => heard.insert(packet.payload[2]),
            _ => heard.insert(packet.payload[6]) | heard.insert(packet.payload[10]),
        };
    }
    assert_eq!(heard.into_iter().collect::<Vec<_>>(), (0..50).collect::<Vec<u8>>());
}
