//! A viewer who asks for keyframes all the time, and for packets of which it loses most.

use std::time::Duration;

use super::Attack;
use crate::siege::field::{Field, stranger};
use crate::siege::ground::Ground;
use crate::siege::metrics::metric;
use crate::siege::peer::{Peer, PeerOptions};

const KEYFRAMES: &str = "visavis_keyframes_total{session=\"default\"}";

pub(super) struct Feedback;

impl Attack for Feedback {
    fn name(&self) -> &'static str {
        "feedback"
    }

    fn about(&self) -> &'static str {
        "a viewer loses 60 of 100 packets, asks for each of them, and for keyframes 200 times a second"
    }

    fn ground(&self) -> Ground {
        Ground::Echo
    }

    fn run(&self, field: &Field) {
        let before = metric(field.tcp, KEYFRAMES);
        let length = field.left().as_secs_f64();
        field.crew(1, |_| {
            let mut peer =
                Peer::connect(field, stranger(40), PeerOptions { speaks: false, loses: 60 })?;
            field.paced(200, |due| {
                peer.ask_for_keyframe();
                field.sent(due);
                peer.work(Duration::from_millis(3));
                Ok(())
            })
        });
        if let (Some(before), Some(after)) = (before, metric(field.tcp, KEYFRAMES)) {
            field.note(format!("{:.1} keyframes a second for all", (after - before) / length));
        }
    }
}
