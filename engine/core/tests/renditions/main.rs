//! Viewers that are not sent every picture of one rendition, in virtual time: a layer is left out, rungs change, the
//! network loses packets both ways. What was sent is repaired, and what was left out is missed by nobody.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../common/mod.rs"]
mod common;
mod face;
mod joins;
mod large;
mod networks;
mod reports;

use common::{MS, World};
use face::Face;
use visavis_core::{PacketizedFrame, ViewerLimit};
use visavis_types::{RenditionId, RenditionSet, Rung, TemporalLayer, VideoCodec};

const LAYER_1: TemporalLayer = TemporalLayer::new(1).unwrap();

/// Packets before sequence numbers come around.
const WRAP: u64 = 65_536;

/// A picture as it came to a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Got {
    rung: u8,
    picture: u32,
    layer: u8,
    keyframe: bool,
    rtp_time: u64,
    /// As its descriptor has them.
    id: Option<u16>,
    base: Option<u8>,
    packets: usize,
}

/// What came to a viewer since a sequence number: all of it, put in order.
fn pictures(
    world: &World,
    viewer: usize,
    codec: VideoCodec,
    layered: bool,
    since: u64,
) -> Vec<Got> {
    let of_pictures =
        world.viewers[viewer].packets.iter().filter(|p| p.time.frequency().get() == 90_000);
    let mut packets: Vec<_> = of_pictures.filter(|packet| *packet.seq_no >= since).collect();
    packets.sort_by_key(|packet| *packet.seq_no);
    packets.dedup_by_key(|packet| *packet.seq_no);
    let contiguous = packets.windows(2).all(|two| *two[1].seq_no == *two[0].seq_no + 1);
    assert!(contiguous && *packets[0].seq_no == since, "a packet is missing for good");
    let mut all: Vec<Got> = Vec::new();
    let mut begins = true;
    for packet in packets {
        let rtp_time = packet.time.numer();
        if begins {
            let payload = &packet.payload;
            let number = |at: usize| u16::from_be_bytes([payload[at] & 0x7f, payload[at + 1]]);
            let (id, base, head) = match codec {
                VideoCodec::Vp8 if layered => (Some(number(2)), Some(payload[4]), 6),
                VideoCodec::Vp8 => (Some(number(2)), None, 4),
                // P_DIFF is there where the picture is predicted.
                VideoCodec::Vp9 if layered => {
                    (Some(number(1)), None, 4 + usize::from(payload[0] & 0x40 != 0))
                }
                VideoCodec::Vp9 => (Some(number(1)), None, 3),
                _ => (None, None, 1),
            };
            let &[rung, a, b, c, d, layer, keyframe] = payload[head..].first_chunk().unwrap();
            let (picture, keyframe) = (u32::from_be_bytes([a, b, c, d]), keyframe == 1);
            all.push(Got { rung, picture, layer, keyframe, rtp_time, id, base, packets: 0 });
        }
        let got = all.last_mut().unwrap();
        assert_eq!(rtp_time, got.rtp_time, "of one picture");
        got.packets += 1;
        begins = packet.header.marker;
    }
    assert!(all.windows(2).all(|two| two[0].rtp_time < two[1].rtp_time), "{all:?}");
    all
}

/// Loses every twentieth datagram, either way.
fn lossy(world: &mut World) {
    let mut random = 1_u32;
    world.bend = Box::new(move |_| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 16 >= 65_536 / 20
    });
}

fn lossless(world: &mut World) {
    world.bend = Box::new(|_| true);
}

/// Joins viewers of a codec and brings their sequence numbers to just before they come around. Gives the number of
/// the next packet of each.
fn ready(codec: VideoCodec, viewers: usize) -> (World, Vec<u64>) {
    let mut world = World::new();
    (0..viewers).for_each(|_| {
        world.join(Some(codec));
    });
    world.run(2_000 * MS);
    assert!(world.viewers.iter().all(|viewer| viewer.connected));
    let mut next: Vec<u64> = world.viewers.iter().map(|v| v.id.as_raw() & 0x7fff).collect();
    while next[0] < WRAP - 200 {
        let frame = world.frame(codec, true, &[500; 60]);
        assert_eq!(
            world.hub.send_frame(world.session, frame, || world.now, &mut world.wire).peers,
            viewers
        );
        world.run(10 * MS);
        next.iter_mut().for_each(|next| *next += 60);
    }
    for (viewer, next) in world.viewers.iter_mut().zip(&next) {
        assert_eq!(*viewer.packets.last().unwrap().seq_no + 1, *next);
        viewer.packets.clear();
    }
    (world, next)
}

