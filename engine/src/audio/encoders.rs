//! From a packet's worth of samples to a packet for each codec that somebody hears.

use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_codec::{
    G711Law, OPUS_NOTHING_BYTES, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusError,
    ResampleError, Resampler, opus_silence,
};
use visavis_types::{AudioCodec, AudioCodecSet, AudioPacket, PacketTime};

use super::SAMPLE_RATE_HZ;
use super::pacer::Slot;
use crate::SessionConfig;

/// Samples at 48 kHz for one at 8 kHz.
const NARROWING: u64 = (SAMPLE_RATE_HZ / G711Law::SAMPLE_RATE_HZ) as u64;

/// The encoders of one session's sound.
pub(super) struct Encoders {
    opus: OpusEncoder,
    opus_delay: Duration,
    opus_silence: Arc<[u8]>,
    /// Opus has said that nothing need be sent, and nothing was since.
    resting: bool,
    narrow: Narrowing,
    decoder: Option<OpusDecoder>,
    /// Reused.
    scratch: Vec<u8>,
    samples: Vec<i16>,
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
        let opus = OpusEncoder::new(&OpusEncoderConfig {
            bitrate: config.audio_bitrate,
            packet_time: config.packet_time,
            settings: config.opus,
            ..OpusEncoderConfig::default()
        })?;
        Ok(Self {
            opus_delay: samples_duration(opus.lookahead().into(), SAMPLE_RATE_HZ),
            opus,
            opus_silence: Arc::from(opus_silence(config.packet_time).as_slice()),
            resting: false,
            narrow: Narrowing::new(config.packet_time),
            decoder: None,
            scratch: Vec::new(),
            samples: Vec::new(),
        })
    }

    /// Encodes a packet's worth of samples at 48 kHz; `each` gets a packet for each of the codecs.
    pub(super) fn encode(
        &mut self,
        slot: &Slot,
        samples: &[i16],
        codecs: AudioCodecSet,
        mut each: impl FnMut(AudioPacket),
    ) -> Result<(), AudioEncodeError> {
        if codecs.contains(AudioCodec::Opus) {
            self.encode_opus(slot, samples)?.into_iter().for_each(&mut each);
        }
        let narrow = g711_of(codecs);
        if narrow.clone().next().is_none() {
            self.narrow.reset();
            return Ok(());
        }
        let (samples, delay) = self.narrow.take(slot.sound.then_some(samples))?;
        for (codec, law) in narrow {
            self.scratch.clear();
            law.encode(samples, &mut self.scratch);
            each(packet(codec, Arc::from(&*self.scratch), slot, delay));
        }
        Ok(())
    }

    /// `None` where nothing need be sent.
    fn encode_opus(
        &mut self,
        slot: &Slot,
        samples: &[i16],
    ) -> Result<Option<AudioPacket>, OpusError> {
        let data = if slot.sound {
            self.scratch.clear();
            self.opus.encode(samples, &mut self.scratch)?;
            if self.scratch.len() <= OPUS_NOTHING_BYTES {
                self.resting = true;
                return Ok(None);
            }
            Arc::from(&*self.scratch)
        } else {
            Arc::clone(&self.opus_silence)
        };
        let mut packet = packet(AudioCodec::Opus, data, slot, self.opus_delay);
        packet.talkspurt |= std::mem::take(&mut self.resting);
        Ok(Some(packet))
    }

    /// Passes a packet that the caller has encoded to those who take Opus, and a translation to the others.
    pub(super) fn pass_on(
        &mut self,
        data: &Arc<[u8]>,
        slot: &Slot,
        codecs: AudioCodecSet,
        mut each: impl FnMut(AudioPacket),
    ) -> Result<(), AudioEncodeError> {
        if codecs.contains(AudioCodec::Opus) {
            each(packet(AudioCodec::Opus, Arc::clone(data), slot, Duration::ZERO));
        }
        let narrow = g711_of(codecs);
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
            each(packet(codec, Arc::from(&*self.scratch), slot, Duration::ZERO));
        }
        Ok(())
    }
}

/// The codecs of a set that are G.711, and their laws.
fn g711_of(codecs: AudioCodecSet) -> impl Iterator<Item = (AudioCodec, G711Law)> + Clone {
    [(AudioCodec::Pcmu, G711Law::Mu), (AudioCodec::Pcma, G711Law::A)]
        .into_iter()
        .filter(move |(codec, _)| codecs.contains(*codec))
}

