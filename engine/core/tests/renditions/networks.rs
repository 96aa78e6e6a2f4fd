//! Viewers behind networks of all kinds: each gets what its own takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use str0m::rtp::RtpPacket;
use visavis_core::RungBitrate;
use visavis_types::{Bitrate, RenditionId, Rung, VideoCodec};
use visavis_weather::{Bandwidth, Conditions, Schedule};

use crate::common::{MS, World};
use crate::face::Face;

/// Bytes of the pictures of each rung, and bits a second of them at 30 fps.
const SIZES: [usize; 4] = [450, 1_250, 3_000, 6_250];
const BITRATES: [u64; 4] = [108, 300, 720, 1_500];

/// A packet that came to a viewer: whether it ends a picture, and of one that begins it the rung and whether it is a keyframe.
#[derive(Clone, Copy)]
struct Piece {
    ends: bool,
    begins: Option<(u8, bool)>,
}

/// What begins a picture tells of it: its rung, and whether it is a keyframe.
fn begins(packet: &RtpPacket) -> Option<(u8, bool)> {
    match packet.payload[..] {
        [0x41, rung @ 0..=3, _, _, _, _, _, keyframe, ..] => Some((rung, keyframe == 1)),
        _ => None,
    }
}

/// What a decoder makes of packets: pictures that are whole, after all that they refer to.
#[derive(Default)]
struct Decoder {
    pieces: BTreeMap<u64, Piece>,
    /// The number of the packet that the next picture begins with.
    next: Option<u64>,
    /// Since when it has packets and no picture, or has asked for a keyframe.
    waits: Option<Instant>,
}

impl Decoder {
    fn take(&mut self, packet: &RtpPacket) {
        let piece = Piece { ends: packet.header.marker, begins: begins(packet) };
        self.pieces.insert(*packet.seq_no, piece);
    }

    /// Whether it asks for a keyframe, as browsers do after a while.
    fn asks(&mut self, now: Instant) -> bool {
        if self.pieces.is_empty() {
            self.waits = None;
            return false;
        }
        let since = *self.waits.get_or_insert(now);
        let asks = now.saturating_duration_since(since) >= 200 * MS;
        if asks {
            self.waits = Some(now);
        }
        asks
    }

    /// The next picture, once it is whole: its rung, and whether it is a keyframe.
    fn picture(&mut self) -> Option<(u8, bool)> {
        let whole = |first: u64| {
            let pieces = self.pieces.range(first..).zip(first..);
            let mut pieces = pieces.take_while(|((number, _), expected)| **number == *expected);
            pieces.find_map(|((number, piece), _)| piece.ends.then_some(*number))
        };
        let mut keyframes = self.pieces.iter().filter(|(_, piece)| {
            // Whoever cannot go on does with the next keyframe.
            piece.begins.is_some_and(|(_, keyframe)| keyframe)
        });
        let (first, last) = self
            .next
            .and_then(|first| Some((first, whole(first)?)))
            .or_else(|| keyframes.find_map(|(first, _)| Some((*first, whole(*first)?))))?;
        let begins = self.pieces[&first].begins;
        self.pieces = self.pieces.split_off(&(last + 1));
        (self.next, self.waits) = (Some(last + 1), None);
        begins
    }
}

/// One session with four rungs, whose viewers are at the ends of links.
struct Show {
    world: World,
    face: Face,
    /// Of each viewer: when pictures came to it, in ms, of which rung, and whether they were keyframes.
    seen: Vec<Vec<(u64, u8, bool)>>,
    decoders: Vec<Decoder>,
    /// Pictures count once they are whole and what they refer to has come, and viewers that cannot go on ask for a
    /// keyframe. Else they count with their first packet, and nobody asks.
    decodes: bool,
    /// Of all packets that came.
    bytes: usize,
    begun: Instant,
}

