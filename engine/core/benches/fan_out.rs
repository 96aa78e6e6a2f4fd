//! One frame or sound packet to N viewers, and what comes back from them, without a socket: RTP
//! headers, SRTP and str0m's state are in the figures, system calls are not.
//!
//! Every figure is for all viewers together.
#![allow(clippy::unwrap_used, reason = "a bench that cannot run says so by a panic")]

mod room;

use std::cell::RefCell;

use divan::Bencher;
use divan::counter::ItemsCount;
use room::{Act, FRAME_INTERVAL, Room};
use visavis_core::{PacketizedFrame, Route};
use visavis_types::{AudioPacket, Refusal};

const VIEWERS: [usize; 3] = [1, 50, 200];

fn main() {
    divan::main();
}

/// Time has to pass between two frames, or there is nothing due, nothing acknowledged and, soon,
/// nobody connected: one iteration is one sample, and the viewers answer between samples.
fn measure<T>(
    bencher: Bencher<'_, '_>,
    viewers: usize,
    mut prepare: impl FnMut(&mut Room) -> T,
    mut act: impl FnMut(&mut Room, &T),
) {
    let room = RefCell::new(Room::new(viewers));
    bencher
        .counter(ItemsCount::new(viewers))
        .with_inputs(|| {
            let mut room = room.borrow_mut();
            room.settle(FRAME_INTERVAL);
            prepare(&mut room)
        })
        .bench_local_refs(|input| act(&mut room.borrow_mut(), input));
}

#[divan::bench(args = VIEWERS, sample_size = 1, sample_count = 100)]
fn frame_of_8_kb(bencher: Bencher<'_, '_>, viewers: usize) {
    measure(bencher, viewers, |room| room.frame(false), send_frame);
}

#[divan::bench(args = VIEWERS, sample_size = 1, sample_count = 30)]
fn keyframe_of_67_kb(bencher: Bencher<'_, '_>, viewers: usize) {
    measure(bencher, viewers, |room| room.frame(true), send_frame);
}

#[divan::bench(args = VIEWERS, sample_size = 1, sample_count = 100)]
fn sound(bencher: Bencher<'_, '_>, viewers: usize) {
    measure(bencher, viewers, Room::audio, |room, packet: &AudioPacket| {
        let Room { world, tray, .. } = room;
        world.hub.send_audio(world.session, packet, tray);
    });
}

fn send_frame(room: &mut Room, frame: &PacketizedFrame) {
    let Room { world, tray, .. } = room;
    world.hub.send_frame(world.session, frame.clone(), || world.now, tray);
}

/// Datagrams that name nobody: what the look-up costs, and what a flood of them would.
mod refused {
    use super::*;

    fn refuse(bencher: Bencher<'_, '_>, viewers: usize, datagram: &[u8]) {
        let room = RefCell::new(Room::new(viewers));
        let source = "198.51.100.1:7000".parse().unwrap();
        let route = Route::udp("192.0.2.1:5000".parse().unwrap(), source);
        bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
            let Room { world, tray, .. } = &mut *room.borrow_mut();
            world.hub.receive(world.now, route, divan::black_box(datagram), tray);
        });
        assert!(room.borrow().world.hub.refusals().get(Refusal::Datagram) > 0);
    }

    /// By address.
    #[divan::bench(args = VIEWERS)]
    fn rtcp_from_a_stranger(bencher: Bencher<'_, '_>, viewers: usize) {
        refuse(bencher, viewers, &[0x80; 100]);
    }

    /// By ICE user name, which takes reading the STUN message.
    #[divan::bench(args = VIEWERS)]
    fn check_for_a_stranger(bencher: Bencher<'_, '_>, viewers: usize) {
        // RFC 8489 §5: binding request, 24 bytes of attributes, magic cookie, transaction id; USERNAME.
        let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
        check.extend([7; 12]);
        check.extend([0, 6, 0, 9]);
        check.extend(b"none:none\0\0\0");
        refuse(bencher, viewers, &check);
    }
}

/// What a hundred milliseconds bring back from all viewers: transport feedback, receiver reports.
#[divan::bench(args = VIEWERS, sample_size = 1, sample_count = 30)]
fn feedback_of_100_ms(bencher: Bencher<'_, '_>, viewers: usize) {
    let room = RefCell::new(Room::new(viewers));
    bencher
        .counter(ItemsCount::new(viewers))
        .with_inputs(|| {
            let mut room = room.borrow_mut();
            let mut heard = Vec::new();
            for _ in 0..3 {
                let frame = room.frame(false);
                send_frame(&mut room, &frame);
                room.pass(FRAME_INTERVAL, |hub, act, now, tray| match act {
                    Act::Receive(datagrams) => heard.extend(datagrams),
                    Act::HandleDue => act.perform(hub, now, tray),
                });
            }
            Act::Receive(heard)
        })
        .bench_local_refs(|heard| {
            let Room { world, tray, .. } = &mut *room.borrow_mut();
            heard.perform(&mut world.hub, world.now, tray);
        });
}
