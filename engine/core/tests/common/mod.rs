//! A hub and viewers (str0m as a client) in virtual time, over a wire that loses what it is told to.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpApi, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelData, ChannelId};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::rtcp::{Rtcp, SenderInfo};
use str0m::rtp::{Extension, ExtensionMap, RawPacket, RtpPacket};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use visavis_core::{
    Certificate, CodecOrder, DataGauge, Hub, HubEvent, NetworkGauge, Offer, Outbox,
    PacketizedFrame, PeerSetup, PictureGauge, Route, SessionKey, TransportAddress,
};
use visavis_types::{
    ClockAnchor, CodecSet, PeerId, PeerPermissions, PlayoutDelay, RenditionId, SessionId,
    SessionNumber, Stamps, VideoCodec,
};
use visavis_weather::{Link, Schedule};

pub(crate) const MS: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub(crate) struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub contents: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Wire {
    pub queue: VecDeque<Datagram>,
    /// Lengths of the datagrams between two flushes.
    pub turns: Vec<Vec<usize>>,
    turn: Vec<usize>,
}

impl Outbox for Wire {
    fn datagram(&mut self, route: &Route, len: usize) -> &mut [u8] {
        self.turn.push(len);
        self.queue.push_back(Datagram {
            from: route.local,
            to: route.remote,
            contents: vec![0; len],
        });
        &mut self.queue.back_mut().unwrap().contents
    }

    fn flush(&mut self) {
        self.turns.push(std::mem::take(&mut self.turn));
    }
}

pub(crate) struct Viewer {
    pub id: PeerId,
    /// The descriptions that it and the hub agreed on last.
    pub offer: String,
    pub answer: String,
    pub rtc: Rtc,
    pub video: Mid,
    pub addr: SocketAddr,
    pub deadline: Instant,
    pub connected: bool,
    pub closed: bool,
    pub packets: Vec<RtpPacket>,
    pub sender_reports: Vec<SenderInfo>,
    /// How many packets had come before each of them.
    pub packets_before: Vec<usize>,
    /// Channels that were opened, those closed since among them.
    pub channels: Vec<ChannelId>,
    pub channels_closed: usize,
    pub messages: Vec<ChannelData>,
    /// A viewer that is offline neither sends nor receives.
    pub online: bool,
}

