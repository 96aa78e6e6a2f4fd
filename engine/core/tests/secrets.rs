//! What is not to be told. A process of its own: where other threads come to a place that logs while a subscriber is set
//! for this one, `tracing` may take it that nobody listens there.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::{Arc, Mutex};

use common::{MS, World, value};

/// What is logged, at every level, by whatever crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_password_is_logged_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let mut secrets = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        let mut world = World::new();
        world.join_with(|config| config, &["chat"]);
        let note = |world: &World, secrets: &mut Vec<String>| {
            let viewer = &world.viewers[0];
            let both =
                [&viewer.answer, &viewer.offer].map(|sdp| value(sdp, "a=ice-pwd:").to_owned());
            secrets.extend(both);
        };
        note(&world, &mut secrets);
        world.run(2_000 * MS);
        assert!(world.viewers[0].connected);
        world.restart_ice(0);
        note(&world, &mut secrets);
        world.run(2_000 * MS);
        let candidate = "candidate:9 1 udp 2130706431 198.51.100.9 7 typ host";
        let id = world.viewers[0].id;
        world.hub.add_candidate(id, candidate, world.now, &mut world.wire);
        world.run(2_000 * MS);
    });
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.contains("TRACE is::"), "nothing was logged");
    for secret in secrets {
        let line = logged.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None);
    }
}