fn link(mbps: f64) -> Conditions {
    let bandwidth = Bandwidth::from_mbps(mbps);
    Conditions { bandwidth, delay: 20 * MS, ..Conditions::default() }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Show {
    fn new(links: impl IntoIterator<Item = Schedule>) -> Self {
        Self::with(links, BITRATES.map(|kbps| RungBitrate::fixed(Bitrate::from_kbps(kbps))))
    }

    /// Of one viewer, whom the encoder follows.
    fn private(link: Schedule) -> Self {
        let least = [50].into_iter().chain(BITRATES).map(Bitrate::from_kbps);
        let ranges: Vec<_> = least
            .zip(BITRATES.map(Bitrate::from_kbps))
            .map(|(least, most)| RungBitrate { least, most })
            .collect();
        Self::with([link], ranges.try_into().unwrap())
    }

    fn with(
        links: impl IntoIterator<Item = Schedule>,
        bitrates: [RungBitrate; Rung::COUNT],
    ) -> Self {
        let mut world = World::new();
        for there in links {
            let viewer = world.join(Some(VideoCodec::H264));
            world.link(viewer, there, link(10.0));
        }
        let mut face = Face::new(&world, VideoCodec::H264, false, &SIZES);
        face.encoders.iter_mut().for_each(|encoder| encoder.keyframe = 4);
        let there = (face.renditions(), bitrates.map(Some));
        world.hub.set_renditions(world.session, there, world.now);
        world.run(2_000 * MS);
        assert!(world.viewers.iter().all(|viewer| viewer.connected));
        let seen = vec![Vec::new(); world.viewers.len()];
        let decoders = world.viewers.iter().map(|_| Decoder::default()).collect();
        Self { seen, decoders, decodes: false, bytes: 0, begun: world.start, world, face }
    }

    fn decoding(self) -> Self {
        Self { decodes: true, ..self }
    }

    fn run(&mut self, duration: Duration) {
        let until = self.world.now + duration;
        while self.world.now < until {
            self.face.run(&mut self.world, 1);
            let viewers = self.world.viewers.iter_mut().zip(&mut self.decoders);
            for ((viewer, decoder), seen) in viewers.zip(&mut self.seen) {
                for packet in viewer.packets.drain(..) {
                    self.bytes += packet.payload.len();
                    let at = packet.timestamp.saturating_duration_since(self.begun);
                    let timed = |(rung, keyframe)| (at.as_millis() as u64, rung, keyframe);
                    if self.decodes {
                        decoder.take(&packet);
                        seen.extend(std::iter::from_fn(|| decoder.picture()).map(timed));
                    } else {
                        seen.extend(begins(&packet).map(timed));
                    }
                }
                if decoder.asks(self.world.now) {
                    viewer.request_keyframe(self.world.now, &mut self.world.wire);
                }
            }
        }
    }

    fn ms(&self) -> u64 {
        self.world.now.saturating_duration_since(self.begun).as_millis() as u64
    }

    /// What a viewer saw from one ms to another.
    fn between(&self, viewer: usize, from: u64, until: u64) -> Vec<(u64, u8, bool)> {
        let seen = self.seen[viewer].iter().copied();
        seen.filter(|(at, ..)| (from..until).contains(at)).collect()
    }

    /// The rungs that a viewer saw, each with how many pictures of it.
    fn rungs(&self, viewer: usize, from: u64, until: u64) -> Vec<(u8, usize)> {
        let mut rungs: Vec<(u8, usize)> = Vec::new();
        for (_, rung, _) in self.between(viewer, from, until) {
            match rungs.last_mut() {
                Some((last, pictures)) if *last == rung => *pictures += 1,
                _ => rungs.push((rung, 1)),
            }
        }
        rungs
    }

    /// The longest time without a picture.
    fn gap(&self, viewer: usize, from: u64, until: u64) -> u64 {
        let seen = self.between(viewer, from, until);
        let gaps = seen.windows(2).map(|two| two[1].0 - two[0].0);
        gaps.max().unwrap_or(until - from)
    }

    fn asked(&self, rung: u8) -> usize {
        let id = RenditionId {
            session: self.world.number,
            codec: VideoCodec::H264,
            rung: Rung::new(rung).unwrap(),
        };
        self.face.asked.iter().filter(|&&asked| asked == id).count()
    }
}

/// Steps of bandwidth, in Mbit/s, at seconds.
fn steps(steps: &[(u64, f64)]) -> Schedule {
    let first = link(steps[0].1);
    let later = steps[1..].iter().map(|&(at, mbps)| (secs(at), Bandwidth::from_mbps(mbps)));
    Schedule::from(first).bandwidth(later)
}

#[test]
fn each_viewer_is_on_its_own_rung_and_nobody_notices() {
    let mut alone = Show::new([link(10.0).into()]);
    alone.run(secs(60));
    let mut show = Show::new([10.0, 1.0, 0.3].map(|mbps| link(mbps).into()));
    show.run(secs(60));
    let end = show.ms();
    let all = [0, 1, 2].map(|viewer| show.rungs(viewer, 0, end));
    println!("{all:?}, keyframes asked for: {:?}", [0, 1, 2, 3].map(|rung| show.asked(rung)));
    let pictures = |show: &Show| show.between(0, 0, end).len();
    assert_eq!((all[0].len(), pictures(&show)), (1, pictures(&alone)));
    let keyframes = |show: &Show| show.between(0, 0, end).iter().filter(|seen| seen.2).count();
    assert_eq!((show.gap(0, 2_500, end), keyframes(&show)), (33, keyframes(&alone)));
    let settled = |viewer| show.rungs(viewer, 20_000, end);
    assert!(matches!(settled(1)[..], [(2, _)]) && matches!(settled(2)[..], [(0, _)]), "{all:?}");
    let asked: usize = [0, 1, 2].map(|rung| show.asked(rung)).into_iter().sum();
    assert!(asked <= 12, "{asked} keyframes of the lower rungs in a minute");
    for viewer in [1, 2] {
        assert!(show.gap(viewer, 20_000, end) <= 150, "{}", show.gap(viewer, 20_000, end));
    }
}

#[test]
fn less_bandwidth_is_followed_at_once_and_more_within_seconds() {
    let mut show = Show::new([steps(&[(0, 5.0), (20, 0.5), (40, 5.0)])]);
    show.run(secs(65));
    println!("{:?}", show.rungs(0, 0, 65_000));
    assert!(matches!(show.rungs(0, 0, 20_000)[..], [(3, _)]));
    assert!(matches!(show.rungs(0, 22_000, 40_000)[..], [(1, _)]));
    assert!(matches!(show.rungs(0, 48_000, 65_000)[..], [(3, _)]));
    // It is told of, and what it is now.
    let told = show.face.told.iter();
    let told: Vec<_> = told.map(|(it, limited)| (it.rung.index(), it.bitrate, *limited)).collect();
    let kbps = |rung: usize| Some(Bitrate::from_kbps(BITRATES[rung]));
    let (down, up) = ((1, kbps(1), true), (3, kbps(3), false));
    assert!(told.contains(&down) && told.last() == Some(&up), "{told:?}");
    let ups_and_downs = told.windows(2).all(|two| two[0] != two[1]);
    assert!(ups_and_downs && told.len() <= 6, "{told:?}");
    let pictures = show.world.pictures[0].status().unwrap();
    assert_eq!((pictures.rung, pictures.bitrate), (Rung::HIGHEST, kbps(3)));
    // The picture is smaller within a second, and does not stand still.
    assert!(show.between(0, 21_000, 48_000).iter().all(|&(at, rung, _)| rung < 3 || at > 40_000));
    assert!(show.gap(0, 19_000, 65_000) <= 200, "{} ms", show.gap(0, 19_000, 65_000));
}

#[test]
fn a_network_that_takes_a_third_all_at_once_is_followed_without_a_freeze() {
    // At any time within two pictures, and between two reports.
    let mut gaps: Vec<u64> = (0..20)
        .map(|phase| {
            let at = 10_000 + phase * 17;
            let less = (Duration::from_millis(at), Bandwidth::from_mbps(0.5));
            let mut show = Show::new([Schedule::from(link(5.0)).bandwidth([less])]).decoding();
            show.run(secs(11));
            let (end, gap) = (show.ms(), show.gap(0, 9_000, 13_000));
            println!("{at}: {gap} ms, {:?}", show.rungs(0, at, end));
            let down = |&(seen, rung, _): &(u64, u8, bool)| seen < at + 1_000 || rung < 2;
            assert!(show.between(0, at, end).iter().all(down));
            gap
        })
        .collect();
    gaps.sort_unstable();
    println!("{gaps:?}");
    assert!(gaps.iter().all(|&gap| gap <= 300), "{gaps:?}");
}

#[test]
fn the_encoder_of_a_private_session_follows_its_viewer_in_place() {
    let mut show =
        Show::private(steps(&[(0, 5.0), (20, 1.1), (40, 5.0), (60, 0.5), (80, 5.0)])).decoding();
    let mut rates = Vec::new();
    for _ in 0..21 {
        let (before, ms) = (show.bytes, show.ms());
        show.run(secs(5));
        rates.push((show.bytes - before) as u64 * 8 / (show.ms() - ms));
    }
    let end = show.ms();
    println!("{rates:?} kbit/s, {:?}", show.rungs(0, 0, end));
    let between = |range: std::ops::Range<usize>, kbps: std::ops::RangeInclusive<u64>| {
        assert!(rates[range].iter().all(|rate| kbps.contains(rate)), "{rates:?}");
    };
    between(0..3, 1_400..=1_700);
    // The whole picture, with less for it, and not one keyframe.
    between(4..7, 750..=1_100);
    assert!(matches!(show.rungs(0, 0, 60_000)[..], [(3, _)]), "{:?}", show.rungs(0, 0, 60_000));
    let keyframes = show.between(0, 3_000, 60_000).iter().filter(|seen| seen.2).count();
    assert_eq!((keyframes, show.gap(0, 3_000, 60_000) <= 200), (0, true));
    between(9..11, 1_400..=1_700);
    // Less than the whole picture needs takes a smaller one, of what the network takes.
    between(13..15, 300..=500);
    assert!(matches!(show.rungs(0, 62_000, 80_000)[..], [(2, _)]));
    assert!(show.gap(0, 59_000, end) <= 300, "{} ms", show.gap(0, 59_000, end));
    between(18..20, 1_400..=1_700);
    assert!(matches!(show.rungs(0, 90_000, end)[..], [(3, _)]));
}

#[test]
fn a_picture_that_needs_little_comes_back_as_soon() {
    let mut show = Show::private(steps(&[(0, 5.0), (20, 0.4), (40, 5.0)])).decoding();
    for (encoder, size) in show.face.encoders.iter_mut().zip(SIZES) {
        encoder.most = size / 2;
    }
    show.run(secs(60));
    println!("{:?}", show.rungs(0, 0, 60_000));
    assert!(show.between(0, 22_000, 40_000).iter().all(|&(_, rung, _)| rung < 3));
    assert!(matches!(show.rungs(0, 48_000, 60_000)[..], [(3, _)]));
}

/// How often a viewer saw nothing for more than so many ms.
fn stalls(show: &Show, from: u64, ms: u64) -> usize {
    let seen = show.between(0, from, show.ms());
    seen.windows(2).filter(|two| two[1].0 - two[0].0 > ms).count()
}

#[test]
fn who_is_far_away_does_not_wait_for_what_is_lost() {
    // A round trip is 170 ms, and one picture in eight lacks something.
    let far = Conditions { delay: 150 * MS, loss: 0.02, ..link(10.0) };
    let mut show = Show::new([far.into()]).decoding();
    show.run(secs(60));
    let end = show.ms();
    let kbps = show.world.links[0].1[0].counters().sent_bytes * 8 / end;
    let keyframes = show.between(0, 5_000, end).iter().filter(|seen| seen.2).count();
    let stalls = stalls(&show, 5_000, 120);
    println!("{stalls} stalls, {keyframes} keyframes, {kbps} kbit/s, {:?}", show.rungs(0, 0, end));
    assert!(stalls <= 12 && keyframes <= 1, "{stalls} stalls, {keyframes} keyframes");
    assert!(matches!(show.rungs(0, 5_000, end)[..], [(3, _)]));
    assert!(kbps > 2_500, "each comes twice: {kbps} kbit/s");
}

#[test]
fn who_is_far_away_without_room_for_copies_keeps_its_picture() {
    let far = Conditions { delay: 150 * MS, loss: 0.02, ..link(2.2) };
    let mut show = Show::new([far.into()]).decoding();
    show.run(secs(90));
    let end = show.ms();
    let kbps = show.world.links[0].1[0].counters().sent_bytes * 8 / end;
    println!("{} stalls, {kbps} kbit/s, {:?}", stalls(&show, 30_000, 500), show.rungs(0, 0, end));
    assert!(matches!(show.rungs(0, 60_000, end)[..], [(3, _)]));
    assert!(stalls(&show, 30_000, 700) <= 2);
}

#[test]
fn losses_that_are_the_paths_cost_no_quality() {
    for loss in [0.02, 0.1] {
        let mut show = Show::new([link(10.0).into(), Conditions { loss, ..link(5.0) }.into()]);
        show.run(secs(60));
        let (end, asked) = (show.ms(), show.asked(3));
        println!("{loss}: {:?}, {asked} keyframes asked for", show.rungs(1, 0, end));
        // Whether sending less would help is tried once.
        assert!(matches!(show.rungs(1, 15_000, end)[..], [(3, _)]));
        assert!(matches!(show.rungs(0, 0, end)[..], [(3, _)]));
        assert!(asked <= 4, "{asked}");
    }
}

#[test]
fn who_loses_a_fifth_is_nothing_to_fifty_others() {
    /// Bytes that came to the first of them in half a minute, the longest time without a picture at any, and keyframes.
    fn half_a_minute(show: &mut Show) -> (usize, u64, usize) {
        show.run(secs(30));
        let end = show.ms();
        let from = end - 30_000;
        let seen = show.between(0, from, end);
        let keyframes = seen.iter().filter(|(.., keyframe)| *keyframe).count();
        let size = |keyframe| SIZES[3] * if keyframe { 4 } else { 1 };
        let bytes = seen.iter().map(|&(.., keyframe)| size(keyframe)).sum();
        let gap = (0..50).map(|viewer| show.gap(viewer, from, end)).max().unwrap();
        (bytes, gap, keyframes)
    }
    let good = || (0..50).map(|_| Schedule::from(link(10.0)));
    let mut alone = Show::new(good());
    let alone = half_a_minute(&mut alone);
    let mut show = Show::new(good().chain([Conditions { loss: 0.2, ..link(5.0) }.into()]));
    let beside = half_a_minute(&mut show);
    println!("alone {alone:?}, beside {beside:?}; asked for {}", show.asked(3));
    println!("who loses: {:?}", show.rungs(50, 0, show.ms()));
    let more = beside.0 as f64 / alone.0 as f64;
    assert!((0.98..=1.02).contains(&more), "{more} times the bytes");
    assert!(beside.1 <= alone.1 + 1, "{} ms, alone {} ms", beside.1, alone.1);
    assert!(beside.2 <= alone.2 + 1, "{} keyframes, alone {}", beside.2, alone.2);
    assert!((0..50).all(|viewer| matches!(show.rungs(viewer, 0, show.ms())[..], [(3, _)])));
}

#[test]
fn after_a_blackout_the_picture_is_there_at_once_and_large_within_seconds() {
    let schedule = Schedule::from(link(5.0)).blackout(secs(20)..secs(25));
    let mut show = Show::new([schedule]);
    show.run(secs(45));
    println!("{:?}", show.rungs(0, 0, 45_000));
    assert!(show.between(0, 20_200, 25_000).is_empty());
    assert!(!show.between(0, 25_000, 25_200).is_empty());
    assert!(matches!(show.rungs(0, 33_000, 45_000)[..], [(3, _)]));
}

#[test]
fn a_bandwidth_that_goes_up_and_down_is_not_followed_each_time() {
    let turns = (0..60).map(|turn| (secs(4 * turn), if turn % 2 == 0 { 1.0 } else { 0.6 }));
    let turns = turns.map(|(at, mbps)| (at, Bandwidth::from_mbps(mbps)));
    let mut show = Show::new([Schedule::from(link(1.0)).bandwidth(turns)]);
    show.run(secs(240));
    let (end, rungs) = (show.ms(), show.rungs(0, 0, show.ms()));
    println!("{} changes: {rungs:?}", rungs.len());
    assert!(rungs.len() <= 40, "{} changes in four minutes: {rungs:?}", rungs.len());
    assert!(show.gap(0, 10_000, end) <= 400, "{} ms", show.gap(0, 10_000, end));
}
