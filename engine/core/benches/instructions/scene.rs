//! What is counted: a second of a stream to fifty viewers that answer as viewers do.

use std::time::Instant;

use visavis_core::{Hub, PacketizedFrame, SessionKey};
use visavis_types::AudioPacket;

use crate::room::{Act, FRAME_INTERVAL, Room, Tray};

const VIEWERS: usize = 50;

/// A second of frames of 8 KB, with fifty sound packets: whatever happens at intervals, reports of all
/// kinds and ICE checks, is in it as often in every run.
const FRAMES: usize = 30;

/// Before that, in which is found out that the network takes more than is sent.
const SETTLING: usize = 150;

/// Three intervals of frames are five of sound; how many sound packets follow each frame.
const SOUND: [usize; 3] = [2, 2, 1];

/// Viewers times frame intervals.
pub(crate) fn turns() -> usize {
    VIEWERS * FRAMES
}

enum Work<'a> {
    Frame(SessionKey, PacketizedFrame),
    Sound(SessionKey, &'a AudioPacket),
    Act(Act),
}

/// One turn of the hub. Valgrind looks for this name.
#[inline(never)]
fn counted(hub: &mut Hub, work: Work<'_>, now: Instant, tray: &mut Tray) {
    turn(hub, work, now, tray);
}

#[inline(always)]
fn turn(hub: &mut Hub, work: Work<'_>, now: Instant, tray: &mut Tray) {
    match work {
        Work::Frame(session, frame) => {
            assert_eq!(hub.send_frame(session, frame, || now, tray).peers, VIEWERS)
        }
        Work::Sound(session, packet) => {
            assert_eq!(hub.send_audio(session, packet, tray), VIEWERS);
        }
        Work::Act(act) => act.perform(hub, now, tray),
    }
}

pub(crate) fn play() {
    let mut room = Room::new(VIEWERS);
    stream(&mut room, SETTLING, turn);
    stream(&mut room, FRAMES, counted);
}

fn stream(room: &mut Room, frames: usize, turn: fn(&mut Hub, Work<'_>, Instant, &mut Tray)) {
    for index in 0..frames {
        let frame = room.frame(false);
        let Room { world, tray, .. } = room;
        turn(&mut world.hub, Work::Frame(world.session, frame), world.now, tray);
        let sounds = SOUND[index % SOUND.len()];
        for _ in 0..sounds {
            let packet = room.audio();
            let Room { world, tray, .. } = room;
            turn(&mut world.hub, Work::Sound(world.session, &packet), world.now, tray);
            room.pass(FRAME_INTERVAL / sounds as u32, |hub, act, now, tray| {
                turn(hub, Work::Act(act), now, tray);
            });
        }
    }
}
