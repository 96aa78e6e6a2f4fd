//! From a packet's worth of sound to a packet for each rendition that somebody hears.

use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_codec::{
    Downmix, G711Law, OpusDecoder, OpusError, ResampleError, Resampler, opus_silence,
};
use visavis_types::{AudioCodec, AudioPacket, AudioRendition, AudioRenditionSet, PacketTime};

use super::block::SAMPLE_RATE_HZ;
use super::opus_streams::OpusStreams;
use super::pacer::Slot;
use super::sound::Sound;
use crate::config::SessionConfig;

/// Samples at 48 kHz for one at 8 kHz.
const NARROWING: u64 = (SAMPLE_RATE_HZ / G711Law::SAMPLE_RATE_HZ) as u64;

/// The encoders of one session's sound.
pub(super) struct Encoders {
    opus: OpusStreams,
    opus_silence: Arc<[u8]>,
    mono: Mono,
    narrow: Narrowing,
    decoder: Option<OpusDecoder>,
    /// Reused.
    scratch: Vec<u8>,
    samples: Vec<i16>,
}

/// Makes one channel of two, for those who hear one.
#[derive(Default)]
struct Mono {
    downmix: Downmix,
    /// Reused.
    mixed: Vec<i16>,
}

/// Why a packet was not encoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum AudioEncodeError {
    #[error(transparent)]
    Opus(#[from] OpusError),
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

impl Encoders {
    pub(super) fn new(config: &SessionConfig) -> Result<Self, OpusError> {
        Ok(Self {
            opus: OpusStreams::new(config)?,
            opus_silence: Arc::from(opus_silence(config.packet_time).as_slice()),
            mono: Mono::default(),
            narrow: Narrowing::new(config.packet_time),
            decoder: None,
            scratch: Vec::new(),
            samples: Vec::new(),
        })
    }

    /// Those who lose packets of late: where there are some, what they take is made so that they can repair it.
    pub(super) fn correct(&mut self, lossy: AudioRenditionSet) -> Result<(), AudioEncodeError> {
        Ok(self.opus.correct(!lossy.and(AudioRenditionSet::OPUS).is_empty())?)
    }

    /// Encodes a packet's worth of sound at 48 kHz; `each` gets a packet for each of the renditions, or one for
    /// several where they are the same.
    pub(super) fn encode(
        &mut self,
        slot: &Slot,
        sound: &Sound,
        renditions: AudioRenditionSet,
        mut each: impl FnMut(AudioPacket),
    ) -> Result<(), AudioEncodeError> {
        let opus = renditions.and(AudioRenditionSet::OPUS);
        let narrow = g711_of(renditions);
        let narrows = narrow.clone().next().is_some();
        let needs_mono =
            slot.sound && (narrows || sound.stereo && opus.contains(AudioRendition::Opus));
        let one = if needs_mono || !sound.stereo { self.mono.of(sound) } else { self.mono.skip() };
        if slot.sound {
            self.opus.encode(sound, one, opus, |opus| {
                let (to, data) = (opus.to, Arc::from(opus.data));
                let mut packet = packet(AudioCodec::Opus, to, data, slot, opus.delay);
                packet.talkspurt |= opus.resumes;
                each(packet);
            })?;
        } else {
            let (to, data) = (AudioRenditionSet::OPUS, Arc::clone(&self.opus_silence));
            let mut packet = packet(AudioCodec::Opus, to, data, slot, self.opus.delay());
            packet.talkspurt |= self.opus.silence();
            if !opus.is_empty() {
                each(packet);
            }
        }
        if !narrows {
            self.narrow.reset();
            return Ok(());
        }
        let (samples, delay) = self.narrow.take(slot.sound.then_some(one))?;
        for (codec, law) in narrow {
            self.scratch.clear();
            law.encode(samples, &mut self.scratch);
            each(packet(codec, only(codec), Arc::from(&*self.scratch), slot, delay));
        }
        Ok(())
    }

    /// How many encoders of Opus there are.
    #[cfg(test)]
    pub(super) fn opus_encoders(&self) -> usize {
        self.opus.count()
    }

    /// Passes a packet that the caller has encoded to those who take Opus, whatever its channels: a decoder for one
    /// makes one of two (RFC 7587 §3.4). Others get a translation.
    pub(super) fn pass_on(
        &mut self,
        data: &Arc<[u8]>,
        slot: &Slot,
        renditions: AudioRenditionSet,
        mut each: impl FnMut(AudioPacket),
    ) -> Result<(), AudioEncodeError> {
        if !renditions.and(AudioRenditionSet::OPUS).is_empty() {
            let (to, data) = (AudioRenditionSet::OPUS, Arc::clone(data));
            each(packet(AudioCodec::Opus, to, data, slot, Duration::ZERO));
        }
        let narrow = g711_of(renditions);
        if narrow.clone().next().is_none() {
            self.decoder = None;
            return Ok(());
        }
        let decoder = match self.decoder.take() {
            Some(decoder) => self.decoder.insert(decoder),
            None => self.decoder.insert(OpusDecoder::new(G711Law::SAMPLE_RATE_HZ, 1)?),
        };
        self.samples.clear();
        decoder.decode(data, &mut self.samples)?;
        for (codec, law) in narrow {
            self.scratch.clear();
            law.encode(&self.samples, &mut self.scratch);
            each(packet(codec, only(codec), Arc::from(&*self.scratch), slot, Duration::ZERO));
        }
        Ok(())
    }
}

impl Mono {
    /// The sound on one channel.
    fn of<'a>(&'a mut self, sound: &'a Sound) -> &'a [i16] {
        if !sound.stereo {
            self.downmix.reset();
            return &sound.samples;
        }
        let Self { downmix, mixed } = self;
        mixed.clear();
        let (frames, _) = sound.samples.as_chunks::<2>();
        mixed.extend(frames.iter().map(|&[l, r]| downmix.mix(l, r).round() as i16));
        mixed
    }

    /// Nobody hears it.
    fn skip(&mut self) -> &[i16] {
        self.downmix.reset();
        &[]
    }
}

/// The codecs of a set that are G.711, and their laws.
fn g711_of(renditions: AudioRenditionSet) -> impl Iterator<Item = (AudioCodec, G711Law)> + Clone {
    [(AudioCodec::Pcmu, G711Law::Mu), (AudioCodec::Pcma, G711Law::A)]
        .into_iter()
        .filter(move |(codec, _)| !renditions.and(only(*codec)).is_empty())
}

/// Those who hear a codec on one channel.
fn only(codec: AudioCodec) -> AudioRenditionSet {
    AudioRenditionSet::EMPTY.with(AudioRendition::of(codec, false))
}

/// What a decoder plays at the packet's RTP time is older by `delay` than its first sample.
fn packet(
    codec: AudioCodec,
    renditions: AudioRenditionSet,
    data: Arc<[u8]>,
    slot: &Slot,
    delay: Duration,
) -> AudioPacket {
    let rtp_time = match codec {
        AudioCodec::Opus => slot.rtp_time,
        AudioCodec::Pcmu | AudioCodec::Pcma => slot.rtp_time / NARROWING,
    };
    let captured: Instant = slot.captured.checked_sub(delay).unwrap_or(slot.captured);
    let (rtp_time, talkspurt) = (rtp_time as u32, slot.talkspurt);
    AudioPacket { codec, renditions, data, rtp_time, captured, talkspurt }
}

fn samples_duration(samples: u64, rate: u32) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(rate))
}

