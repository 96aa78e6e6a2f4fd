//! What the fan-out allocates is str0m's: the hub around it adds nothing per packet, frame or viewer.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{MS, World};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpWrite};
use str0m::{Candidate, Input, Output, PacerReason, Reason, Rtc};
use visavis_core::{Outbox, PacketizedFrame};
use visavis_types::VideoCodec;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches nothing but a
// thread-local number that needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames sent while allocations settle, and while they are counted.
const WARM_UP: usize = 90;
const FRAMES: usize = 300;
const SIZES: [usize; 9] = [1_080; 9];
const INTERVAL: Duration = Duration::from_millis(33);

/// Keeps what is sent in memory that exists.
struct Tray {
    sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    used: usize,
}

impl Tray {
    fn new() -> Self {
        let empty: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let sent = (0..256).map(|_| (empty, empty, Vec::with_capacity(2_048))).collect();
        Self { sent, used: 0 }
    }
}

impl Outbox for Tray {
    fn transmit(&mut self, from: SocketAddr, to: SocketAddr, contents: &[u8]) {
        let place = &mut self.sent[self.used];
        (place.0, place.1) = (from, to);
        place.2.clear();
        place.2.extend_from_slice(contents);
        self.used += 1;
    }

    fn flush(&mut self) {}
}

/// Allocations per frame and viewer of the hub, with three viewers that answer.
fn of_the_hub() -> f64 {
    let mut world = World::new();
    for _ in 0..3 {
        world.join(None);
    }
    world.run(2_000 * MS);
    let mut tray = Tray::new();
    let mut counted = 0;
    for index in 0..WARM_UP + FRAMES {
        let frame: PacketizedFrame = world.frame(VideoCodec::H264, index == 0, &SIZES);
        let before = ALLOCATIONS.get();
        let reached = world.hub.send_frame(world.session, &frame, world.now, &mut tray);
        counted += if index < WARM_UP { 0 } else { ALLOCATIONS.get() - before };
        assert_eq!(reached, 3);
        for (from, to, contents) in &tray.sent[..tray.used] {
            world.wire.transmit(*from, *to, contents);
        }
        tray.used = 0;
        world.run(INTERVAL);
    }
    counted as f64 / (3 * FRAMES) as f64
}

/// The same of str0m alone, driven in the same way.
fn of_str0m() -> f64 {
    let mut now = Instant::now();
    let [mut sender, mut viewer] = [0, 1].map(|n| {
        let mut extensions = ExtensionMap::empty();
        extensions.set(3, Extension::TransportSequenceNumber);
        extensions.set(4, Extension::RtpMid);
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .set_send_buffer_video(256)
            .set_extension_map(extensions)
            .enable_bwe(Some(str0m::bwe::Bitrate::mbps(3)))
            .build(now);
        let addr = SocketAddr::from(([192, 0, 2, 1 + n], 5_000));
        rtc.add_local_candidate(Candidate::host(addr, "udp").unwrap());
        rtc
    });
    let mut api = viewer.sdp_api();
    let mid = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    let answer = sender.sdp_api().accept_offer(offer).unwrap();
    viewer.sdp_api().accept_answer(pending, answer).unwrap();

    let mut trays = [Tray::new(), Tray::new()];
    for _ in 0..2_000 {
        now += MS;
        exchange(&mut sender, &mut viewer, now, &mut trays);
    }
    assert!(sender.is_connected() && viewer.is_connected());
    let pt = *sender.media(mid).unwrap().remote_pts().first().unwrap();
    let (mut seq, mut counted) = (1, 0);
    for index in 0..WARM_UP + FRAMES {
        let frame = SIZES.map(|size| std::sync::Arc::<[u8]>::from(vec![0x41; size]));
        let before = ALLOCATIONS.get();
        write(&mut sender, (mid, pt), &frame, &mut seq, index as u32 * 3_000, now);
        drain(&mut sender, now, &mut trays[0]);
        counted += if index < WARM_UP { 0 } else { ALLOCATIONS.get() - before };
        assert!(
            trays[0].used >= SIZES.len(),
            "frame {index}: {} of {}",
            trays[0].used,
            SIZES.len()
        );
        for _ in 0..33 {
            exchange(&mut sender, &mut viewer, now, &mut trays);
            now += MS;
        }
    }
    counted as f64 / FRAMES as f64
}

fn write(
    rtc: &mut Rtc,
    (mid, pt): (Mid, Pt),
    frame: &[std::sync::Arc<[u8]>],
    seq: &mut u64,
    rtp_time: u32,
    now: Instant,
) {
    let mut api = rtc.direct_api();
    let stream = api.stream_tx_by_mid(mid, None).unwrap();
    stream.set_unpaced(true);
    for (index, payload) in frame.iter().enumerate() {
        stream.write_rtp(
            RtpWrite::new(pt, (*seq).into(), rtp_time, now, payload.clone())
                .marker(index + 1 == frame.len())
                .nackable(true)
                .ext_vals(ExtensionValues::default()),
        );
        *seq += 1;
    }
    rtc.handle_input(Input::Timeout(now)).unwrap();
}

/// As `visavis_core` drains a peer.
fn drain(rtc: &mut Rtc, now: Instant, tray: &mut Tray) {
    let mut idle = false;
    loop {
        match rtc.poll_output().unwrap() {
            Output::Transmit(t) => {
                idle = false;
                tray.transmit(t.source, t.destination, &t.contents);
            }
            Output::Event(_) => {}
            Output::Timeout(at) => {
                let upkeep = matches!(
                    rtc.last_timeout_reason(),
                    Reason::BweDelayControl
                        | Reason::BweProbeControl
                        | Reason::BweProbeEstimator
                        | Reason::Pacer(PacerReason::Handle | PacerReason::Padding)
                );
                if at > now + MS / 10 || (upkeep && idle) {
                    return;
                }
                idle = true;
                rtc.handle_input(Input::Timeout(at.max(now))).unwrap();
            }
        }
    }
}

/// Time for both, then datagrams to and fro until neither has more to say.
fn exchange(sender: &mut Rtc, viewer: &mut Rtc, now: Instant, trays: &mut [Tray; 2]) {
    let [to_viewer, to_sender] = trays;
    for (rtc, tray) in [(&mut *sender, &mut *to_viewer), (&mut *viewer, &mut *to_sender)] {
        rtc.handle_input(Input::Timeout(now)).unwrap();
        drain(rtc, now, tray);
    }
    while to_viewer.used + to_sender.used > 0 {
        deliver(viewer, now, to_viewer, to_sender);
        deliver(sender, now, to_sender, to_viewer);
    }
}

fn deliver(rtc: &mut Rtc, now: Instant, inbound: &mut Tray, outbound: &mut Tray) {
    for (from, to, contents) in &inbound.sent[..inbound.used] {
        let receive = Receive::new(Protocol::Udp, *from, *to, contents).unwrap();
        rtc.handle_input(Input::Receive(now, receive)).unwrap();
        drain(rtc, now, outbound);
    }
    inbound.used = 0;
}

#[test]
fn the_hub_allocates_nothing_of_its_own_per_packet() {
    let (hub, str0m) = (of_the_hub(), of_str0m());
    // A tenth of an allocation per frame: event queues that grow once in a while.
    assert!(
        hub <= str0m + 0.1,
        "{hub:.2} allocations a frame in the hub, {str0m:.2} in str0m alone"
    );
    assert!(str0m >= 1.0, "nothing was counted: {str0m:.2}");
}