fn limit(world: &mut World, viewer: usize, rung: Rung, layer: TemporalLayer) {
    let id = world.viewers[viewer].id;
    world.hub.limit_viewer(id, ViewerLimit { rung, layer }, world.now);
}

#[test]
fn a_viewer_without_the_upper_layer_gets_half_of_the_pictures_and_misses_none() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9] {
        let (mut world, since) = ready(codec, 2);
        let mut face = Face::new(&world, codec, true, &[3_500]);
        face.run(&mut world, 4);
        limit(&mut world, 1, Rung::HIGHEST, TemporalLayer::BASE);
        let keyframes = face.asked.len();
        lossy(&mut world);
        face.run(&mut world, 400);
        // All of it again, from the next picture of layer 1 on.
        limit(&mut world, 1, Rung::HIGHEST, TemporalLayer::HIGHEST);
        face.run(&mut world, 40);
        lossless(&mut world);
        face.run(&mut world, 20);
        assert_eq!(face.asked.len(), keyframes, "{codec}: {:?}", &face.asked[keyframes..]);

        let [all, half] = [0, 1].map(|viewer| pictures(&world, viewer, codec, true, since[viewer]));
        assert!(all.iter().map(|got| got.picture).eq(0..464), "{codec}");
        let expected = (0..464).filter(|picture| !(4..404).contains(picture) || picture % 2 == 0);
        assert!(half.iter().map(|got| got.picture).eq(expected), "{codec}");
        assert!(all.iter().chain(&half).all(|got| got.packets == 4), "{codec}");
        assert!(since[1] + 4 * half.len() as u64 > WRAP + 500, "it did not come around");
        if codec == VideoCodec::Vp8 {
            for got in [&all, &half] {
                assert!(got.windows(2).all(|two| two[1].id == two[0].id.map(|id| id + 1)));
                for two in got.windows(2) {
                    let step = u8::from(two[1].layer == 0);
                    assert_eq!(two[1].base, two[0].base.map(|base| base.wrapping_add(step)));
                }
            }
        }
        if codec == VideoCodec::Vp9 {
            // What pictures refer to is counted in these.
            let number = |got: &Got| (got.id.unwrap().wrapping_sub(got.picture as u16)) & 0x7fff;
            assert!(all.iter().chain(&half).all(|got| number(got) == number(&all[0])));
        }
    }
}

