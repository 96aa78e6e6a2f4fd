//! Opus of one channel and of two, each encoded only for whoever is sent it.

use std::time::Duration;

use visavis_codec::{
    Downmix, OPUS_NOTHING_BYTES, OpusApplication, OpusEncoder, OpusEncoderConfig, OpusError,
};
use visavis_types::{AudioRendition, AudioRenditionSet, Bitrate};

use super::block::samples_duration;
use super::sound::Sound;
use crate::config::SessionConfig;

/// How many times the rate of one channel two are given.
const STEREO_BITRATE: u64 = 2;

const TAKES_ONE: AudioRenditionSet = AudioRenditionSet::EMPTY.with(AudioRendition::Opus);
const TAKES_TWO: AudioRenditionSet = AudioRenditionSet::EMPTY.with(AudioRendition::OpusStereo);

/// The Opus encoders of one session: one for one channel, and, while sound of two channels goes to somebody who takes
/// two, one for that. Viewers that take two are sent the first while the sound has one: they go from stream to stream
/// with the sound.
pub(super) struct OpusStreams {
    /// With error correction where there is some now.
    config: OpusEncoderConfig,
    /// Whether there is to be some for those who lose packets.
    may_correct: bool,
    one: OpusEncoder,
    /// It has encoded the sound before.
    one_goes_on: bool,
    two: Option<OpusEncoder>,
    /// The sound before, while somebody takes two channels. An encoder that takes over must know what was heard last:
    /// otherwise it begins from silence, which is a click.
    recent: Sound,
    outlet: Outlet,
}

/// What came of a packet's worth of sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpusPacket<'a> {
    /// Whom it is for.
    pub(super) to: AudioRenditionSet,
    pub(super) data: &'a [u8],
    /// By how much what is decoded is late.
    pub(super) delay: Duration,
    /// Some of them were not sent what was before.
    pub(super) resumes: bool,
}

/// What packets of both go through.
#[derive(Default)]
struct Outlet {
    /// Those whose encoder has begun discontinuous transmission: nothing need be sent, and nothing was since.
    resting: AudioRenditionSet,
    /// Reused.
    packet: Vec<u8>,
}

impl OpusStreams {
    pub(super) fn new(config: &SessionConfig) -> Result<Self, OpusError> {
        let may_correct = config.opus.fec;
        let config = OpusEncoderConfig {
            bitrate: config.audio_bitrate,
            packet_time: config.packet_time,
            settings: config.opus.fec(false),
            ..OpusEncoderConfig::default()
        };
        Ok(Self {
            one: OpusEncoder::new(&config)?,
            may_correct,
            config,
            one_goes_on: true,
            two: None,
            recent: Sound::default(),
            outlet: Outlet::default(),
        })
    }

    /// Some of those who take Opus lose packets, or none does. The error correction takes a part of the bitrate from what is
    /// heard, which costs everybody and helps only them.
    pub(super) fn correct(&mut self, losses: bool) -> Result<(), OpusError> {
        let fec = losses && self.may_correct;
        if self.config.settings.fec != fec {
            self.config.settings.fec = fec;
            self.one.set_fec(fec)?;
            self.two.as_mut().map_or(Ok(()), |two| two.set_fec(fec))?;
        }
        Ok(())
    }

    /// Encodes sound for those in `to`. `one` is the same on one channel, where anybody hears that.
    pub(super) fn encode(
        &mut self,
        sound: &Sound,
        one: &[i16],
        to: AudioRenditionSet,
        mut each: impl FnMut(OpusPacket<'_>),
    ) -> Result<(), OpusError> {
        let (for_one, for_two) = match sound.stereo {
            true => (to.and(TAKES_ONE), to.and(TAKES_TWO)),
            false if to.is_empty() => (to, to),
            false => (AudioRenditionSet::OPUS, AudioRenditionSet::EMPTY),
        };
        if for_two.is_empty() {
            self.two = None;
        } else {
            let mut two = match self.two.take() {
                Some(two) => two,
                None => self.begin_two()?,
            };
            let encoded = self.outlet.encode(&mut two, &sound.samples, for_two, &mut each);
            self.two = Some(two);
            encoded?;
        }
        let goes_on = std::mem::replace(&mut self.one_goes_on, !for_one.is_empty());
        if self.one_goes_on {
            if !goes_on {
                self.begin_one()?;
            }
            self.outlet.encode(&mut self.one, one, for_one, &mut each)?;
        }
        self.recent.begin(sound.stereo);
        if to.contains(AudioRendition::OpusStereo) {
            self.recent.samples.extend(&sound.samples);
        }
        Ok(())
    }

    /// Silence was sent: what comes next begins from there. True where somebody was sent nothing before.
    pub(super) fn silence(&mut self) -> bool {
        self.two = None;
        self.recent.begin(false);
        !std::mem::take(&mut self.outlet.resting).is_empty()
    }

    /// By how much what is decoded is late.
    pub(super) fn delay(&self) -> Duration {
        delay(&self.one)
    }

    /// How many encoders there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        1 + usize::from(self.two.is_some())
    }

    fn begin_two(&mut self) -> Result<OpusEncoder, OpusError> {
        let mut two = OpusEncoder::new(&OpusEncoderConfig {
            channels: 2,
            // A voice by itself has one channel.
            application: OpusApplication::Audio,
            bitrate: Bitrate::from_bps(self.config.bitrate.bps() * STEREO_BITRATE),
            ..self.config
        })?;
        self.recent.widen();
        two.take_over(&self.recent.samples)?;
        Ok(two)
    }

    fn begin_one(&mut self) -> Result<(), OpusError> {
        if self.recent.stereo {
            let mut downmix = Downmix::default();
            let (frames, _) = self.recent.samples.as_chunks::<2>();
            let mixed = frames.iter().map(|&[left, right]| downmix.mix(left, right).round() as i16);
            self.recent = Sound { samples: mixed.collect(), stereo: false };
        }
        self.one.take_over(&self.recent.samples)
    }
}

impl Outlet {
    fn encode(
        &mut self,
        encoder: &mut OpusEncoder,
        samples: &[i16],
        to: AudioRenditionSet,
        each: &mut impl FnMut(OpusPacket<'_>),
    ) -> Result<(), OpusError> {
        self.packet.clear();
        encoder.encode(samples, &mut self.packet)?;
        if self.packet.len() <= OPUS_NOTHING_BYTES {
            self.resting = to.iter().fold(self.resting, AudioRenditionSet::with);
            return Ok(());
        }
        let resumes = !self.resting.and(to).is_empty();
        self.resting = to.iter().fold(self.resting, AudioRenditionSet::without);
        each(OpusPacket { to, data: &self.packet, delay: delay(encoder), resumes });
        Ok(())
    }
}

fn delay(encoder: &OpusEncoder) -> Duration {
    samples_duration(encoder.lookahead().into())
}

#[cfg(test)]
mod tests;
