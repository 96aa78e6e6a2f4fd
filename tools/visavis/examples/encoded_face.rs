//! The demo face with its speech, encoded once, as RTP: `visavis-bench weather` feeds the naive str0m loop with it.
//!
//! `cargo run -p visavis-cli --release --example encoded_face -- 127.0.0.1:5004 127.0.0.1:5006`
//!
//! Video goes to the first address: H264 at 1,500 kbit/s, 512x512 at 30 fps, the time of the push in a strip at the
//! bottom. Sound goes to the second: Opus. Whoever sends a picture loss indication back gets a keyframe. Prints a line of
//! JSON when it has begun.

use std::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crossbeam_channel::bounded;
use visavis::audio::AudioChunk;
use visavis::units::UnixMillis;
use visavis::video::VideoFrame;
use visavis_bitstream::h264::{FU_A, TYPE_MASK, nal_units};
use visavis_cli::source::demo::Demo;
use visavis_cli::source::demo::portrait::SIDE;
use visavis_cli::source::pacer::{Pacer, Sink};
use visavis_codec::{ColorMatrix, Encoders, OpusEncoder, OpusEncoderConfig, Resampler, convert};
use visavis_types::encoder::{FrameControl, VideoEncoder, VideoEncoderConfig};
use visavis_types::{Bitrate, FrameSize, I420Buffer, PacketTime, VideoCodec};

const FPS: u32 = 30;

/// What `visavis serve` encodes for, unless it is told otherwise.
const BITRATE: Bitrate = Bitrate::from_kbps(1_500);

/// RTP payloads are no longer than this.
const PAYLOAD_BYTES: usize = 1_200;

/// Payload-specific feedback, and its format that is a picture loss indication (RFC 4585 §6.3).
const FEEDBACK: u8 = 206;
const PICTURE_LOSS: u8 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || arguments.next().ok_or("where to? Two addresses, of video and of sound");
    let (video, sound) = (address()?.parse()?, address()?.parse()?);
    let sink = Rtp { pictures: Pictures::new(video)?, sound: Sound::new(sound)? };
    let (failed, failure) = bounded(1);
    let _pacer = Pacer::start(Box::new(Demo::new(FPS)?), sink, true, failed)?;
    let mut out = io::stdout();
    writeln!(out, r#"{{"ready":true}}"#)?;
    out.flush()?;
    Err(failure.recv()?.into())
}

struct Rtp {
    pictures: Pictures,
    sound: Sound,
}

impl Sink for Rtp {
    fn picture(&mut self, picture: &VideoFrame<'_>) -> Result<(), String> {
        self.pictures.send(picture).map_err(|error| error.to_string())
    }

    fn sound(&mut self, sound: &AudioChunk<'_>) -> Result<(), String> {
        self.sound.send(sound).map_err(|error| error.to_string())
    }
}

struct Pictures {
    stream: Stream,
    encoder: Box<dyn VideoEncoder>,
    planes: I420Buffer,
    unit: Vec<u8>,
}

impl Pictures {
    fn new(to: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let size = FrameSize::new(SIDE, SIDE)?;
        let config = VideoEncoderConfig::new(size, FPS, BITRATE);
        Ok(Self {
            stream: Stream::new(to, 96, 90)?,
            encoder: Encoders::software().make(VideoCodec::H264, &config)?,
            planes: I420Buffer::new(size),
            unit: Vec::new(),
        })
    }

    fn send(&mut self, picture: &VideoFrame<'_>) -> Result<(), Box<dyn Error>> {
        let size = picture.validate()?;
        let matrix = ColorMatrix::for_stream(VideoCodec::H264, size);
        convert(picture.data, picture.format, size, matrix, &mut self.planes)?;
        let control = FrameControl::at(Duration::from_millis(picture.timestamp.0))
            .keyframe(self.stream.is_picture_lost());
        self.unit.clear();
        self.encoder.encode(&(&self.planes).into(), &control, &mut self.unit)?;
        let mut payloads = nal_units(&self.unit).flat_map(payloads).peekable();
        while let Some(payload) = payloads.next() {
            let last = payloads.peek().is_none();
            self.stream.send(picture.timestamp, last, &payload)?;
        }
        Ok(())
    }
}

struct Sound {
    stream: Stream,
    encoder: OpusEncoder,
    resampler: Option<Resampler>,
    samples: Vec<i16>,
    packet: Vec<u8>,
}

impl Sound {
    fn new(to: SocketAddr) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            stream: Stream::new(to, 97, 48)?,
            encoder: OpusEncoder::new(&OpusEncoderConfig::default())?,
            resampler: None,
            samples: Vec::new(),
            packet: Vec::new(),
        })
    }

    fn send(&mut self, chunk: &AudioChunk<'_>) -> Result<(), Box<dyn Error>> {
        let (bytes, _) = chunk.data.as_chunks::<2>();
        let samples: Vec<i16> = bytes.iter().map(|two| i16::from_le_bytes(*two)).collect();
        let resampler = match &mut self.resampler {
            Some(resampler) => resampler,
            none => none.insert(Resampler::new(chunk.sample_rate, chunk.channels, 48_000, 1)?),
        };
        resampler.process(&samples, &mut self.samples)?;
        // The resampler keeps some samples back at first.
        let whole = PacketTime::default().samples();
        if self.samples.len() < whole {
            return Ok(());
        }
        self.packet.clear();
        let frame: Vec<i16> = self.samples.drain(..whole).collect();
        self.encoder.encode(&frame, &mut self.packet)?;
        Ok(self.stream.send(chunk.timestamp, false, &self.packet)?)
    }
}

/// A stream of RTP packets.
struct Stream {
    socket: UdpSocket,
    payload_type: u8,
    ticks_per_ms: u64,
    sequence: u16,
    began: Option<UnixMillis>,
}

impl Stream {
    fn new(to: SocketAddr, payload_type: u8, ticks_per_ms: u64) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, payload_type, ticks_per_ms, sequence: 0, began: None })
    }

    fn send(&mut self, at: UnixMillis, marker: bool, payload: &[u8]) -> io::Result<()> {
        let began = self.began.get_or_insert(at);
        let time = (at.0.saturating_sub(began.0) * self.ticks_per_ms) as u32;
        let mut packet = vec![0x80, u8::from(marker) << 7 | self.payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend(u32::from(self.payload_type).to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&packet).map(drop)
    }

    /// Whether the receiver has asked for a keyframe since the last call.
    fn is_picture_lost(&self) -> bool {
        let (mut lost, mut buffer) = (false, [0; 100]);
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let head = buffer.get(..length.min(2)).unwrap_or_default();
            lost |= matches!(head, [first, FEEDBACK] if first & 0x1f == PICTURE_LOSS);
        }
        lost
    }
}

/// The payloads of a NAL unit (RFC 6184 §5.6 and §5.8).
fn payloads(nal: &[u8]) -> Vec<Vec<u8>> {
    let Some((&header, body)) = nal.split_first().filter(|_| nal.len() > PAYLOAD_BYTES) else {
        return vec![nal.to_vec()];
    };
    let pieces = body.chunks(PAYLOAD_BYTES - 2);
    let last = pieces.len().saturating_sub(1);
    let fragment = |(n, piece): (usize, &[u8])| {
        let edges = u8::from(n == 0) << 7 | u8::from(n == last) << 6;
        [&[header & !TYPE_MASK | FU_A, edges | header & TYPE_MASK], piece].concat()
    };
    pieces.enumerate().map(fragment).collect()
}
