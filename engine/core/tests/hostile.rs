//! Viewers and strangers that mean no good, in virtual time: what they cost others, and what they get.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Datagram, MS, World, value};
use str0m::ice::{StunMessage, TransId};
use visavis_core::{CloseReason, HubEvent, NegotiateError, Offer, Route};
use visavis_types::{Refusal, VideoCodec};

const H264: VideoCodec = VideoCodec::H264;

/// Whose it is, nobody here knows.
fn elsewhere(port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 9], port))
}

fn sealed(message: StunMessage<'_>, password: &str) -> Vec<u8> {
    let hmac = str0m::crypto::from_feature_flags().sha1_hmac_provider;
    let mut bytes = vec![0; 300];
    let length = message
        .to_bytes(Some(password.as_bytes()), &mut bytes, |key, parts| hmac.sha1_hmac(key, parts))
        .unwrap();
    bytes.truncate(length);
    bytes
}

/// A connectivity check as the viewer itself would make it, or with another password.
fn check(world: &World, viewer: usize, password: Option<&str>) -> Vec<u8> {
    let (offer, answer) = (&world.viewers[viewer].offer, &world.viewers[viewer].answer);
    let user = format!("{}:{}", value(answer, "a=ice-ufrag:"), value(offer, "a=ice-ufrag:"));
    let password = password.unwrap_or_else(|| value(answer, "a=ice-pwd:"));
    // No transaction id of str0m's own: the hub draws from the same generator.
    sealed(StunMessage::binding_request(&user, TransId::new(), true, 1, 1, true), password)
}

fn receive(world: &mut World, from: SocketAddr, contents: &[u8]) {
    let to = world.hub_addr;
    world.hub.receive(world.now, Route::udp(to, from), contents, &mut world.wire);
}

fn refused(world: &World, kind: Refusal) -> u64 {
    world.hub.refusals().get(kind)
}

fn keyframes_wanted(world: &World) -> usize {
    world.events.iter().filter(|event| matches!(event, HubEvent::KeyframeWanted { .. })).count()
}

fn joined(viewers: usize) -> World {
    let mut world = World::new();
    for _ in 0..viewers {
        world.join(None);
    }
    world.run(2_000 * MS);
    assert!(world.viewers.iter().all(|viewer| viewer.connected));
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
    world.run(100 * MS);
    world
}

/// Whether what a viewer sends from its address still reaches its peer: a packet that it misses is sent again.
fn is_repaired(world: &mut World, viewer: usize) -> bool {
    let addr = world.viewers[viewer].addr;
    let mut count = 0;
    world.lose = Box::new(move |datagram| {
        let media = datagram.to == addr && datagram.contents.len() > 400;
        count += usize::from(media);
        media && count == 5
    });
    world.viewers[viewer].packets.clear();
    world.stream(H264, 30);
    world.lose = Box::new(|_| false);
    let mut sequence: Vec<u64> =
        world.viewers[viewer].packets.iter().map(|packet| *packet.seq_no).collect();
    sequence.sort_unstable();
    sequence.dedup();
    sequence.len() == 90
}

fn is_request(datagram: &Datagram) -> bool {
    datagram.contents.starts_with(&[0, 1])
}

#[test]
fn a_candidate_with_the_address_of_another_viewer_takes_nothing_from_him() {
    let mut world = joined(2);
    let victim = world.viewers[1].addr;
    assert!(is_repaired(&mut world, 1), "before anything has happened");
    let candidate =
        format!("candidate:1 1 udp 2130706431 {} {} typ host", victim.ip(), victim.port());
    let attacker = world.viewers[0].id;
    world.hub.add_candidate(attacker, &candidate, world.now, &mut world.wire);
    world.run(3_000 * MS);
    assert!(is_repaired(&mut world, 1));
    world.hub.disconnect(attacker, world.now, &mut world.wire);
    world.run(1_000 * MS);
    assert!(is_repaired(&mut world, 1), "after the other has left");
}

