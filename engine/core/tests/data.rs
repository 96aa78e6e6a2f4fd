//! Data channels in virtual time: what is sent arrives, in order, and what cannot be sent is said.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;

use common::{MS, World};
use str0m::channel::ChannelId;
use visavis_core::{
    DataMessage, DataRefusal, HubEvent, MAX_CHANNELS, MAX_MESSAGE_BYTES, MAX_WAITING_BYTES,
    OutgoingMessage,
};
use visavis_types::{PeerPermissions, Refusal};

impl World {
    fn with_channel() -> Self {
        let mut world = Self::new();
        world.join_with(|config| config, &["visavis"]);
        world.run(2_000 * MS);
        assert_eq!(world.viewers[0].channels.len(), 1);
        world
    }

    /// Sends as a caller would: only what there is room for.
    fn send(
        &mut self,
        viewer: usize,
        label: Option<&str>,
        message: &DataMessage,
    ) -> Result<(), DataRefusal> {
        self.gauges[viewer].reserve(label, message.as_bytes().len())?;
        let message = OutgoingMessage::new(message, label.map(Arc::from));
        let id = self.viewers[viewer].id;
        assert!(self.hub.send_data(id, message, self.now, &mut self.wire));
        Ok(())
    }

    /// Has a viewer say something.
    fn say(&mut self, viewer: usize, channel: ChannelId, binary: bool, bytes: &[u8]) {
        let viewer = &mut self.viewers[viewer];
        assert!(viewer.rtc.channel(channel).unwrap().write(binary, bytes).unwrap());
        viewer.drain(&mut self.wire);
    }

    fn received(&self) -> Vec<(&str, &DataMessage)> {
        let messages = self.events.iter().filter_map(|event| match event {
            HubEvent::Message { label, message, .. } => Some((&**label, message)),
            _ => None,
        });
        messages.collect()
    }

    fn count(&self, of: impl Fn(&HubEvent) -> bool) -> usize {
        self.events.iter().filter(|event| of(event)).count()
    }
}

fn numbered(n: u32, len: usize) -> DataMessage {
    let mut bytes = vec![n as u8; len];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    DataMessage::Binary(bytes)
}

/// The numbers of the messages that a viewer has got, each checked to be whole.
fn numbers(world: &World, viewer: usize) -> Vec<u32> {
    let number = |data: &[u8]| {
        let n = u32::from_be_bytes(data[..4].try_into().unwrap());
        assert!(data[4..].iter().all(|&byte| byte == n as u8));
        n
    };
    world.viewers[viewer].messages.iter().map(|message| number(&message.data)).collect()
}

#[test]
fn text_and_bytes_go_both_ways() {
    let mut world = World::with_channel();
    let channel = world.viewers[0].channels[0];
    world.send(0, None, &"Grüße".into()).unwrap();
    world.send(0, Some("visavis"), &vec![0, 255, 7].into()).unwrap();
    world.say(0, channel, false, "schön".as_bytes());
    world.say(0, channel, true, &[1, 2, 3]);
    world.run(500 * MS);
    let got = &world.viewers[0].messages;
    assert_eq!((got[0].binary, &*got[0].data), (false, "Grüße".as_bytes()));
    assert_eq!((got[1].binary, &*got[1].data), (true, &[0, 255, 7][..]));
    let (text, bytes) = ("schön".into(), vec![1, 2, 3].into());
    assert_eq!(world.received(), [("visavis", &text), ("visavis", &bytes)]);
    assert_eq!(world.gauges[0].waiting_bytes(), 0);
}

#[test]
fn who_may_send_no_messages_still_gets_them_until_a_later_offer_permits_more() {
    let mut world = World::new();
    world.permissions = PeerPermissions::default().data(false);
    world.join_with(|config| config, &["visavis"]);
    world.run(2_000 * MS);
    let channel = world.viewers[0].channels[0];
    world.say(0, channel, false, b"psst");
    world.send(0, None, &"a caption".into()).unwrap();
    world.run(500 * MS);
    assert_eq!(world.received(), []);
    assert_eq!(world.hub.refusals().get(Refusal::MessageNotAllowed), 1);
    assert_eq!(world.viewers[0].messages.len(), 1);

    world.permissions = PeerPermissions::default();
    world.restart_ice(0);
    world.run(2_000 * MS);
    world.say(0, channel, false, b"hello");
    world.run(500 * MS);
    assert_eq!(world.received(), [("visavis", &"hello".into())]);
    assert_eq!(world.hub.refusals().get(Refusal::MessageNotAllowed), 1);
}

