use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mio::{Events, Interest, Poll, Token, Waker};
use visavis_core::rtp::receive::{
    AudioReceiver, Kind, MediaClock, ReceivedPacket, ReceivedUnit, RtpFault, VideoReceiver,
    is_rtcp, sender_reports,
};
use visavis_net::{RtpSocket, RtpSockets};
use visavis_types::SessionId;

use super::fault_log::FaultLog;
use super::feedback::{Destination, Feedback};
use super::status::{RtpInputStatus, RtpStreamStatus};
use crate::audio::block::{OpusBlock, OpusTiming};
use crate::audio::sink::AudioSink;
use crate::encoded::EncodedVideoSink;
use crate::faults::{FaultDomain, Faults};

const WAKER: Token = Token(usize::MAX);

/// The largest UDP datagram.
const MAX_DATAGRAM: usize = 65_535;

/// Datagrams taken from one socket before the others get their turn.
const BUDGET: usize = 64;

/// How often it is looked at what became of what came.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// Owns the sockets and the streams that come in at them.
pub(super) struct ReceiveLoop {
    poll: Poll,
    inlets: Vec<Inlet>,
    streams: Streams,
    status: Arc<ArcSwap<RtpInputStatus>>,
    /// When to look next; `None` while nothing has come since the last time.
    next_status: Option<Instant>,
    stopping: Arc<AtomicBool>,
    buffer: Vec<u8>,
    /// What it is for.
    session: SessionId,
    faults: Arc<Faults>,
}

/// One socket.
struct Inlet {
    socket: RtpSocket,
    kind: Kind,
    /// It may have more to give: the poller tells only when something is added.
    readable: bool,
}

struct Streams {
    video: Option<VideoLane>,
    audio: AudioLane,
    clock: MediaClock,
}

/// The way of the pictures.
pub(super) struct VideoLane {
    receiver: VideoReceiver,
    sink: EncodedVideoSink,
    fault_log: FaultLog,
    feedback: Feedback,
    /// Since when viewers wait for a keyframe.
    wanted_since: Option<Instant>,
}

/// The way of the sound.
pub(super) struct AudioLane {
    receiver: AudioReceiver,
    sink: AudioSink,
    /// RTP time of the last packet.
    last: Option<i64>,
    /// Said once: the session's sound comes from elsewhere.
    refused: bool,
    fault_log: FaultLog,
}

impl ReceiveLoop {
    pub(super) fn new(
        sockets: [Option<RtpSockets>; 2],
        video: Option<VideoLane>,
        audio: AudioLane,
        status: Arc<ArcSwap<RtpInputStatus>>,
        stopping: Arc<AtomicBool>,
        (session, faults): (SessionId, Arc<Faults>),
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut inlets = Vec::new();
        for (sockets, kind) in sockets.into_iter().zip([Kind::Video, Kind::Audio]) {
            let Some(RtpSockets { rtp, rtcp }) = sockets else { continue };
            for mut socket in [Some(rtp), rtcp].into_iter().flatten() {
                let token = Token(inlets.len());
                poll.registry().register(&mut socket, token, Interest::READABLE)?;
                inlets.push(Inlet { socket, kind, readable: true });
            }
        }
        let now = Instant::now();
        let streams = Streams { video, audio, clock: MediaClock::new(now) };
        let receive_loop = Self {
            poll,
            inlets,
            streams,
            status,
            next_status: None,
            stopping,
            buffer: vec![0; MAX_DATAGRAM],
            session,
            faults,
        };
        Ok((receive_loop, waker))
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        while !self.stopping.load(Relaxed) {
            if let Err(error) = self.sleep(&mut events) {
                tracing::error!(%error, "RTP is taken no longer");
                let wrong = format!("RTP is taken no longer: {error}");
                self.faults.set_wrong("rtp-input", Some(wrong));
                return;
            }
            for event in &events {
                if let Some(inlet) = self.inlets.get_mut(event.token().0) {
                    inlet.readable = true;
                }
            }
            let mut came = false;
            let Self { inlets, buffer, streams, session, faults, .. } = &mut self;
            faults.guard(FaultDomain::RtpInput, session, || {
                for (index, inlet) in inlets.iter_mut().enumerate() {
                    came |= inlet.receive(index, buffer, streams);
                }
                let now = Instant::now();
                streams.handle_due(now);
                if came {
                    streams.tell_sender(inlets, now);
                }
            });
            let now = Instant::now();
            match self.next_status {
                Some(at) if at <= now => {
                    self.next_status = None;
                    self.status.store(Arc::new(self.streams.look(now)));
                }
                None if came => self.next_status = Some(now + STATUS_INTERVAL),
                _ => {}
            }
        }
        let RtpInputStatus { video, audio } = self.streams.status();
        let (video, audio) = (video.counters, audio.counters);
        tracing::info!(?video, ?audio, "RTP is taken no longer");
    }

    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = if self.inlets.iter().any(|inlet| inlet.readable) {
            Some(Duration::ZERO)
        } else {
            let deadline = [self.streams.deadline(), self.next_status].into_iter().flatten().min();
            deadline.map(|at| at.saturating_duration_since(Instant::now()))
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }
}