#[test]
fn checks_under_the_address_of_another_viewer_take_nothing_from_him() {
    let mut world = joined(2);
    let victim = world.viewers[1].addr;
    let forged = check(&world, 0, None);
    for _ in 0..200 {
        receive(&mut world, victim, &forged);
        world.run(50 * MS);
    }
    assert!(is_repaired(&mut world, 1));
    assert!(is_repaired(&mut world, 0), "the attacker's own");
}

/// Whoever was there first and only said so gives way to him who answers a check there.
#[test]
fn an_address_claimed_before_its_owner_came_is_his_once_he_answers() {
    let mut world = joined(1);
    let victim = SocketAddr::from(([192, 0, 2, 100], 6_001));
    let forged = check(&world, 0, None);
    for _ in 0..20 {
        receive(&mut world, victim, &forged);
        world.run(50 * MS);
    }
    let newcomer = world.join(None);
    assert_eq!(world.viewers[newcomer].addr, victim);
    for _ in 0..60 {
        receive(&mut world, victim, &forged);
        world.run(50 * MS);
    }
    assert!(world.viewers[newcomer].connected);
    let keyframe = world.frame(H264, true, &[700]);
    world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
    world.run(100 * MS);
    assert!(is_repaired(&mut world, newcomer));
}

#[test]
fn sixteen_candidates_of_a_viewer_are_taken_and_its_own_address_stays() {
    let mut world = joined(1);
    let id = world.viewers[0].id;
    for port in 1..1_000 {
        let candidate = format!("candidate:1 1 udp 2130706431 198.51.100.9 {port} typ host");
        world.hub.add_candidate(id, &candidate, world.now, &mut world.wire);
    }
    // One is its own, from its offer.
    assert_eq!(refused(&world, Refusal::Candidate), 999 - 15);
    world.run(5_000 * MS);
    assert!(is_repaired(&mut world, 0));
}

#[test]
fn valid_checks_from_sixty_thousand_ports_cost_others_nothing() {
    let mut world = joined(1);
    let forged = check(&world, 0, None);
    let newcomer = world.join(None);
    let mut answered = std::collections::BTreeSet::new();
    for port in 1..=60_000_u16 {
        receive(&mut world, elsewhere(port), &forged);
        if port % 20 == 0 {
            let sent =
                world.wire.queue.iter().filter(|datagram| datagram.to.ip() == elsewhere(0).ip());
            answered.extend(sent.map(|datagram| datagram.to.port()));
            world.run(MS);
        }
    }
    assert!(answered.len() <= 16, "{} addresses were answered", answered.len());
    let limited = refused(&world, Refusal::IceCheck) + refused(&world, Refusal::IceSource);
    assert!(limited >= 60_000 - 16, "{limited}");
    assert!(world.viewers[newcomer].connected);
    assert!(is_repaired(&mut world, 0), "its own path is still known");
}

#[test]
fn strangers_with_the_right_user_name_cannot_use_up_what_a_viewer_may_send() {
    let mut world = joined(1);
    let forged = check(&world, 0, Some("guessed"));
    for port in 1..=20_000_u16 {
        receive(&mut world, elsewhere(port), &forged);
        if port % 20 == 0 {
            world.run(MS);
        }
    }
    assert_eq!(refused(&world, Refusal::IceIntegrity), 20_000);
    assert_eq!(refused(&world, Refusal::IceCheck), 0);
    assert!(world.wire.queue.is_empty());
    assert!(is_repaired(&mut world, 0));
}

#[test]
fn a_handshake_with_nobody_is_not_begun() {
    let mut world = joined(1);
    // A ClientHello, as far as anybody looks at it.
    let hello = [&[22, 254, 253][..], &[0; 200]].concat();
    for port in 1..=10_000 {
        receive(&mut world, elsewhere(port), &hello);
    }
    assert!(world.wire.queue.is_empty());
    assert_eq!(refused(&world, Refusal::Datagram), 10_000);
}

