//! Once it flows, a stream to many viewers allocates nothing: not per packet, not per frame.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{MS, World};
use visavis_core::{Outbox, PacketizedFrame, Route};
use visavis_types::VideoCodec;

/// Frames sent while allocations settle, and while they are counted.
const WARM_UP: usize = 90;
const FRAMES: usize = 300;
const SIZES: [usize; 9] = [1_080; 9];
const INTERVAL: Duration = Duration::from_millis(33);

/// Keeps what is sent in memory that exists.
struct Tray {
    sent: Vec<(Route, Vec<u8>)>,
    used: usize,
}

impl Tray {
    fn new() -> Self {
        let empty: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let sent =
            (0..256).map(|_| (Route::udp(empty, empty), Vec::with_capacity(2_048))).collect();
        Self { sent, used: 0 }
    }
}

impl Outbox for Tray {
    fn datagram(&mut self, route: &Route, len: usize) -> &mut [u8] {
        let place = &mut self.sent[self.used];
        place.0 = *route;
        place.1.resize(len, 0);
        self.used += 1;
        &mut place.1
    }

    fn flush(&mut self) {}
}

/// Allocations of the hub in [`FRAMES`] frames to three viewers that answer.
fn of_the_hub() -> u64 {
    let mut world = World::new();
    for _ in 0..3 {
        world.join(None);
    }
    world.run(2_000 * MS);
    let mut tray = Tray::new();
    let mut counted = 0;
    for index in 0..WARM_UP + FRAMES {
        let frame: PacketizedFrame = world.frame(VideoCodec::H264, index == 0, &SIZES);
        let World { hub, session, now, .. } = &mut world;
        let in_frame = allocation_counter::measure(|| {
            assert_eq!(hub.send_frame(*session, frame, || *now, &mut tray).peers, 3);
        });
        counted += if index < WARM_UP { 0 } else { in_frame.count_total };
        for (route, contents) in &tray.sent[..tray.used] {
            world.wire.datagram(route, contents.len()).copy_from_slice(contents);
        }
        tray.used = 0;
        world.run(INTERVAL);
    }
    counted
}

#[test]
fn the_hub_allocates_nothing_per_packet_frame_or_viewer() {
    assert_eq!(of_the_hub(), 0, "allocations in {FRAMES} frames");
}
