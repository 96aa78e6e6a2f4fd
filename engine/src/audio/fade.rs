//! Sound that begins or ends in its midst: a wave that stops there, or starts there, is a click.

/// How long a fade takes: 5 ms.
pub(super) const FADE_SAMPLES: usize = 240;

/// Follows what is sent, and knows how to go on where there is no more of it.
#[derive(Debug, Default)]
pub(super) struct Fader {
    /// The last samples sent.
    tail: Vec<i16>,
    /// What was sent last ended with a fade: what comes next begins with one.
    broken_off: bool,
}

impl Fader {
    /// Notes what is sent.
    pub(super) fn follow(&mut self, sent: &[i16]) {
        self.tail.extend(&sent[sent.len().saturating_sub(FADE_SAMPLES)..]);
        self.tail.drain(..self.tail.len().saturating_sub(FADE_SAMPLES));
    }

    /// Where sound broke off, lets the next that follows it come up from nothing.
    pub(super) fn begin(&mut self, packet: &mut [i16], talkspurt: bool) {
        if !std::mem::take(&mut self.broken_off) || talkspurt {
            return;
        }
        for (step, sample) in (0..).zip(packet.iter_mut().take(FADE_SAMPLES)) {
            *sample = scaled(*sample, step, FADE_SAMPLES);
        }
    }

    /// Where sound breaks off, its last samples follow backwards, ever softer, as far as there is room in a packet
    /// of `length` samples.
    pub(super) fn break_off(&mut self, packet: &mut Vec<i16>, length: usize) {
        let steps = self.tail.len().min(length.saturating_sub(packet.len()));
        let back = self.tail.iter().rev().take(steps);
        packet.extend((1..).zip(back).map(|(step, &sample)| scaled(sample, steps - step, steps)));
        self.broken_off = true;
        self.tail.clear();
    }
}

/// The beginning of some sound, ever softer to its end.
pub(super) fn fading(sound: impl Iterator<Item = i16>) -> Vec<i16> {
    let mut faded: Vec<i16> = sound.take(FADE_SAMPLES).collect();
    let steps = faded.len();
    for (step, sample) in (0..).zip(&mut faded) {
        *sample = scaled(*sample, steps - step, steps);
    }
    faded
}

/// So many parts of so many.
fn scaled(sample: i16, part: usize, of: usize) -> i16 {
    (i32::from(sample) * part as i32 / of.max(1) as i32) as i16
}