pub(crate) struct World {
    pub now: Instant,
    pub start: Instant,
    pub clock: ClockAnchor,
    pub hub: Hub,
    /// Of the viewers' data channels, in their order.
    pub gauges: Vec<Arc<DataGauge>>,
    pub networks: Vec<Arc<NetworkGauge>>,
    pub pictures: Vec<Arc<PictureGauge>>,
    pub session: SessionKey,
    pub number: SessionNumber,
    pub wire: Wire,
    pub viewers: Vec<Viewer>,
    pub events: Vec<HubEvent>,
    /// What the session prefers, from the next viewer on.
    pub order: CodecOrder,
    pub red: bool,
    /// Of newcomers, and of all from their next offer on.
    pub permissions: PeerPermissions,
    /// Whether offers ask for two channels.
    pub stereo: bool,
    certificate: Certificate,
    pub hub_addr: SocketAddr,
    /// Decides whether a datagram to a viewer is lost.
    pub lose: Box<dyn FnMut(&Datagram) -> bool>,
    /// What the network makes of each datagram, either way; false where it loses it.
    pub bend: Box<dyn FnMut(&mut Datagram) -> bool>,
    /// Viewers that are not next door: their addresses, and the links to them and from them.
    pub links: Vec<(SocketAddr, [Link<Datagram>; 2])>,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let clock = ClockAnchor::now();
        let mut hub = Hub::new(clock, Duration::from_secs(15), Arc::default());
        let number = SessionNumber::unique();
        let session = hub.add_session((SessionId::default(), number), PlayoutDelay::NONE, now);
        Self {
            now,
            start: now,
            clock,
            hub,
            gauges: Vec::new(),
            networks: Vec::new(),
            pictures: Vec::new(),
            session,
            number,
            wire: Wire::default(),
            viewers: Vec::new(),
            events: Vec::new(),
            order: CodecOrder { video: vec![VideoCodec::H264], audio: Vec::new() },
            red: false,
            permissions: PeerPermissions::default(),
            stereo: false,
            certificate: Certificate::generate().unwrap(),
            hub_addr: "192.0.2.1:5000".parse().unwrap(),
            lose: Box::new(|_| false),
            bend: Box::new(|_| true),
            links: Vec::new(),
        }
    }

    /// A viewer that offers to receive, restricted to one codec if given.
    pub(crate) fn join(&mut self, only: Option<VideoCodec>) -> usize {
        self.join_as(|config| match only {
            Some(codec) => config
                .enable_h264(codec == VideoCodec::H264)
                .enable_vp8(codec == VideoCodec::Vp8)
                .enable_vp9(codec == VideoCodec::Vp9)
                .enable_av1(codec == VideoCodec::Av1),
            None => config,
        })
    }

    /// A viewer that offers to receive, able to what it is made able to.
    pub(crate) fn join_as(&mut self, abilities: impl FnOnce(RtcConfig) -> RtcConfig) -> usize {
        self.join_with(abilities, &[])
    }

    /// As [`join_as`](Self::join_as), and its offer has data channels of these labels.
    pub(crate) fn join_with(
        &mut self,
        abilities: impl FnOnce(RtcConfig) -> RtcConfig,
        labels: &[&str],
    ) -> usize {
        self.join_offering(abilities, true, labels)
    }

    /// A viewer whose offer has a data channel and nothing else.
    pub(crate) fn join_for_data(&mut self, label: &str) -> usize {
        self.join_offering(|config| config, false, &[label])
    }

    fn join_offering(
        &mut self,
        abilities: impl FnOnce(RtcConfig) -> RtcConfig,
        media: bool,
        labels: &[&str],
    ) -> usize {
        let n = self.viewers.len() as u16;
        let addr = SocketAddr::from(([192, 0, 2, 100], 6_000 + n));
        let config = Rtc::builder()
            .set_rtp_mode(true)
            .set_extension_map(extensions())
            .enable_raw_packets(true);
        let mut rtc = abilities(config).build(self.now);
        rtc.add_local_candidate(Candidate::host(addr, "udp").unwrap());
        let (offer, pending, video) = offer(&mut rtc, media, labels);
        let id = PeerId::from_raw(0x1000 + u64::from(n));
        let setup = PeerSetup {
            peer: id,
            session: SessionId::default(),
            order: self.order.clone(),
            video_codecs: CodecSet::ALL,
            red: self.red,
            permissions: self.permissions,
            media_loop: 0,
            candidates: &[TransportAddress::udp(self.hub_addr)],
            certificate: &self.certificate,
            now: self.now,
        };
        let offer = match self.stereo {
            true => offer.replace("useinbandfec=1", "useinbandfec=1;stereo=1"),
            false => offer,
        };
        let (peer, answer_sdp) = setup.answer(&Offer::parse(&offer).unwrap()).unwrap();
        let (offer_sdp, answer) = (offer, answer_sdp.clone());
        let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).unwrap();
        quietly(|| rtc.sdp_api().accept_answer(pending, answer).unwrap());
        self.gauges.push(Arc::clone(peer.data_gauge()));
        self.networks.push(Arc::clone(peer.network()));
        self.pictures.push(Arc::clone(peer.pictures()));
        assert!(self.hub.add_peer(Box::new(peer), self.now, &mut self.wire).is_ok());
        self.viewers.push(Viewer {
            id,
            offer: offer_sdp,
            answer: answer_sdp,
            rtc,
            video,
            addr,
            deadline: self.now,
            connected: false,
            closed: false,
            packets: Vec::new(),
            sender_reports: Vec::new(),
            packets_before: Vec::new(),
            channels: Vec::new(),
            channels_closed: 0,
            messages: Vec::new(),
            online: true,
        });
        usize::from(n)
    }

    pub(crate) fn joined() -> Self {
        let mut world = Self::new();
        world.join(None);
        world.run(2_000 * MS);
        assert!(world.viewers[0].connected);
        world
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            self.deliver();
            let hub = self.hub.next_deadline().map(|deadline| deadline.at);
            let online = self.viewers.iter().filter(|viewer| viewer.online);
            let links = self.links.iter().flat_map(|(_, ways)| ways);
            let links = links.filter_map(|link| Some(self.start + link.next_deadline()?));
            let next = online.map(|viewer| viewer.deadline).chain(hub).chain(links).min();
            match next {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            let now = self.now;
            self.hub.handle_due(now, &mut self.wire);
            for viewer in self.viewers.iter_mut().filter(|v| v.online && v.deadline <= now) {
                quietly(|| viewer.rtc.handle_input(Input::Timeout(now)).unwrap());
                viewer.drain(&mut self.wire);
            }
        }
        self.now = until;
        while let Some(event) = self.hub.poll_event() {
            self.events.push(event);
        }
    }

    /// Has a viewer be at the other end of a link, there and back.
    pub(crate) fn link(
        &mut self,
        viewer: usize,
        there: impl Into<Schedule>,
        back: impl Into<Schedule>,
    ) {
        let ways = [Link::new(there, 1), Link::new(back, 2)];
        self.links.push((self.viewers[viewer].addr, ways));
    }

    fn deliver(&mut self) {
        let time = self.now - self.start;
        loop {
            let mut links = self.links.iter_mut().flat_map(|(_, ways)| ways);
            if let Some(datagram) = links.find_map(|link| link.poll(time)) {
                self.arrive(datagram);
            } else if let Some(mut datagram) = self.wire.queue.pop_front() {
                if !(self.bend)(&mut datagram) {
                    continue;
                }
                let Datagram { from, to, contents } = &datagram;
                let bytes = contents.len() + 28;
                let link = self.links.iter_mut().find_map(|(addr, [there, back])| match *addr {
                    addr if addr == *to => Some(there),
                    addr if addr == *from => Some(back),
                    _ => None,
                });
                match link {
                    Some(link) => {
                        link.send(time, datagram, bytes);
                    }
                    None => self.arrive(datagram),
                }
            } else {
                break;
            }
        }
        while let Some(event) = self.hub.poll_event() {
            self.events.push(event);
        }
    }

    fn arrive(&mut self, datagram: Datagram) {
        if datagram.to == self.hub_addr {
            let Datagram { from, to, contents } = datagram;
            self.hub.receive(self.now, Route::udp(to, from), &contents, &mut self.wire);
        } else if let Some(viewer) =
            self.viewers.iter_mut().find(|v| v.addr == datagram.to && v.online)
        {
            if (self.lose)(&datagram) {
                return;
            }
            let Datagram { from, to, contents } = &datagram;
            let receive = Receive::new(Protocol::Udp, *from, *to, contents).unwrap();
            quietly(|| viewer.rtc.handle_input(Input::Receive(self.now, receive)).unwrap());
            viewer.drain(&mut self.wire);
        }
    }

    pub(crate) fn frame(
        &self,
        codec: VideoCodec,
        keyframe: bool,
        sizes: &[usize],
    ) -> PacketizedFrame {
        PacketizedFrame {
            rendition: RenditionId::lowest(self.number, codec),
            keyframe,
            layers: None,
            payloads: Arc::new(sizes.iter().map(|&len| vec![0x41; len]).collect()),
            captured: self.now,
            stamps: Stamps::pushed(self.now),
        }
    }

    /// Sends frames of three packets at 30 fps.
    pub(crate) fn stream(&mut self, codec: VideoCodec, frames: usize) {
        for _ in 0..frames {
            let frame = self.frame(codec, false, &[900, 900, 500]);
            self.hub.send_frame(self.session, frame, || self.now, &mut self.wire);
            self.run(33 * MS);
        }
    }

    pub(crate) fn restart_ice(&mut self, viewer: usize) {
        self.renegotiate(viewer, |api, _| {
            api.ice_restart(true);
        });
    }

    /// Adds the first data channel of a viewer that had none: a new section in its description.
    pub(crate) fn add_channels(&mut self, viewer: usize, label: &str) {
        self.renegotiate(viewer, |api, _| {
            api.add_channel(label.to_owned());
        });
    }

    /// Adds sound and picture for a viewer that had none.
    pub(crate) fn add_media(&mut self, viewer: usize) {
        let mut video = None;
        self.renegotiate(viewer, |api, _| video = Some(add_media(api)));
        self.viewers[viewer].video = video.unwrap();
    }

    /// Opens one more channel, which no description tells of.
    pub(crate) fn open_channel(&mut self, viewer: usize, label: &str) -> ChannelId {
        let config = ChannelConfig { label: label.to_owned(), ..ChannelConfig::default() };
        let target = &mut self.viewers[viewer];
        let id = target.rtc.direct_api().create_data_channel(config);
        target.rtc.handle_input(Input::Timeout(self.now)).unwrap();
        target.drain(&mut self.wire);
        id
    }

    /// The viewer wants to receive video, or not.
    pub(crate) fn set_video(&mut self, viewer: usize, wanted: bool) {
        let direction = if wanted { Direction::RecvOnly } else { Direction::Inactive };
        self.renegotiate(viewer, |api, video| api.set_direction(video, direction));
    }

    fn renegotiate(&mut self, viewer: usize, change: impl FnOnce(&mut SdpApi<'_>, Mid)) {
        let target = &mut self.viewers[viewer];
        let mut api = target.rtc.sdp_api();
        change(&mut api, target.video);
        let (offer, pending) = api.apply().unwrap();
        target.offer = offer.to_sdp_string();
        let answer = self.hub.renegotiate(
            target.id,
            &Offer::parse(&target.offer).unwrap(),
            Some(self.permissions),
            self.now,
            &mut self.wire,
        );
        target.answer = answer.unwrap().unwrap();
        let answer = str0m::change::SdpAnswer::from_sdp_string(&target.answer).unwrap();
        quietly(|| target.rtc.sdp_api().accept_answer(pending, answer).unwrap());
        target.drain(&mut self.wire);
    }
}