/// From 48 to 8 kHz, by packets of one length: a filter gives some more here, some less there.
struct Narrowing {
    packet: usize,
    filter: Option<Resampler>,
    waiting: Vec<i16>,
    taken: Vec<i16>,
    /// Zeros put before the first sample, so that there is always enough.
    padding: usize,
}

impl Narrowing {
    /// More than the filter's output ever differs from the share of its input.
    const SPARE: usize = 2;

    fn new(time: PacketTime) -> Self {
        let packet = time.samples() / NARROWING as usize;
        Self { packet, filter: None, waiting: Vec::new(), taken: Vec::new(), padding: 0 }
    }

    fn reset(&mut self) {
        self.filter = None;
        self.waiting.clear();
    }

    /// A packet of 8 kHz sound and by how much it is late; `None` is silence, after which all begins anew.
    fn take(&mut self, samples: Option<&[i16]>) -> Result<(&[i16], Duration), ResampleError> {
        self.taken.clear();
        if samples.is_none() && self.filter.is_none() {
            self.taken.resize(self.packet, 0);
            return Ok((&self.taken, Duration::ZERO));
        }
        // The last of the sound is still in the filter: the first silence brings it out.
        let silence = vec![0; if samples.is_none() { self.packet * NARROWING as usize } else { 0 }];
        let first = self.filter.is_none();
        let filter = match self.filter.take() {
            Some(filter) => self.filter.insert(filter),
            None => {
                let filter = Resampler::new(SAMPLE_RATE_HZ, 1, G711Law::SAMPLE_RATE_HZ, 1)?;
                self.filter.insert(filter)
            }
        };
        filter.process(samples.unwrap_or(&silence), &mut self.waiting)?;
        if first {
            self.padding = (self.packet + Self::SPARE).saturating_sub(self.waiting.len());
            self.waiting.splice(..0, std::iter::repeat_n(0, self.padding));
        }
        let late = (filter.delay() + self.padding) as u64;
        self.taken.extend(self.waiting.drain(..self.packet.min(self.waiting.len())));
        self.taken.resize(self.packet, 0);
        if samples.is_none() {
            self.reset();
        }
        Ok((&self.taken, samples_duration(late, G711Law::SAMPLE_RATE_HZ)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::OpusSettings;

    const ALL: AudioRenditionSet = AudioRenditionSet::EMPTY
        .with(AudioRendition::Opus)
        .with(AudioRendition::Pcmu)
        .with(AudioRendition::Pcma);

    fn mono(samples: Vec<i16>) -> Sound {
        Sound { samples, stereo: false }
    }

    fn slot(n: u64, start: Instant, sound: bool) -> Slot {
        let captured = start + Duration::from_millis(20 * n as u32 as u64);
        Slot { rtp_time: 5 + n * 960, captured, sound, talkspurt: n == 0 }
    }

    fn tone(n: u64) -> Vec<i16> {
        let wave = |i: u64| (i as f64 / 48_000.0 * 1_000.0 * std::f64::consts::TAU).sin();
        (n * 960..(n + 1) * 960).map(|i| (wave(i) * 10_000.0) as i16).collect()
    }

    #[test]
    fn every_codec_gets_the_tone_at_its_level_and_time() {
        let (mut encoders, start) =
            (Encoders::new(&SessionConfig::default()).unwrap(), Instant::now());
        let mut packets = Vec::new();
        for n in 0..50 {
            let slot = slot(n, start, true);
            encoders.encode(&slot, &mono(tone(n)), ALL, |packet| packets.push(packet)).unwrap();
        }
        for (codec, law) in g711_of(ALL) {
            let of_codec: Vec<_> = packets.iter().filter(|p| p.codec == codec).collect();
            assert_eq!(of_codec.len(), 50);
            assert!(of_codec.iter().all(|p| p.data.len() == 160));
            let steps = of_codec.windows(2).map(|p| p[1].rtp_time - p[0].rtp_time);
            assert!(steps.into_iter().all(|step| step == 160));
            let mut decoded = Vec::new();
            of_codec.iter().for_each(|p| law.decode(&p.data, &mut decoded));
            let middle = &decoded[800..7_200];
            let loudest = middle.iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!((9_700..10_300).contains(&loudest), "{codec}: {loudest}");
            // Where the capture time says that the tone crosses zero, it does.
            let late = start + Duration::from_millis(20 * 25) - of_codec[25].captured;
            let at = 25 * 160 + (late.as_secs_f64() * 8_000.0).round() as usize;
            let crossing =
                (at - 1..=at + 1).find(|&i| decoded[i].abs() < 1_500 && decoded[i + 2] > 9_000);
            assert!(crossing.is_some(), "{codec}: {:?}", &decoded[at - 1..at + 8]);
        }
        let opus = packets.iter().filter(|p| p.codec == AudioCodec::Opus);
        assert!(opus.map(|p| p.rtp_time).eq((0..50).map(|n| 5 + n * 960)));
    }

    #[test]
    fn the_last_of_a_sound_comes_out_before_silence() {
        let (mut encoders, start) =
            (Encoders::new(&SessionConfig::default()).unwrap(), Instant::now());
        let mut decoded = Vec::new();
        for n in 0..8 {
            let samples = if n < 5 { vec![8_000; 960] } else { Vec::new() };
            encoders
                .encode(&slot(n, start, n < 5), &mono(samples), ALL, |p| {
                    if p.codec == AudioCodec::Pcmu {
                        G711Law::Mu.decode(&p.data, &mut decoded);
                    }
                })
                .unwrap();
        }
        let loud = decoded.iter().filter(|&&sample| sample > 4_000).count();
        assert!(loud.abs_diff(5 * 160) <= 1, "{loud} samples");
        assert!(decoded[6 * 160..].iter().all(|&sample| sample == 0));
    }

    #[test]
    fn only_codecs_in_use_are_encoded() {
        let mut encoders = Encoders::new(&SessionConfig::default()).unwrap();
        let only = AudioRenditionSet::EMPTY.with(AudioRendition::Pcma);
        let mut codecs = Vec::new();
        for sound in [true, false, true] {
            let slot = slot(0, Instant::now(), sound);
            encoders
                .encode(&slot, &mono(tone(0)), only, |packet| codecs.push(packet.codec))
                .unwrap();
        }
        assert_eq!(codecs, [AudioCodec::Pcma; 3]);
    }

    #[test]
    fn in_silence_opus_may_rest_and_says_when_it_is_back() {
        let opus = OpusSettings::default().dtx(true);
        let config = SessionConfig { opus, ..SessionConfig::default() };
        let (mut encoders, start) = (Encoders::new(&config).unwrap(), Instant::now());
        let mut sent = Vec::new();
        for n in 0..200 {
            let samples = if n < 150 { vec![0; 960] } else { tone(n) };
            let slot = slot(n, start, true);
            encoders
                .encode(&slot, &mono(samples), ALL, |p| {
                    sent.extend((p.codec == AudioCodec::Opus).then_some((n, p.talkspurt)))
                })
                .unwrap();
        }
        let quiet: Vec<_> = sent.iter().filter(|(n, _)| (50..150).contains(n)).collect();
        assert!(quiet.len() < 20, "{}", quiet.len());
        let loud: Vec<_> = sent.iter().filter(|(n, _)| *n >= 150).collect();
        assert!(loud.len() >= 49 && loud[0].1 && loud[1..].iter().all(|(_, begins)| !begins));
    }

    #[test]
    fn opus_from_the_caller_is_passed_on_and_translated() {
        let (mut source, mut encoders) = (
            Encoders::new(&SessionConfig::default()).unwrap(),
            Encoders::new(&SessionConfig::default()).unwrap(),
        );
        let (start, mut decoded) = (Instant::now(), Vec::new());
        for n in 0..50 {
            let slot = slot(n, start, true);
            let mut made = None;
            let opus = AudioRenditionSet::OPUS;
            let sound = mono(tone(n));
            source.encode(&slot, &sound, opus, |packet| made = Some(packet)).unwrap();
            let (made, mut codecs) = (made.unwrap(), Vec::new());
            encoders
                .pass_on(&made.data, &slot, ALL, |packet| {
                    codecs.push(packet.codec);
                    match packet.codec {
                        AudioCodec::Opus => assert_eq!(packet.data, made.data),
                        AudioCodec::Pcmu => G711Law::Mu.decode(&packet.data, &mut decoded),
                        AudioCodec::Pcma => assert_eq!(packet.data.len(), 160),
                    }
                })
                .unwrap();
            assert_eq!(codecs, AudioCodec::ALL);
        }
        let loudest = decoded[800..].iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((8_500..11_500).contains(&loudest), "{loudest}");
        let damaged = Arc::from([0xff_u8; 40].as_slice());
        assert!(encoders.pass_on(&damaged, &slot(50, start, true), ALL, |_| {}).is_err());
    }
}
