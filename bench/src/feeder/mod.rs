//! Sends the synthetic stream to the server's RTP input, in real time.

mod stream;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) use self::stream::{AUDIO_TYPE, GROUP, VIDEO_TYPE};

use self::stream::{AUDIO_RATE, Audio, FPS, Video};
use crate::Error;
use crate::mark::PushLog;

/// Feeds a server until it is dropped.
#[derive(Debug)]
pub(crate) struct Feeder {
    stop: Arc<AtomicBool>,
    log: Arc<PushLog>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Sends video of about `bits` per second to `video`, with a keyframe in every `group` pictures, and
    /// sound to `audio`.
    ///
    /// # Errors
    ///
    /// When the system gives no sockets.
    pub(crate) fn start(
        video: SocketAddr,
        audio: SocketAddr,
        bits: u32,
        group: usize,
    ) -> Result<Self, Error> {
        let video_socket = connected(video)?;
        let audio_socket = connected(audio)?;
        let stop = Arc::new(AtomicBool::new(false));
        let log = Arc::new(PushLog::default());
        let feed = Feed {
            video_socket,
            audio_socket,
            video: Video::new(bits, group),
            audio: Audio::new(),
            log: Arc::clone(&log),
        };
        let stopped = Arc::clone(&stop);
        let builder = thread::Builder::new().name("feeder".to_owned());
        let thread = builder.spawn(move || feed.run(&stopped))?;
        Ok(Self { stop, log, thread: Some(thread) })
    }

    /// When each frame was pushed.
    pub(crate) fn log(&self) -> Arc<PushLog> {
        Arc::clone(&self.log)
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Feed {
    video_socket: UdpSocket,
    audio_socket: UdpSocket,
    video: Video,
    audio: Audio,
    log: Arc<PushLog>,
}

impl Feed {
    fn run(mut self, stop: &AtomicBool) {
        let started = Instant::now();
        let (mut frames, mut sounds) = (0_u64, 0_u64);
        while !stop.load(Ordering::Relaxed) {
            let frame_due = started + per_second(frames, FPS);
            let sound_due = started + per_second(sounds, AUDIO_RATE);
            let due = frame_due.min(sound_due);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if frame_due <= sound_due {
                self.send_frame();
                frames += 1;
            } else {
                // The owner of the server notices if it is gone.
                let _ = self.audio_socket.send(self.audio.next());
                sounds += 1;
            }
        }
    }

    fn send_frame(&mut self) {
        let counter = self.video.counter();
        let packets = self.video.next();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.log.note(counter, now);
        for packet in packets {
            let _ = self.video_socket.send(packet);
        }
    }
}

fn per_second(count: u64, rate: u32) -> Duration {
    Duration::from_nanos(count * 1_000_000_000 / u64::from(rate))
}

fn connected(to: SocketAddr) -> Result<UdpSocket, Error> {
    let any = if to.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::find_mark;

    #[test]
    fn sends_both_streams_and_notes_each_push() {
        let video = UdpSocket::bind("127.0.0.1:0").unwrap();
        let audio = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let feeder =
            Feeder::start(video.local_addr().unwrap(), audio.local_addr().unwrap(), 1_000_000, 60)
                .unwrap();
        let mut buffer = [0; 2_000];
        let mut counters = Vec::new();
        while counters.len() < 5 {
            let length = video.recv(&mut buffer).unwrap();
            counters.extend(find_mark(&buffer[12..length]));
        }
        assert_eq!(counters, [0, 1, 2, 3, 4]);
        let pushed: Vec<_> = (0..5).map(|counter| feeder.log().pushed(counter).unwrap()).collect();
        assert!(pushed[0] >= before);
        assert!(pushed.is_sorted());
        assert_eq!(audio.recv(&mut buffer).unwrap(), 132);
    }
}