impl Viewer {
    /// Sends a picture loss indication.
    pub(crate) fn request_keyframe(&mut self, now: Instant, wire: &mut Wire) {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_rx_by_mid(self.video, None).unwrap();
        stream.request_keyframe(KeyframeRequestKind::Pli);
        quietly(|| self.rtc.handle_input(Input::Timeout(now)).unwrap());
        self.drain(wire);
    }

    pub(crate) fn drain(&mut self, wire: &mut Wire) {
        loop {
            match quietly(|| self.rtc.poll_output().unwrap()) {
                Output::Transmit(t) => {
                    let contents = t.contents.to_vec();
                    wire.queue.push_back(Datagram { from: t.source, to: t.destination, contents });
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::Closed) => self.closed = true,
                Output::Event(Event::RtpPacket(packet)) => self.packets.push(packet),
                Output::Event(Event::RawPacket(packet)) => {
                    if let RawPacket::RtcpRx(Rtcp::SenderReport(report)) = *packet {
                        self.sender_reports.push(report.sender_info);
                        self.packets_before.push(self.packets.len());
                    }
                }
                Output::Event(Event::ChannelOpen(id, _)) => self.channels.push(id),
                Output::Event(Event::ChannelClose(_)) => self.channels_closed += 1,
                Output::Event(Event::ChannelData(data)) => self.messages.push(data),
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
            }
        }
    }
}

/// The viewers are str0m as well, and say in the log what is not theirs to say here.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&tracing::Dispatch::none(), run)
}

/// The value of a line of a description.
pub(crate) fn value<'a>(sdp: &'a str, line: &str) -> &'a str {
    sdp.lines().find_map(|text| text.strip_prefix(line)).unwrap()
}

/// What browsers offer and we have a use for, and one more.
fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    map.set(3, Extension::TransportSequenceNumber);
    map.set(9, Extension::RtpMid);
    map.set(10, Extension::PlayoutDelay);
    map.set(11, Extension::AbsoluteCaptureTime);
    map
}

fn add_media(api: &mut SdpApi<'_>) -> Mid {
    api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None)
}

fn offer(rtc: &mut Rtc, media: bool, labels: &[&str]) -> (String, SdpPendingOffer, Mid) {
    let mut api = rtc.sdp_api();
    let video = if media { add_media(&mut api) } else { Mid::new() };
    for label in labels {
        api.add_channel((*label).to_owned());
    }
    let (offer, pending) = api.apply().unwrap();
    (offer.to_sdp_string(), pending, video)
}
