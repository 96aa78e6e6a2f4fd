//! Sound that begins or ends in its midst: a wave that stops there, or starts there, is a click.

use super::sound::Sound;

/// How long a fade takes: 5 ms.
pub(super) const FADE_SAMPLES: usize = 240;

/// Follows what is sent, and knows how to go on where there is no more of it.
#[derive(Debug, Default)]
pub(super) struct Fader {
    /// The last samples sent.
    tail: Sound,
    /// What was sent last ended with a fade: what comes next begins with one.
    broken_off: bool,
}

impl Fader {
    /// Notes what is sent.
    pub(super) fn follow(&mut self, sent: &Sound) {
        let Self { tail, .. } = self;
        if sent.frames() >= FADE_SAMPLES {
            tail.begin(sent.stereo);
        } else if sent.stereo {
            tail.widen();
        }
        let channels = 1 << usize::from(tail.stereo);
        let last = sent.samples.len().saturating_sub(FADE_SAMPLES << usize::from(sent.stereo));
        match tail.stereo && !sent.stereo {
            true => tail.samples.extend(sent.samples[last..].iter().flat_map(|&s| [s; 2])),
            false => tail.samples.extend(&sent.samples[last..]),
        }
        tail.samples.drain(..tail.samples.len().saturating_sub(FADE_SAMPLES * channels));
    }

    /// Where sound broke off, lets the next that follows it come up from nothing.
    pub(super) fn begin(&mut self, packet: &mut Sound, talkspurt: bool) {
        if !std::mem::take(&mut self.broken_off) || talkspurt {
            return;
        }
        let frames = packet.samples.chunks_mut(1 << usize::from(packet.stereo));
        for (step, frame) in (0..).zip(frames.take(FADE_SAMPLES)) {
            scale(frame, step, FADE_SAMPLES);
        }
    }

    /// Where sound breaks off, its last samples follow backwards, ever softer, as far as there is room in a packet
    /// of `length` samples on each channel.
    pub(super) fn break_off(&mut self, packet: &mut Sound, length: usize) {
        if self.tail.stereo {
            packet.widen();
        } else if packet.stereo {
            self.tail.widen();
        }
        let steps = self.tail.frames().min(length.saturating_sub(packet.frames()));
        let back = self.tail.samples.rchunks(1 << usize::from(self.tail.stereo)).take(steps);
        for (step, frame) in (1..).zip(back) {
            let start = packet.samples.len();
            packet.samples.extend(frame);
            scale(&mut packet.samples[start..], steps - step, steps);
        }
        self.broken_off = true;
        self.tail.begin(false);
    }
}

/// Makes sound ever softer to its end.
pub(super) fn fade(sound: &mut Sound) {
    let steps = sound.frames();
    for (step, frame) in (0..).zip(sound.samples.chunks_mut(1 << usize::from(sound.stereo))) {
        scale(frame, steps - step, steps);
    }
}

/// So many parts of so many.
fn scale(samples: &mut [i16], part: usize, of: usize) {
    for sample in samples {
        *sample = (i32::from(*sample) * part as i32 / of.max(1) as i32) as i16;
    }
}