/// The viewer answers each check of ours from an address it does not have, after an ICE restart, when the first
/// path that works will do.
#[test]
fn an_answer_from_elsewhere_than_the_check_went_to_brings_no_media_there() {
    let mut world = joined(1);
    let viewer = world.viewers[0].addr;
    world.lose = Box::new(is_request);
    world.restart_ice(0);
    let password = value(&world.viewers[0].offer, "a=ice-pwd:").to_owned();
    let (mut answers, start) = (0, world.now);
    while world.now < start + 20_000 * MS {
        let checks: Vec<_> = world.wire.queue.iter().filter(|sent| is_request(sent)).collect();
        let forged: Vec<_> = checks
            .iter()
            .map(|sent| {
                let id = StunMessage::parse(&sent.contents).unwrap().trans_id();
                sealed(StunMessage::binding_reply(id, sent.from), &password)
            })
            .collect();
        for forged in forged {
            answers += 1;
            receive(&mut world, elsewhere(5), &forged);
        }
        let frame = world.frame(H264, false, &[900]);
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
        let to = |addr: SocketAddr| world.wire.queue.iter().filter(move |sent| sent.to == addr);
        assert_eq!(to(elsewhere(5)).count(), 0);
        assert!(to(viewer).count() > 0, "the old path is good until its consent ends");
        // Nothing is delivered but what is asked for.
        let own = std::mem::take(&mut world.wire.queue);
        world.wire.queue.extend(own.into_iter().filter(|sent| !is_request(sent)));
        let next = world.hub.next_deadline().unwrap().at;
        world.now = world.now.max(next) + 20 * MS;
        world.hub.handle_due(world.now, &mut world.wire);
    }
    assert!(answers > 3, "{answers}");
    assert_eq!(refused(&world, Refusal::IceAnswer), answers);
}

/// RFC 7675: what a viewer sends is no consent to be sent anything.
#[test]
fn media_ends_thirty_seconds_after_the_last_answer_however_many_checks_come() {
    for restarts in [false, true] {
        let mut world = joined(1);
        world.lose = Box::new(is_request);
        if restarts {
            world.restart_ice(0);
        }
        let silent_since = world.now;
        let addr = world.viewers[0].addr;
        let mut last = world.now;
        while world.now < silent_since + Duration::from_secs(60) {
            let frame = world.frame(H264, false, &[900]);
            world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
            let protected = |sent: &Datagram| sent.to == addr && sent.contents[0] > 3;
            if world.wire.queue.iter().any(protected) {
                last = world.now;
            }
            // Between frames only reports leave: they end as well.
            world.wire.turns.clear();
            let before = world.viewers[0].sender_reports.len();
            world.run(100 * MS);
            if world.viewers[0].sender_reports.len() > before {
                last = world.now;
            }
        }
        let lasted = last - silent_since;
        assert!(lasted <= Duration::from_secs(30), "{lasted:?}");
        // A check is sent each three seconds.
        assert!(lasted >= Duration::from_secs(26), "{lasted:?}");
        let left = world
            .events
            .iter()
            .any(|event| matches!(event, HubEvent::Left { reason: CloseReason::Vanished, .. }));
        assert!(left, "restarts: {restarts}");
    }
}

#[test]
fn a_viewer_that_answers_again_gets_media_again() {
    let mut world = joined(1);
    world.lose = Box::new(is_request);
    world.run(35_000 * MS);
    let reached = |world: &mut World, keyframe| {
        let frame = world.frame(H264, keyframe, &[900]);
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire).peers
    };
    assert_eq!(reached(&mut world, true), 0);
    let wanted = keyframes_wanted(&world);
    world.lose = Box::new(|_| false);
    world.run(4_000 * MS);
    assert!(keyframes_wanted(&world) > wanted);
    assert_eq!(reached(&mut world, false), 0, "not before a keyframe");
    assert_eq!(reached(&mut world, true), 1);
}

