//! What a viewer gets of the sound.

use std::sync::Arc;

use visavis_core::HubEvent;
use visavis_types::{AudioCodec, AudioPacket, AudioRendition, AudioRenditionSet};

use crate::common::{MS, World};

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
        HubEvent::ActiveRenditions { audio, .. } => Some(*audio),
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
            HubEvent::ActiveRenditions { audio, .. } => Some(*audio),
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

#[test]
fn who_loses_packets_is_sent_copies_for_as_long_as_it_does() {
    let mut world = World::new();
    let viewers = [0, 1].map(|_| world.join_as(|config| config.enable_opus(true, true)));
    let loses = world.viewers[viewers[0]].addr;
    world.run(2_000 * MS);
    let mut n = 0;
    // How many packets of copies each viewer gets in so many seconds, by what its answer calls them.
    let mut copies = |world: &mut World, seconds: u32| {
        world.viewers.iter_mut().for_each(|viewer| viewer.packets.clear());
        for _ in 0..seconds * 50 {
            let packet = sound(world, AudioCodec::Opus, n, &[0xf8, n as u8, 1, 2]);
            world.hub.send_audio(world.session, &packet, &mut world.wire);
            world.run(20 * MS);
            n += 1;
        }
        viewers.map(|viewer| {
            let viewer = &world.viewers[viewer];
            let red = viewer.answer.lines().find_map(|line| {
                line.strip_prefix("a=rtpmap:")?.strip_suffix(" red/48000/2")?.parse::<u8>().ok()
            });
            let types = viewer.packets.iter().map(|packet| *packet.header.payload_type);
            types.filter(|number| *number == red.unwrap()).count()
        })
    };
    // Whoever encodes is told, and makes packets from which what is lost can be made up for.
    let lossy = |world: &World| {
        let last = world.events.iter().rev().find_map(|event| match event {
            HubEvent::ActiveRenditions { lossy_audio, .. } => Some(*lossy_audio),
            _ => None,
        });
        last.unwrap()
    };
    assert_eq!(copies(&mut world, 5), [0, 0]);
    assert_eq!(lossy(&world), AudioRenditionSet::EMPTY);
    let mut count = 0;
    world.bend = Box::new(move |datagram| {
        count += u32::from(datagram.to == loses);
        datagram.to != loses || count % 10 != 0
    });
    let [some, none] = copies(&mut world, 20);
    assert!(some > 400 && none == 0, "{some} and {none} of 1000");
    assert_eq!(lossy(&world), AudioRenditionSet::EMPTY.with(AudioRendition::Opus));
    world.bend = Box::new(|_| true);
    copies(&mut world, 20);
    assert_eq!(copies(&mut world, 5), [0, 0]);
    assert_eq!(lossy(&world), AudioRenditionSet::EMPTY);
}
