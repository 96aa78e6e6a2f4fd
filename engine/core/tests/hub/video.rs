//! What a viewer gets of the picture.

use visavis_core::HubEvent;
use visavis_types::CodecSet;

use crate::common::{MS, World};
use crate::{H264, VP8, keyframes_wanted};

#[test]
fn nothing_is_sent_before_a_keyframe() {
    let mut world = World::joined();
    world.stream(H264, 3);
    assert_eq!(world.viewers[0].packets.len(), 0);
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
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
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
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
        world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
        let most = world.wire.turns.iter().map(Vec::len).max();
        assert!(most >= Some(packets), "{most:?} of {packets}");
        world.run(33 * MS);
    }
}

#[test]
fn lost_packets_are_sent_again() {
    let mut world = World::joined();
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
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
        assert_eq!(
            world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire).peers,
            1
        );
        world.run(50 * MS);
        world.stream(H264, 3);
        expected += 2 + 9;
        world.set_video(0, false);
        world.run(50 * MS);
        let frame = world.frame(H264, true, &[700]);
        assert_eq!(
            world.hub.send_frame(world.session, frame, || world.now, &mut world.wire).peers,
            0
        );
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
    assert!(world.pictures[0].status().is_some());
    world.set_video(0, false);
    assert_eq!(world.pictures[0].status(), None, "it gets none");
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
    world.run(1_000 * MS);
    let before = keyframes_wanted(&world);
    world.set_video(0, true);
    assert!(world.pictures[0].status().is_some());
    // No time passes: nobody has had a chance to ask over the network.
    world.events.extend(std::iter::from_fn(|| world.hub.poll_event()));
    assert_eq!(keyframes_wanted(&world), before + 1, "{:?}", world.events);
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
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
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
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
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
fn each_viewer_gets_its_codec_and_encoders_follow() {
    let mut world = World::new();
    world.join(Some(H264));
    world.join(Some(VP8));
    world.run(2_000 * MS);
    let both = CodecSet::EMPTY.with(H264).with(VP8);
    let active = |world: &World| {
        world.events.iter().rev().find_map(|event| match event {
            HubEvent::ActiveRenditions { video, .. } => Some(video.codecs()),
            _ => None,
        })
    };
    assert_eq!(active(&world), Some(both));
    for codec in [H264, VP8] {
        let frame = world.frame(codec, true, &[800, 300]);
        assert_eq!(
            world.hub.send_frame(world.session, frame, || world.now, &mut world.wire).peers,
            1
        );
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