/// The path that the first restart found is dead when the second comes.
#[test]
fn a_second_ice_restart_does_not_keep_the_path_of_the_first() {
    let mut world = joined(1);
    let addr = world.viewers[0].addr;
    world.restart_ice(0);
    // The viewer answers, and its own checks do not come through: nothing is nominated.
    let hub = world.hub_addr;
    world.bend = Box::new(move |sent| sent.to != hub || !is_request(sent));
    world.run(500 * MS);
    let media_goes_to = |world: &mut World| {
        let keyframe = world.frame(H264, true, &[900]);
        world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire);
        world.wire.queue.iter().rev().find(|sent| sent.contents[0] >= 128).unwrap().to
    };
    assert_eq!(media_goes_to(&mut world), addr);
    // By the next restart it is somewhere else, and only there is a check answered.
    world.bend = Box::new(move |sent| {
        let (from_it, to_it) = (sent.from == addr, sent.to == elsewhere(7));
        let there = sent.to != addr;
        sent.from = if from_it { elsewhere(7) } else { sent.from };
        sent.to = if to_it { addr } else { sent.to };
        there && !(from_it && is_request(sent))
    });
    world.restart_ice(0);
    let candidate = "candidate:9 1 udp 2130706431 198.51.100.9 7 typ host";
    let id = world.viewers[0].id;
    world.hub.add_candidate(id, candidate, world.now, &mut world.wire);
    world.run(2_000 * MS);
    assert_eq!(media_goes_to(&mut world), elsewhere(7));
}

#[test]
fn a_viewer_that_asks_for_keyframes_all_the_time_costs_others_one_in_five_seconds() {
    let mut world = joined(2);
    let before = keyframes_wanted(&world);
    let seconds = 60;
    let mut wanted = before;
    for _ in 0..seconds * 30 {
        world.viewers[0].request_keyframe(world.now, &mut world.wire);
        let now_wanted = keyframes_wanted(&world);
        let frame = world.frame(H264, now_wanted > wanted, &[900]);
        wanted = now_wanted;
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
        world.run(33 * MS);
    }
    let asked = keyframes_wanted(&world) - before;
    assert!((8..=4 + seconds / 5 + 1).contains(&asked), "{asked} keyframes in a minute");
    assert!(refused(&world, Refusal::Keyframe) > 100);

    // Somebody who asks for the first time is heard at once.
    world.viewers[1].request_keyframe(world.now, &mut world.wire);
    world.run(300 * MS);
    assert!(keyframes_wanted(&world) > before + asked);
}

#[test]
fn a_viewer_whose_losses_are_too_old_to_repair_costs_others_one_keyframe_in_five_seconds() {
    let mut world = joined(2);
    let before = keyframes_wanted(&world);
    let (addr, mut sent) = (world.viewers[0].addr, 0);
    // A second and a half of silence, then two frames that say what is missing: nothing of it is kept.
    world.lose = Box::new(move |datagram| {
        let media = datagram.to == addr && datagram.contents.len() > 400;
        sent += usize::from(media);
        media && sent % 141 > 6
    });
    let seconds = 60;
    let mut wanted = before;
    for _ in 0..seconds * 30 {
        let now_wanted = keyframes_wanted(&world);
        let frame = world.frame(H264, now_wanted > wanted, &[900, 900, 500]);
        wanted = now_wanted;
        world.hub.send_frame(world.session, frame, || world.now, &mut world.wire);
        world.run(33 * MS);
    }
    let asked = keyframes_wanted(&world) - before;
    assert!((2..=4 + seconds / 5 + 1).contains(&asked), "{asked} keyframes in a minute");
    assert!(refused(&world, Refusal::Keyframe) > 0);
    world.lose = Box::new(|_| false);
    assert!(is_repaired(&mut world, 1));
}