#[test]
fn a_channel_can_be_added_to_a_connection_that_had_none() {
    let mut world = World::joined();
    assert_eq!(world.send(0, None, &"too early".into()), Err(DataRefusal::NoChannel));
    world.add_channels(0, "late");
    world.run(2_000 * MS);
    world.send(0, Some("late"), &"hello".into()).unwrap();
    world.restart_ice(0);
    world.run(2_000 * MS);
    world.send(0, Some("late"), &"again".into()).unwrap();
    world.run(500 * MS);
    assert_eq!(world.viewers[0].messages.len(), 2);
}

#[test]
fn channels_are_told_apart_by_label_and_there_is_an_end_of_them() {
    let mut world = World::with_channel();
    for n in 1..=MAX_CHANNELS + 2 {
        world.open_channel(0, &format!("extra-{n}"));
        world.run(200 * MS);
    }
    let opened = world.count(|event| matches!(event, HubEvent::ChannelOpened { .. }));
    assert_eq!(opened, MAX_CHANNELS);
    assert_eq!(world.gauges[0].labels().len(), MAX_CHANNELS);
    world.run(2_000 * MS);
    assert_eq!(world.viewers[0].channels_closed, 3, "the surplus is closed again");

    world.send(0, Some("extra-2"), &"for the third".into()).unwrap();
    world.send(0, None, &"for the first".into()).unwrap();
    assert_eq!(world.send(0, Some("extra-9"), &"".into()), Err(DataRefusal::NoChannel));
    world.run(500 * MS);
    let viewer = &world.viewers[0];
    let of: Vec<ChannelId> = viewer.messages.iter().map(|message| message.id).collect();
    assert_eq!(of, [viewer.channels[2], viewer.channels[0]]);
    let third = viewer.channels[2];
    world.say(0, third, false, b"back");
    world.run(500 * MS);
    assert_eq!(world.received(), [("extra-2", &"back".into())]);
}

#[test]
fn the_largest_message_arrives_and_a_larger_one_is_refused() {
    let mut world = World::with_channel();
    world.send(0, None, &numbered(9, MAX_MESSAGE_BYTES)).unwrap();
    let refused = world.send(0, None, &numbered(9, MAX_MESSAGE_BYTES + 1));
    assert_eq!(refused, Err(DataRefusal::TooLarge(MAX_MESSAGE_BYTES)));
    assert_eq!(world.send(0, None, &"".into()), Err(DataRefusal::Empty));
    world.run(5_000 * MS);
    assert_eq!(world.viewers[0].messages.len(), 1);
    assert_eq!(world.viewers[0].messages[0].data.len(), MAX_MESSAGE_BYTES);

    let channel = world.viewers[0].channels[0];
    let own = &mut world.viewers[0].rtc;
    assert!(own.channel(channel).unwrap().write(true, &[0; MAX_MESSAGE_BYTES + 1]).is_err());
    world.say(0, channel, true, &[5; MAX_MESSAGE_BYTES]);
    world.run(5_000 * MS);
    assert_eq!(world.received().len(), 1);
}

#[test]
fn messages_beyond_a_viewers_rate_are_refused_and_the_later_ones_are_heard() {
    let mut world = World::with_channel();
    let channel = world.viewers[0].channels[0];
    for _ in 0..100 {
        (0..100).for_each(|_| world.say(0, channel, true, b"again"));
        world.run(10 * MS);
    }
    world.run(2_000 * MS);
    let received = world.received().len();
    let refused = world.hub.refusals().get(Refusal::Message);
    assert_eq!(received as u64 + refused, 10_000);
    assert!(refused > 3_000, "{refused}");
    world.say(0, channel, false, b"now in peace");
    world.run(1_000 * MS);
    assert_eq!(
        world.received().last(),
        Some(&("visavis", &DataMessage::Text("now in peace".into())))
    );
}