#[test]
fn a_viewer_that_changes_rungs_ten_times_sees_one_stream() {
    for (codec, layered) in [
        (VideoCodec::H264, false),
        (VideoCodec::Vp8, false),
        (VideoCodec::Vp8, true),
        (VideoCodec::Vp9, false),
    ] {
        // One that changes, one that gets the best, and one that gets the least.
        let (mut world, since) = ready(codec, 3);
        let mut face = Face::new(&world, codec, layered, &[1_500, 5_500]);
        let [low, high] = [0, 1].map(|index| face.encoders[index].id);
        limit(&mut world, 0, Rung::LOWEST, TemporalLayer::HIGHEST);
        limit(&mut world, 2, Rung::LOWEST, TemporalLayer::HIGHEST);
        world.hub.set_renditions(
            world.session,
            (face.renditions(), [None; Rung::COUNT]),
            world.now,
        );
        face.run(&mut world, 30);
        face.asked.clear();
        lossy(&mut world);
        let mut changes = Vec::new();
        for change in 0..10 {
            let rung = if change % 2 == 0 { Rung::HIGHEST } else { Rung::LOWEST };
            limit(&mut world, 0, rung, TemporalLayer::HIGHEST);
            changes.push(face.picture);
            face.run(&mut world, 30);
        }
        lossless(&mut world);
        face.run(&mut world, 20);
        // One request for each change, to whom it changes to; losses cause none.
        let expected: Vec<_> = [high, low].into_iter().cycle().take(10).collect();
        assert_eq!(face.asked, expected, "{codec}");

        let [got, best, least] =
            [0, 1, 2].map(|viewer| pictures(&world, viewer, codec, layered, since[viewer]));
        let packets = if codec == VideoCodec::H264 { [2, 6] } else { [2, 5] };
        for got in got.iter().chain(&best).chain(&least) {
            assert_eq!(got.packets, packets[usize::from(got.rung)], "{codec}: {got:?}");
        }
        // What is sent before there are rungs, and the change to the best, is the low one's.
        assert!(best.iter().skip_while(|got| got.rung == 0).all(|got| got.rung == 1));
        assert!(least.iter().all(|got| got.rung == 0));
        assert!(least.iter().map(|got| got.picture).eq(0..350), "{codec}");
        let mut rungs = vec![got[0]];
        for two in got.windows(2) {
            if two[0].rung == two[1].rung {
                assert_eq!(two[1].picture, two[0].picture + 1, "{codec}");
            } else {
                assert!(two[1].keyframe, "{codec}: {two:?}");
                // The same picture once more, or the next.
                assert!((0..=1).contains(&(two[1].picture - two[0].picture)), "{codec}: {two:?}");
                rungs.push(two[1]);
            }
            if codec != VideoCodec::H264 {
                let next = two[0].id.map(|id| (id + 1) & 0x7fff);
                assert_eq!(two[1].id, next, "{codec}: {two:?}");
            }
            if let (Some(before), Some(base)) = (two[0].base, two[1].base) {
                let step = u8::from(two[1].layer == 0);
                assert_eq!(base, before.wrapping_add(step), "{codec}: {two:?}");
            }
        }
        assert_eq!(rungs.len(), 11, "{codec}");
        for (change, picture) in rungs[1..].iter().zip(changes) {
            assert!((picture..picture + 9).contains(&change.picture), "{codec}: {change:?}");
        }
        let all: usize = got.iter().map(|got| got.packets).sum();
        assert!(since[0] + all as u64 > WRAP + 500, "it did not come around");
    }
}

#[test]
fn what_nobody_gets_is_not_asked_for() {
    let mut world = World::new();
    (0..2).for_each(|_| {
        world.join(Some(VideoCodec::H264));
    });
    world.run(2_000 * MS);
    let mut face = Face::new(&world, VideoCodec::H264, false, &[1_500, 5_500]);
    let [low, high] = [0, 1].map(|index| RenditionSet::EMPTY.with(face.encoders[index].id));
    face.run(&mut world, 10);
    assert_eq!(face.active, low);
    world.hub.set_renditions(world.session, (face.renditions(), [None; Rung::COUNT]), world.now);
    world.run(MS);
    face.handle_events(&mut world);
    assert_eq!(
        face.active,
        low.union(high),
        "the low one goes on until the high one has a keyframe"
    );
    face.run(&mut world, 15);
    assert_eq!(face.active, high);
    limit(&mut world, 1, Rung::LOWEST, TemporalLayer::HIGHEST);
    face.run(&mut world, 15);
    assert_eq!(face.active, low.union(high));
    // Each viewer gets what was chosen for it, and nothing of another session.
    for (encoder, viewer) in [(0, 1), (1, 0)] {
        let before = world.viewers.iter().map(|v| v.packets.len()).collect::<Vec<_>>();
        let frame = face.encoders[encoder].encode(1_000, &world);
        let foreign = PacketizedFrame {
            rendition: RenditionId {
                session: visavis_types::SessionNumber::unique(),
                ..frame.rendition
            },
            ..frame.clone()
        };
        let World { hub, session, now, wire, .. } = &mut world;
        assert_eq!(hub.send_frame(*session, foreign, || *now, wire).peers, 0);
        assert_eq!(hub.send_frame(*session, frame, || *now, wire).peers, 1);
        world.run(33 * MS);
        for (index, before) in before.into_iter().enumerate() {
            assert_eq!(world.viewers[index].packets.len() > before, index == viewer);
        }
    }
}