impl Inlet {
    /// Takes what has come; whether that was anything.
    fn receive(&mut self, index: usize, buffer: &mut [u8], streams: &mut Streams) -> bool {
        let mut came = false;
        for _ in 0..if self.readable { BUDGET } else { 0 } {
            match self.socket.receive(buffer) {
                Ok(Some((datagram, from))) => {
                    came = true;
                    let from = Destination { inlet: index, to: from };
                    streams.take(self.kind, datagram, from, Instant::now());
                }
                Ok(None) => {
                    self.readable = false;
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "a datagram was not received");
                }
            }
        }
        came
    }
}

impl Streams {
    fn take(&mut self, kind: Kind, datagram: &[u8], from: Destination, now: Instant) {
        if is_rtcp(datagram) {
            self.take_reports(datagram, from, now);
            return;
        }
        let Self { video, audio, clock } = self;
        match kind {
            Kind::Video => {
                if let Some(VideoLane { receiver, sink, feedback, .. }) = video {
                    let before = receiver.counters().packets;
                    receiver.receive(datagram, now, |unit| push_unit(sink, clock, &unit, now));
                    // The last picture stays while packets come, though some were lost.
                    if receiver.counters().packets > before {
                        feedback.note_packet(from.to);
                        if receiver.goes_on() {
                            sink.stay_live(now);
                        }
                    }
                }
            }
            Kind::Audio => {
                let AudioLane { receiver, sink, last, refused, .. } = audio;
                receiver.receive(datagram, now, |packet| {
                    push_packet(sink, clock, last, refused, &packet);
                });
            }
        }
    }

    /// Reports name their stream: it does not matter at which socket they come in.
    fn take_reports(&mut self, datagram: &[u8], from: Destination, now: Instant) {
        for report in sender_reports(datagram) {
            let Self { video, audio, clock } = self;
            if let Some(VideoLane { receiver, feedback, .. }) = video
                && receiver.ssrc() == Some(report.ssrc)
            {
                receiver.note_report(&report, now);
                feedback.note_report(from);
                if let Some(rtp_time) = receiver.unwrapped(report.rtp_time) {
                    clock.report(Kind::Video, &report, rtp_time);
                }
            } else if audio.receiver.ssrc() == Some(report.ssrc)
                && let Some(rtp_time) = audio.receiver.unwrapped(report.rtp_time)
            {
                clock.report(Kind::Audio, &report, rtp_time);
            }
        }
    }

    fn handle_due(&mut self, now: Instant) {
        let Self { video, audio, clock } = self;
        if let Some(VideoLane { receiver, sink, .. }) = video {
            receiver.handle_due(now, |unit| push_unit(sink, clock, &unit, now));
        }
        let AudioLane { receiver, sink, last, refused, .. } = audio;
        receiver.handle_due(now, |packet| push_packet(sink, clock, last, refused, &packet));
    }