#[test]
fn a_text_that_is_none_is_refused_and_the_next_is_heard() {
    let mut world = World::with_channel();
    let channel = world.viewers[0].channels[0];
    world.say(0, channel, false, &[0xff, 0xfe, 0x80]);
    world.say(0, channel, false, b"fine");
    world.run(500 * MS);
    assert_eq!(world.received(), [("visavis", &"fine".into())]);
    assert_eq!(world.count(|event| matches!(event, HubEvent::MessageRefused { .. })), 1);
}

/// A viewer behind a lossy wire, one that is gone silent, and one that is well.
#[test]
fn a_slow_viewer_is_told_of_holds_up_nobody_and_loses_nothing() {
    let mut world = World::new();
    for _ in 0..2 {
        world.join_with(|config| config, &["visavis"]);
    }
    world.run(2_000 * MS);
    world.viewers[0].online = false;
    let mut sent = [0; 2];
    let mut full = 0;
    for n in 0..100 {
        for viewer in [0, 1] {
            match world.send(viewer, None, &numbered(n, 20_000)) {
                Ok(()) => sent[viewer] += 1,
                Err(refusal) => {
                    assert_eq!((viewer, refusal), (0, DataRefusal::Full));
                    full += 1;
                }
            }
        }
        world.run(50 * MS);
    }
    assert_eq!(sent[1], 100);
    assert_eq!(numbers(&world, 1), (0..100).collect::<Vec<_>>());
    assert!(full > 0 && sent[0] >= 50, "{sent:?}, {full} refused");
    let waiting = world.gauges[0].waiting_bytes();
    assert!((MAX_WAITING_BYTES - 21_000..=MAX_WAITING_BYTES).contains(&waiting), "{waiting}");

    // It comes back, over a wire that loses a tenth.
    let mut count = 0;
    world.lose = Box::new(move |_| {
        count += 1;
        count % 10 == 0
    });
    world.viewers[0].online = true;
    let mut next = sent[0];
    while world.viewers[0].messages.len() < 200 && world.now - world.start < 600_000 * MS {
        if next < 200 && world.send(0, None, &numbered(next, 20_000)).is_ok() {
            next += 1;
        }
        world.run(100 * MS);
    }
    assert_eq!(numbers(&world, 0), (0..200).collect::<Vec<_>>());
    assert_eq!(world.gauges[0].waiting_bytes(), 0);
    assert_eq!(world.count(|event| matches!(event, HubEvent::Undelivered { .. })), 0);
}

#[test]
fn what_waits_for_a_channel_that_closes_is_said_to_be_undelivered() {
    let mut world = World::with_channel();
    world.open_channel(0, "other");
    world.run(500 * MS);
    // More than SCTP takes at once.
    for n in 0..10 {
        world.send(0, Some("other"), &numbered(n, 60_000)).unwrap();
    }
    let other = world.viewers[0].channels[1];
    world.viewers[0].rtc.direct_api().close_data_channel(other);
    let viewer = &mut world.viewers[0];
    viewer.drain(&mut world.wire);
    world.run(5_000 * MS);
    let undelivered = world.events.iter().find_map(|event| match event {
        HubEvent::Undelivered { messages, .. } => Some(*messages),
        _ => None,
    });
    let closed = world.count(|event| matches!(event, HubEvent::ChannelClosed { .. }));
    assert_eq!(closed, 1);
    let got = world.viewers[0].messages.len();
    assert!(undelivered.is_some_and(|lost| lost >= 1 && lost + got <= 10), "{undelivered:?} {got}");
    assert_eq!(world.gauges[0].waiting_bytes(), 0);
    assert_eq!(world.send(0, Some("other"), &"x".into()), Err(DataRefusal::NoChannel));
    world.send(0, None, &"the rest goes on".into()).unwrap();
    world.run(500 * MS);
    assert_eq!(world.viewers[0].messages.len(), got + 1);
}

#[test]
fn messages_for_a_viewer_that_leaves_are_counted() {
    let mut world = World::with_channel();
    for n in 0..10 {
        world.send(0, None, &numbered(n, 60_000)).unwrap();
    }
    let id = world.viewers[0].id;
    world.hub.disconnect(id, world.now, &mut world.wire);
    world.run(100 * MS);
    assert_eq!(world.count(|event| matches!(event, HubEvent::Undelivered { .. })), 1);
    let message = OutgoingMessage::new(&"late".into(), None);
    assert!(!world.hub.send_data(id, message, world.now, &mut world.wire));
}
