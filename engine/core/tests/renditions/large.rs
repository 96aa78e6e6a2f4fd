//! Pictures that are larger than the queues of networks.

use std::collections::BTreeMap;
use std::time::Instant;

use visavis_types::VideoCodec;
use visavis_weather::{Bandwidth, Conditions, QueueLimit};

use crate::common::{MS, World};
use crate::face::Face;

/// 4 Mbit/s at 30 fps, and keyframes of 200 KB.
const BYTES: usize = 16_600;
const KEYFRAME: usize = 12;
const KEYFRAME_PACKETS: usize = BYTES * KEYFRAME / 1_000;

/// A way of 20 ms whose router has 64 KiB for what waits.
fn link(mbps: f64) -> Conditions {
    let bandwidth = Bandwidth::from_mbps(mbps);
    let queue = QueueLimit { bytes: 64 * 1024, ..QueueLimit::default() };
    Conditions { bandwidth, delay: 20 * MS, queue, ..Conditions::default() }
}

/// A face with one viewer, which makes a keyframe every two seconds.
struct Show {
    world: World,
    face: Face,
    dropped: u64,
}

impl Show {
    fn new(link: Option<Conditions>) -> Self {
        let mut world = World::new();
        let viewer = world.join(Some(VideoCodec::H264));
        if let Some(link) = link {
            world.link(viewer, link, self::link(10.0));
        }
        let mut face = Face::new(&world, VideoCodec::H264, false, &[BYTES]);
        face.encoders[0].keyframe = KEYFRAME;
        world.hub.set_renditions(world.session, (face.renditions(), [None; 4]), world.now);
        world.run(2_000 * MS);
        assert!(world.viewers[0].connected);
        Self { world, face, dropped: 0 }
    }

    /// Sends keyframes, each with two seconds of pictures behind it.
    fn run(&mut self, keyframes: usize) {
        let dropped = |world: &World| {
            world.links.first().map_or(0, |(_, [there, _])| there.counters().dropped)
        };
        let before = dropped(&self.world);
        for _ in 0..keyframes {
            self.face.encoders[0].makes_keyframe = true;
            self.face.run(&mut self.world, 60);
        }
        self.world.run(150 * MS);
        self.dropped = dropped(&self.world) - before;
    }

    /// Of each picture that has come since the last call, in the order of its RTP time: its packets, how many ms passed from
    /// the first of them to the last, and whether that has the marker bit.
    fn pictures(&mut self) -> Vec<(usize, u64, bool)> {
        let mut pictures: BTreeMap<_, (usize, Instant, Instant, bool)> = BTreeMap::new();
        for packet in self.world.viewers[0].packets.drain(..) {
            let at = packet.timestamp;
            let (packets, first, last, ends) =
                pictures.entry(packet.time.numer()).or_insert((0, at, at, false));
            *packets += 1;
            (*first, *last) = (at.min(*first), at.max(*last));
            *ends |= packet.header.marker;
        }
        let pictures = pictures.into_values();
        pictures
            .map(|(packets, first, last, ends)| (packets, (last - first).as_millis() as u64, ends))
            .collect()
    }

    /// How many ms keyframes took of late.
    fn keyframes(&mut self) -> Vec<u64> {
        let all = self.pictures();
        assert!(all.iter().all(|&(.., ends)| ends), "{all:?}");
        let keyframes = all.iter().filter(|(packets, ..)| *packets >= KEYFRAME_PACKETS);
        keyframes.map(|&(_, ms, _)| ms).collect()
    }
}

#[test]
fn a_keyframe_of_three_queues_loses_nothing_and_takes_no_longer_than_its_network() {
    // How long 200 KB take, with headers and what else is sent meanwhile.
    for (mbps, ms) in [(10.0, 185), (20.0, 95), (50.0, 40), (200.0, 11)] {
        let mut show = Show::new(Some(link(mbps)));
        show.run(2);
        show.pictures();
        show.run(5);
        let (keyframes, dropped) = (show.keyframes(), show.dropped);
        println!("{mbps} Mbit/s: {keyframes:?} ms, {dropped} dropped");
        assert_eq!((keyframes.len(), dropped), (5, 0));
        assert!(keyframes.iter().all(|&took| took <= ms), "{keyframes:?}");
    }
}

#[test]
fn next_door_it_leaves_in_one_piece() {
    let mut show = Show::new(None);
    show.run(3);
    assert_eq!(show.keyframes(), [0, 0, 0]);
}

#[test]
fn who_gets_another_keyframe_meanwhile_goes_on_with_that() {
    let mut show = Show::new(Some(link(10.0)));
    show.run(2);
    show.pictures();
    show.face.handle_events(&mut show.world);
    show.face.asked.clear();
    for _ in 0..2 {
        show.face.encoders[0].makes_keyframe = true;
        show.face.run(&mut show.world, 2);
    }
    show.face.run(&mut show.world, 60);
    show.world.run(150 * MS);
    let mut sequence: Vec<_> = show.world.viewers[0].packets.iter().map(|p| *p.seq_no).collect();
    sequence.sort_unstable();
    sequence.dedup();
    assert!(sequence.windows(2).all(|two| two[1] == two[0] + 1), "a packet is missing");
    let all = show.pictures();
    // The first is not needed any more, and the picture behind it is not either.
    assert!(
        matches!(all[..], [(1.., _, false), (KEYFRAME_PACKETS.., _, true), ..]),
        "{:?}",
        &all[..3]
    );
    assert!(all[0].0 < KEYFRAME_PACKETS && all[1..].iter().all(|&(.., ends)| ends), "{all:?}");
    assert_eq!((all.len(), show.face.asked.len()), (1 + 1 + 1 + 60, 0));
}

#[test]
fn who_is_cut_off_meanwhile_goes_on_later() {
    let mut show = Show::new(Some(link(10.0)));
    show.run(2);
    show.face.encoders[0].makes_keyframe = true;
    show.face.run(&mut show.world, 1);
    show.world.bend = Box::new(|_| false);
    show.face.run(&mut show.world, 300);
    show.world.bend = Box::new(|_| true);
    show.run(1);
    show.pictures();
    show.run(2);
    assert_eq!(show.keyframes().len(), 2);
}
