//! Viewers that join while others watch: they begin with what those were sent.

use visavis_core::ViewerLimit;
use visavis_types::{Rung, TemporalLayer, VideoCodec};

use crate::common::{MS, World};
use crate::face::Face;
use crate::{Got, pictures};

/// What a viewer got from its first packet on.
fn all(world: &World, viewer: usize, codec: VideoCodec, layered: bool) -> Vec<Got> {
    let first = world.viewers[viewer].id.as_raw() & 0x7fff;
    pictures(world, viewer, codec, layered, first)
}

/// Whether the second of two pictures can be decoded after the first.
fn follows(two: &[Got]) -> bool {
    two[1].keyframe || two[1].rung == two[0].rung && two[1].picture == two[0].picture + 1
}

/// A face that one viewer watches, and how many keyframes it was asked for so far.
fn watched(codec: VideoCodec, layered: bool, sizes: &[usize]) -> (World, Face) {
    let mut world = World::new();
    world.join(Some(codec));
    let mut face = Face::new(&world, codec, layered, sizes);
    world.hub.set_renditions(world.session, (face.renditions(), [None; 4]), world.now);
    face.run(&mut world, 60);
    assert!(world.viewers[0].connected);
    face.asked.clear();
    (world, face)
}

#[test]
fn many_who_join_within_a_second_cost_two_keyframes_and_miss_nothing_since() {
    use VideoCodec::{H264, Vp8, Vp9};
    for (codec, layered) in [(H264, false), (Vp8, true), (Vp8, false), (Vp9, true)] {
        let (mut world, mut face) = watched(codec, layered, &[5_000]);
        for _ in 0..30 {
            (0..7).for_each(|_| {
                world.join(Some(codec));
            });
            face.run(&mut world, 1);
        }
        face.run(&mut world, 60);
        assert!((1..=2).contains(&face.asked.len()), "{codec}: {} keyframes", face.asked.len());
        let first = all(&world, 0, codec, layered);
        for viewer in 1..world.viewers.len() {
            let got = all(&world, viewer, codec, layered);
            assert!(got[0].keyframe, "{codec}: {:?}", got[0]);
            assert_eq!(got.last().map(|got| got.picture), first.last().map(|got| got.picture));
            // As the others have it; where there was another keyframe before it had it all, it went on with that.
            assert!(got.windows(2).all(follows), "{codec}: {got:?}");
            for Got { picture, rtp_time, .. } in got {
                let same = first.iter().find(|got| got.picture == picture);
                assert_eq!(same.map(|got| got.rtp_time), Some(rtp_time), "{codec}: {picture}");
            }
        }
    }
}

#[test]
fn who_joins_later_gets_a_keyframe_of_its_own() {
    let (mut world, mut face) = watched(VideoCodec::Vp8, false, &[5_000]);
    world.join(Some(VideoCodec::Vp8));
    face.run(&mut world, 10);
    assert_eq!(face.asked.len(), 1);
    let got = all(&world, 1, VideoCodec::Vp8, false);
    assert!(got[0].keyframe && got.len() >= 8, "{} pictures", got.len());
}

/// So much that it takes several turns to catch up with.
const LARGE: usize = 30_000;

/// Nine pictures after a keyframe, which is less than what is begun with at most.
fn behind(codec: VideoCodec, sizes: &[usize]) -> (World, Face) {
    let (mut world, mut face) = watched(codec, false, sizes);
    world.viewers[0].request_keyframe(world.now, &mut world.wire);
    face.run(&mut world, 9);
    face.asked.clear();
    (world, face)
}

#[test]
fn what_others_have_comes_in_pieces_and_in_order() {
    let codec = VideoCodec::Vp8;
    let (mut world, mut face) = behind(codec, &[LARGE]);
    world.join(Some(codec));
    let mut most = 0;
    for _ in 0..30 {
        let before = world.viewers[1].packets.len();
        face.run(&mut world, 1);
        most = most.max(world.viewers[1].packets.len() - before);
    }
    assert_eq!(face.asked, []);
    let got = all(&world, 1, codec, false);
    assert!(got[0].keyframe && got.len() >= 36, "{} pictures", got.len());
    assert!(got.windows(2).all(|two| two[1].picture == two[0].picture + 1), "{got:?}");
    let last = all(&world, 0, codec, false).last().map(|got| got.picture);
    assert_eq!(got.last().map(|got| got.picture), last, "it has caught up");
    // At most the first piece and the second, where it joins just before a picture.
    let each = LARGE.div_ceil(1_000) + 4;
    assert!(most <= 7 * each, "{most} packets at once");
}

#[test]
fn who_changes_while_it_catches_up_goes_on_with_a_keyframe() {
    let codec = VideoCodec::Vp8;
    for after in 0..6 {
        let (mut world, mut face) = behind(codec, &[LARGE / 3, LARGE]);
        let viewer = world.join(Some(codec));
        world.run(20 * MS);
        face.run(&mut world, after);
        let limit = ViewerLimit { rung: Rung::LOWEST, layer: TemporalLayer::HIGHEST };
        world.hub.limit_viewer(world.viewers[viewer].id, limit, world.now);
        face.run(&mut world, 30);
        let got = all(&world, viewer, codec, false);
        assert_eq!(got.last().unwrap().rung, 0);
        assert!(got.windows(2).all(follows), "{got:?}");
    }
}

#[test]
fn who_cannot_catch_up_any_more_gets_a_keyframe_though_it_does_not_ask() {
    let codec = VideoCodec::Vp8;
    let (mut world, mut face) = behind(codec, &[LARGE]);
    let viewer = world.join(Some(codec));
    world.run(20 * MS);
    // The renderer stands still, and then nothing of before is known.
    world.run(1_500 * MS);
    face.run(&mut world, 90);
    let got = all(&world, viewer, codec, false);
    let last = all(&world, 0, codec, false).last().map(|got| got.picture);
    assert_eq!(got.last().map(|got| got.picture), last);
    assert!(got.windows(2).all(follows), "{got:?}");
}
