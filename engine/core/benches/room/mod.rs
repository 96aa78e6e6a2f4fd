//! A hub with connected viewers for benches: virtual time, real ICE, DTLS, SRTP and feedback, no socket.
#![allow(dead_code, reason = "each bench uses a part of it")]

#[path = "../../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use common::{Datagram, MS, World};
use str0m::Input;
use str0m::net::{Protocol, Receive};
use visavis_core::{Hub, Outbox, PacketizedFrame, Packetizer, Route};
use visavis_types::{
    AccessUnit, AudioCodec, AudioPacket, AudioRenditionSet, RenditionId, SessionNumber, Stamps,
    VideoCodec,
};

/// 30 fps.
pub(crate) const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);

/// A frame of a 2 Mbit/s stream, and a keyframe, in bytes.
pub(crate) const FRAME_BYTES: usize = 8_000;
pub(crate) const KEYFRAME_BYTES: usize = 67_000;

/// An Opus packet of 48 kbit/s.
pub(crate) const AUDIO_BYTES: usize = 120;

/// Takes datagrams as the engine's way out does: in one piece of memory, which is used again.
#[derive(Default)]
pub(crate) struct Tray {
    bytes: Vec<u8>,
    used: usize,
    datagrams: Vec<(Route, usize)>,
}

impl Outbox for Tray {
    fn datagram(&mut self, route: &Route, len: usize) -> &mut [u8] {
        self.datagrams.push((*route, len));
        let start = self.used;
        self.used += len;
        if self.used > self.bytes.len() {
            self.bytes.resize(self.used, 0);
        }
        &mut self.bytes[start..self.used]
    }

    fn flush(&mut self) {}
}

impl Tray {
    /// Puts what was taken on the wire.
    pub(crate) fn empty(&mut self, world: &mut World) {
        let mut rest = &self.bytes[..];
        for &(Route { local: from, remote: to, .. }, len) in &self.datagrams {
            let (contents, tail) = rest.split_at(len);
            rest = tail;
            world.wire.queue.push_back(Datagram { from, to, contents: contents.to_vec() });
        }
        self.used = 0;
        self.datagrams.clear();
    }
}

/// Connected viewers that have seen a keyframe and a second of the stream.
pub(crate) struct Room {
    pub world: World,
    pub tray: Tray,
    packetizer: Packetizer,
    audio_packets: u32,
}

impl Room {
    pub(crate) fn new(viewers: usize) -> Self {
        let mut world = World::new();
        for _ in 0..viewers {
            world.join(None);
        }
        world.run(2_000 * MS);
        assert!(world.viewers.iter().all(|viewer| viewer.connected), "not everybody connected");
        let mut room = Self {
            world,
            tray: Tray::default(),
            packetizer: Packetizer::new(VideoCodec::H264),
            audio_packets: 0,
        };
        for frame in 0..30 {
            let frame = room.frame(frame == 0);
            let audio = room.audio();
            let Self { world, tray, .. } = &mut room;
            assert_eq!(
                world.hub.send_frame(world.session, frame, || world.now, tray).peers,
                viewers
            );
            assert_eq!(world.hub.send_audio(world.session, &audio, tray), viewers);
            room.settle(FRAME_INTERVAL);
        }
        room
    }

    /// A frame captured now.
    pub(crate) fn frame(&mut self, keyframe: bool) -> PacketizedFrame {
        let bytes = if keyframe { KEYFRAME_BYTES } else { FRAME_BYTES };
        let now = self.world.now;
        let unit = access_unit(self.world.number, VideoCodec::H264, keyframe, bytes, now);
        self.packetizer.packetize(&unit, || now)
    }

    /// An Opus packet captured now.
    pub(crate) fn audio(&mut self) -> AudioPacket {
        self.audio_packets += 1;
        AudioPacket {
            codec: AudioCodec::Opus,
            renditions: AudioRenditionSet::OPUS,
            data: Arc::from(vec![0xfc; AUDIO_BYTES]),
            rtp_time: self.audio_packets.wrapping_mul(960),
            captured: self.world.now,
            talkspurt: false,
        }
    }