    /// Tells the encoder that sends pictures what is wanted of it.
    fn tell_sender(&mut self, inlets: &[Inlet], now: Instant) {
        let Some(video) = &mut self.video else { return };
        let needs_keyframe = video.needs_keyframe(now);
        let VideoLane { receiver, sink, feedback, .. } = video;
        let Some(Destination { inlet, to }) = feedback.destination() else { return };
        let Some(Inlet { socket, .. }) = inlets.get(inlet) else { return };
        if let Some(wanted) = feedback.due(needs_keyframe, sink.adaptive_bitrate(), now) {
            let mut packet = Vec::new();
            receiver.write_feedback(wanted, now, &mut packet);
            if let Err(error) = socket.send(&packet, to) {
                tracing::debug!(%error, %to, "RTCP was not sent");
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let video = self.video.as_ref().and_then(|ring| ring.receiver.deadline());
        [video, self.audio.receiver.deadline()].into_iter().flatten().min()
    }

    /// Looks at what became of what came since the last time, and says what is wrong.
    fn look(&mut self, now: Instant) -> RtpInputStatus {
        if let Some(ring) = &mut self.video {
            let fault = ring.fault(now);
            ring.fault_log.set(fault, now);
        }
        let fault = self.audio.receiver.fault(now);
        self.audio.fault_log.set(fault, now);
        self.status()
    }

    fn status(&self) -> RtpInputStatus {
        let video = self.video.as_ref().map(|VideoLane { receiver, fault_log, .. }| {
            RtpStreamStatus { counters: receiver.counters(), fault: fault_log.current() }
        });
        let AudioLane { receiver, fault_log, .. } = &self.audio;
        let audio = RtpStreamStatus { counters: receiver.counters(), fault: fault_log.current() };
        RtpInputStatus { video: video.unwrap_or_default(), audio }
    }
}

impl VideoLane {
    pub(super) fn new(
        receiver: VideoReceiver,
        sink: EncodedVideoSink,
        feedback: Option<SocketAddr>,
    ) -> Self {
        let feedback = Feedback::new(feedback);
        Self { receiver, sink, fault_log: FaultLog::new("video"), feedback, wanted_since: None }
    }

    /// Whether viewers wait for a keyframe.
    fn needs_keyframe(&mut self, now: Instant) -> bool {
        if self.sink.take_keyframe_request() {
            self.wanted_since.get_or_insert(now);
        }
        if let Some(since) = self.wanted_since
            && self.sink.last_keyframe().is_some_and(|at| at >= since)
        {
            self.wanted_since = None;
        }
        self.wanted_since.is_some()
    }

    fn fault(&mut self, now: Instant) -> Option<RtpFault> {
        /// So long viewers wait for a keyframe before it is said that none comes.
        const PATIENCE: Duration = Duration::from_millis(1_500);
        let waits = self.needs_keyframe(now)
            && self
                .wanted_since
                .is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        let fault = self.receiver.fault(now);
        fault.or_else(|| waits.then(|| self.receiver.no_keyframe()))
    }
}

impl AudioLane {
    pub(super) fn new(receiver: AudioReceiver, sink: AudioSink) -> Self {
        let fault_log = FaultLog::new("audio");
        Self { receiver, sink, last: None, refused: false, fault_log }
    }
}

fn push_unit(
    sink: &EncodedVideoSink,
    clock: &mut MediaClock,
    unit: &ReceivedUnit<'_>,
    now: Instant,
) {
    if unit.restarted {
        clock.restart(Kind::Video);
    }
    let captured = clock.capture_time(Kind::Video, unit.rtp_time, unit.arrived);
    if let Err(error) = sink.push_inspected(unit.data, unit.inspection, captured, now) {
        // Not possible: the receiver was made for the session's codec.
        tracing::debug!(%error, "a received picture was not taken");
    }
}

fn push_packet(
    sink: &AudioSink,
    clock: &mut MediaClock,
    last: &mut Option<i64>,
    refused: &mut bool,
    packet: &ReceivedPacket<'_>,
) {
    if packet.restarted {
        clock.restart(Kind::Audio);
        *last = None;
    }
    let captured = clock.capture_time(Kind::Audio, packet.rtp_time, packet.arrived);
    let step =
        last.replace(packet.rtp_time).and_then(|last| u32::try_from(packet.rtp_time - last).ok());
    let block = OpusBlock {
        data: Arc::from(packet.data),
        samples: packet.samples,
        captured,
        timing: OpusTiming::Live { step },
    };
    if let Err(error) = sink.push_block(block)
        && !std::mem::replace(refused, true)
    {
        tracing::warn!(%error, "received sound is not taken");
    }
}