/// What a decoder plays at the packet's RTP time is older by `delay` than its first sample.
fn packet(codec: AudioCodec, data: Arc<[u8]>, slot: &Slot, delay: Duration) -> AudioPacket {
    let rtp_time = match codec {
        AudioCodec::Opus => slot.rtp_time,
        AudioCodec::Pcmu | AudioCodec::Pcma => slot.rtp_time / NARROWING,
    };
    let captured: Instant = slot.captured.checked_sub(delay).unwrap_or(slot.captured);
    AudioPacket { codec, data, rtp_time: rtp_time as u32, captured, talkspurt: slot.talkspurt }
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
        let Some(samples) = samples else {
            self.reset();
            self.taken.resize(self.packet, 0);
            return Ok((&self.taken, Duration::ZERO));
        };
        let first = self.filter.is_none();
        let filter = match self.filter.take() {
            Some(filter) => self.filter.insert(filter),
            None => {
                let filter = Resampler::new(SAMPLE_RATE_HZ, 1, G711Law::SAMPLE_RATE_HZ, 1)?;
                self.filter.insert(filter)
            }
        };
        filter.process(samples, &mut self.waiting)?;
        if first {
            self.padding = (self.packet + Self::SPARE).saturating_sub(self.waiting.len());
            self.waiting.splice(..0, std::iter::repeat_n(0, self.padding));
        }
        let late = (filter.delay() + self.padding) as u64;
        self.taken.extend(self.waiting.drain(..self.packet.min(self.waiting.len())));
        self.taken.resize(self.packet, 0);
        Ok((&self.taken, samples_duration(late, G711Law::SAMPLE_RATE_HZ)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::OpusSettings;

    const ALL: AudioCodecSet =
        AudioCodecSet::EMPTY.with(AudioCodec::Opus).with(AudioCodec::Pcmu).with(AudioCodec::Pcma);

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
            encoders.encode(&slot, &tone(n), ALL, |packet| packets.push(packet)).unwrap();
        }
        for (codec, law) in g711_of(ALL) {
            let of_codec: Vec<_> = packets.iter().filter(|p| p.codec == codec).collect();
            assert_eq!(of_codec.len(), 50);
            assert!(of_codec.iter().all(|p| p.data.len() == 160));
            let steps = of_codec.windows(2).map(|p| p[1].rtp_time - p[0].rtp_time);
            assert!(steps.into_iter().all(|step| step == 160));
            let mut heard = Vec::new();
            of_codec.iter().for_each(|p| law.decode(&p.data, &mut heard));
            let middle = &heard[800..7_200];
            let loudest = middle.iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!((9_700..10_300).contains(&loudest), "{codec}: {loudest}");
            // Where the capture time says that the tone crosses zero, it does.
            let late = start + Duration::from_millis(20 * 25) - of_codec[25].captured;
            let at = 25 * 160 + (late.as_secs_f64() * 8_000.0).round() as usize;
            let crossing =
                (at - 1..=at + 1).find(|&i| heard[i].abs() < 1_500 && heard[i + 2] > 9_000);
            assert!(crossing.is_some(), "{codec}: {:?}", &heard[at - 1..at + 8]);
        }
        let opus = packets.iter().filter(|p| p.codec == AudioCodec::Opus);
        assert!(opus.map(|p| p.rtp_time).eq((0..50).map(|n| 5 + n * 960)));
    }

    #[test]
    fn only_codecs_in_use_are_encoded() {
        let mut encoders = Encoders::new(&SessionConfig::default()).unwrap();
        let only = AudioCodecSet::EMPTY.with(AudioCodec::Pcma);
        let mut codecs = Vec::new();
        for sound in [true, false, true] {
            let slot = slot(0, Instant::now(), sound);
            encoders.encode(&slot, &tone(0), only, |packet| codecs.push(packet.codec)).unwrap();
        }
        assert_eq!(codecs, [AudioCodec::Pcma; 3]);
    }

    #[test]
    fn in_silence_opus_may_rest_and_says_when_it_is_back() {
        let opus = OpusSettings { dtx: true, ..OpusSettings::default() };
        let config = SessionConfig { opus, ..SessionConfig::default() };
        let (mut encoders, start) = (Encoders::new(&config).unwrap(), Instant::now());
        let mut sent = Vec::new();
        for n in 0..200 {
            let samples = if n < 150 { vec![0; 960] } else { tone(n) };
            let slot = slot(n, start, true);
            encoders
                .encode(&slot, &samples, ALL, |p| {
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
        let (start, mut heard) = (Instant::now(), Vec::new());
        for n in 0..50 {
            let slot = slot(n, start, true);
            let made = source.encode_opus(&slot, &tone(n)).unwrap().unwrap();
            let mut codecs = Vec::new();
            encoders
                .pass_on(&made.data, &slot, ALL, |packet| {
                    codecs.push(packet.codec);
                    match packet.codec {
                        AudioCodec::Opus => assert_eq!(packet.data, made.data),
                        AudioCodec::Pcmu => G711Law::Mu.decode(&packet.data, &mut heard),
                        AudioCodec::Pcma => assert_eq!(packet.data.len(), 160),
                    }
                })
                .unwrap();
            assert_eq!(codecs, AudioCodec::ALL);
        }
        let loudest = heard[800..].iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!((8_500..11_500).contains(&loudest), "{loudest}");
        let damaged = Arc::from([0xff_u8; 40].as_slice());
        assert!(encoders.pass_on(&damaged, &slot(50, start, true), ALL, |_| {}).is_err());
    }
}