    /// The viewers get what was sent; time passes, in which they answer.
    pub(crate) fn settle(&mut self, duration: Duration) {
        self.pass(duration, |hub, act, now, tray| act.perform(hub, now, tray));
    }

    /// Lets time pass. What the hub has to do meanwhile is left to `act`; the wire takes no time.
    pub(crate) fn pass(
        &mut self,
        duration: Duration,
        mut act: impl FnMut(&mut Hub, Act, Instant, &mut Tray),
    ) {
        let Self { world, tray, .. } = self;
        let until = world.now + duration;
        loop {
            tray.empty(world);
            let heard = deliver(world);
            if !heard.is_empty() {
                act(&mut world.hub, Act::Receive(heard), world.now, tray);
                continue;
            }
            let hub = world.hub.next_deadline().map(|deadline| deadline.at);
            let next = world.viewers.iter().map(|viewer| viewer.deadline).chain(hub).min();
            match next {
                Some(at) if at <= until => world.now = world.now.max(at),
                _ => break,
            }
            let now = world.now;
            if hub.is_some_and(|at| at <= now) {
                act(&mut world.hub, Act::HandleDue, now, tray);
            }
            for viewer in world.viewers.iter_mut().filter(|viewer| viewer.deadline <= now) {
                viewer.rtc.handle_input(Input::Timeout(now)).unwrap();
                viewer.drain(&mut world.wire);
            }
        }
        world.now = until;
        world.wire.turns.clear();
        for viewer in &mut world.viewers {
            viewer.packets.clear();
        }
    }
}

/// What a hub has to do of itself.
pub(crate) enum Act {
    /// These came from viewers.
    Receive(Vec<Datagram>),
    /// A deadline has come.
    HandleDue,
}

impl Act {
    pub(crate) fn perform(&self, hub: &mut Hub, now: Instant, tray: &mut Tray) {
        match self {
            Self::Receive(datagrams) => {
                for Datagram { from, to, contents } in datagrams {
                    hub.receive(now, Route::udp(*to, *from), contents, tray);
                }
            }
            Self::HandleDue => while hub.handle_due(now, tray) {},
        }
        while hub.poll_event().is_some() {}
    }
}

/// Empties the wire: viewers take theirs, the hub's is given back.
fn deliver(world: &mut World) -> Vec<Datagram> {
    let mut heard = Vec::new();
    while let Some(datagram) = world.wire.queue.pop_front() {
        match world.viewers.iter_mut().find(|viewer| viewer.addr == datagram.to) {
            Some(viewer) => {
                let Datagram { from, to, contents } = &datagram;
                let receive = Receive::new(Protocol::Udp, *from, *to, contents).unwrap();
                viewer.rtc.handle_input(Input::Receive(world.now, receive)).unwrap();
                viewer.drain(&mut world.wire);
            }
            None => heard.push(datagram),
        }
    }
    heard
}

/// A picture of the given length that a packetizer takes for a real one.
pub(crate) fn access_unit(
    session: SessionNumber,
    codec: VideoCodec,
    keyframe: bool,
    bytes: usize,
    captured: Instant,
) -> AccessUnit {
    let mut data = match (codec, keyframe) {
        // SPS, PPS and one IDR slice, or one other slice; no start code occurs within.
        (VideoCodec::H264, true) => {
            let mut data = vec![0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f];
            data.extend([0x55; 12]);
            data.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65]);
            data
        }
        (VideoCodec::H264, false) => vec![0, 0, 0, 1, 0x41],
        (VideoCodec::Vp8 | VideoCodec::Vp9, _) => Vec::new(),
        // One OBU of type OBU_FRAME without a size: it reaches to the end.
        (VideoCodec::Av1, _) => vec![0x30],
    };
    data.resize(bytes, 0x55);
    let rendition = RenditionId::lowest(session, codec);
    let (layers, stamps) = (None, Stamps::pushed(captured));
    AccessUnit { rendition, keyframe, layers, data, captured, stamps }
}