#[test]
fn a_hundred_ice_restarts_at_once_are_held_back() {
    let mut world = joined(2);
    let id = world.viewers[0].id;
    let mut answered = 0;
    for n in 0..100 {
        let user = format!("a=ice-ufrag:{}", value(&world.viewers[0].offer, "a=ice-ufrag:"));
        let offer = world.viewers[0].offer.replace(&user, &format!("a=ice-ufrag:new{n}"));
        match world
            .hub
            .renegotiate(id, &Offer::parse(&offer).unwrap(), None, world.now, &mut world.wire)
            .unwrap()
        {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error, NegotiateError::TooManyOffers),
        }
    }
    assert_eq!((answered, refused(&world, Refusal::Offer)), (16, 84));
    assert!(is_repaired(&mut world, 1));
}

#[test]
fn feedback_and_microphones_are_limited_before_anybody_decrypts_them() {
    let mut world = joined(1);
    let addr = world.viewers[0].addr;
    let (rtp, rtcp) =
        ([&[0x80, 111][..], &[7; 100]].concat(), [&[0x80, 201][..], &[7; 60]].concat());
    for _ in 0..1_000 {
        for _ in 0..3 {
            receive(&mut world, addr, &rtp);
            receive(&mut world, addr, &rtcp);
        }
        world.run(MS);
    }
    let (rtp, rtcp) = (refused(&world, Refusal::Rtp), refused(&world, Refusal::Rtcp));
    assert!((3_000 - 760..=3_000 - 740).contains(&rtp), "{rtp}");
    assert!((3_000 - 620..=3_000 - 590).contains(&rtcp), "{rtcp}");
}

#[test]
fn handshakes_of_a_connected_viewer_are_limited_and_the_viewer_stays() {
    let mut world = joined(1);
    let addr = world.viewers[0].addr;
    let record = [&[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50, 1][..], &[7; 49]].concat();
    let before = refused(&world, Refusal::Dtls);
    for _ in 0..1_000 {
        for _ in 0..20 {
            receive(&mut world, addr, &record);
        }
        world.run(MS);
    }
    let refused = refused(&world, Refusal::Dtls) - before;
    assert!(refused >= 20_000 / 2, "{refused} of 20,000 were refused");
    assert!(is_repaired(&mut world, 0));
}

#[test]
fn each_restart_has_credentials_of_its_own_in_every_line_that_names_them() {
    let mut world = joined(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let answer = &world.viewers[0].answer;
        let (ufrag, password) = (value(answer, "a=ice-ufrag:"), value(answer, "a=ice-pwd:"));
        // RFC 8445 §5.3 asks for 128 random bits.
        assert_eq!((ufrag.len(), password.len()), (16, 32));
        for line in answer.lines().filter(|line| line.starts_with("a=candidate:")) {
            let named = line.split_once(" ufrag ").map(|(_, named)| named);
            assert!(named.is_none_or(|named| named.starts_with(ufrag)), "{line}");
        }
        assert!(seen.insert(password.to_owned()));
        world.restart_ice(0);
        world.run(1_000 * MS);
        let keyframe = world.frame(H264, true, &[700]);
        assert_eq!(
            world.hub.send_frame(world.session, keyframe, || world.now, &mut world.wire).peers,
            1
        );
    }
    // An offer that restarts nothing keeps them.
    let before = world.viewers[0].answer.clone();
    world.set_video(0, false);
    let after = &world.viewers[0].answer;
    assert_eq!(value(after, "a=ice-pwd:"), value(&before, "a=ice-pwd:"));
    let ufrag = value(after, "a=ice-ufrag:");
    let candidates = after.lines().filter(|line| line.starts_with("a=candidate:"));
    assert!(candidates.clone().count() > 0);
    assert!(
        candidates
            .filter_map(|line| line.split_once(" ufrag "))
            .all(|(_, of)| of.starts_with(ufrag))
    );
}
