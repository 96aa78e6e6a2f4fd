//! YUV4MPEG2 (Y4M): raw pictures behind one line of text, with a WAV file of the same name for sound.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use visavis::video::{FrameSize, PixelFormat};

use super::clip::{AudioInfo, Clip, OpenError, VideoInfo, broken, unreadable};
use super::wav::{self, WavSound};
use crate::{Picture, Pool, SourceError};

/// No line of a Y4M file is longer.
const MAX_LINE: u64 = 1_024;

/// The parameters of the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    pub fps: (u32, u32),
    /// Luma alone.
    mono: bool,
}

impl Header {
    /// Parses the first line, without its end.
    pub(super) fn parse(line: &str) -> Result<Self, OpenError> {
        let failed = |reason: &str| OpenError::Unsupported(reason.to_owned());
        let mut words = line.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(failed("is no Y4M"));
        }
        let (mut width, mut height, mut fps, mut colors) = (0, 0, (30, 1), "420");
        for word in words.filter(|w| !w.is_empty()) {
            let (key, value) = word.split_at_checked(1).unwrap_or((word, ""));
            match key {
                "W" => width = value.parse().unwrap_or(0),
                "H" => height = value.parse().unwrap_or(0),
                "F" => fps = parse_rate(value).ok_or_else(|| failed("has no frame rate"))?,
                "C" => colors = value,
                "I" if !matches!(value, "p" | "?" | "") => {
                    return Err(failed("is an interlaced Y4M"));
                }
                _ => {}
            }
        }
        let mono = match colors {
            "420" | "420jpeg" | "420mpeg2" | "420paldv" => false,
            "mono" => true,
            other => return Err(OpenError::Unsupported(format!("is a Y4M of colours {other}"))),
        };
        let even = |side: u32| side & !1;
        if FrameSize::new(even(width), even(height)).is_err() {
            let reason = format!("is a Y4M of {width}x{height}; sides must be from 16 to 4096");
            return Err(OpenError::Unsupported(reason));
        }
        Ok(Self { width, height, fps, mono })
    }

    /// When picture number `index` is due.
    fn pts(&self, index: u64) -> Duration {
        let (count, per) = self.fps;
        let nanos = u128::from(index) * u128::from(per) * 1_000_000_000 / u128::from(count);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A rate such as `30000:1001` or `25/1`; both numbers positive, between 1 and 1,000 a second.
pub(super) fn parse_rate(text: &str) -> Option<(u32, u32)> {
    let (count, per) = text.split_once([':', '/'])?;
    let (count, per): (u32, u32) = (count.parse().ok()?, per.parse().ok()?);
    let sane = per > 0 && (1.0..=1_000.0).contains(&(f64::from(count) / f64::from(per)));
    sane.then_some((count, per))
}

/// Pictures out of a Y4M stream.
pub(super) struct Reader<R> {
    inner: R,
    header: Header,
    /// Pictures read.
    count: u64,
    /// A picture as it is in the stream, where its sides are odd.
    raw: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line. The error completes a sentence, or is that of the operating system.
    pub(super) fn new(mut inner: R) -> std::io::Result<Result<Self, OpenError>> {
        let line = read_line(&mut inner)?;
        let header = Header::parse(&line.unwrap_or_default());
        Ok(header.map(|header| Self { inner, header, count: 0, raw: Vec::new() }))
    }

    /// Size and rate, the sides made even.
    pub(super) fn info(&self) -> VideoInfo {
        let Header { width, height, fps, .. } = self.header;
        VideoInfo {
            width: width & !1,
            height: height & !1,
            fps: f64::from(fps.0) / f64::from(fps.1),
        }
    }

    /// When the last picture read ends.
    pub(super) fn end(&self) -> Duration {
        self.header.pts(self.count)
    }

    /// The next picture; `None` where the stream ends.
    pub(super) fn picture(&mut self, pool: &Pool) -> std::io::Result<Option<Picture>> {
        match read_line(&mut self.inner)? {
            None => return Ok(None),
            Some(line) if line.starts_with("FRAME") => {}
            Some(_) => return Err(std::io::Error::other("a picture does not begin with FRAME")),
        }
        let (width, height) = (self.header.width as usize, self.header.height as usize);
        let (even_width, even_height) = (width & !1, height & !1);
        let luma = even_width * even_height;
        let mut data = pool.take(luma + luma / 2);
        let (y, chroma) = data.split_at_mut(luma);
        let (u, v) = chroma.split_at_mut(luma / 4);
        self.plane(y, (width, height), (even_width, even_height))?;
        for plane in [u, v] {
            if self.header.mono {
                plane.fill(128);
            } else {
                let there = (width.div_ceil(2), height.div_ceil(2));
                self.plane(plane, there, (even_width / 2, even_height / 2))?;
            }
        }
        let pts = self.header.pts(self.count);
        self.count += 1;
        let (width, height) = (even_width as u32, even_height as u32);
        Ok(Some(Picture { pts, width, height, format: PixelFormat::I420, data }))
    }

    /// Reads a plane and keeps its upper left part.
    fn plane(
        &mut self,
        out: &mut [u8],
        there: (usize, usize),
        wanted: (usize, usize),
    ) -> std::io::Result<()> {
        if there == wanted {
            return self.inner.read_exact(out);
        }
        self.raw.resize(there.0 * there.1, 0);
        self.inner.read_exact(&mut self.raw)?;
        for (to, from) in out.chunks_exact_mut(wanted.0).zip(self.raw.chunks_exact(there.0)) {
            to.copy_from_slice(from.get(..wanted.0).unwrap_or_default());
        }
        Ok(())
    }
}

/// A line without its end; `None` at the end of the stream.
fn read_line(inner: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    inner.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// A Y4M file and the WAV file beside it.
pub(super) struct Y4mClip {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    sound: Option<WavSound>,
}

/// Opens a Y4M file.
pub(super) fn open(path: &Path) -> Result<Y4mClip, OpenError> {
    let sound = wav::beside(path).map(|wav| WavSound::open(&wav)).transpose()?;
    Ok(Y4mClip { reader: start(path)?, path: path.to_owned(), sound })
}

fn start(path: &Path) -> Result<Reader<BufReader<File>>, OpenError> {
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    Reader::new(BufReader::with_capacity(1 << 20, file)).map_err(|e| at_end(path, e))?
}

fn at_end(path: &Path, error: std::io::Error) -> SourceError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => broken(path, "the file ends too early"),
        std::io::ErrorKind::Other => broken(path, error.to_string()),
        _ => unreadable(path, error),
    }
}

impl Clip for Y4mClip {
    fn video(&self) -> VideoInfo {
        self.reader.info()
    }

    fn audio(&self) -> Option<AudioInfo> {
        self.sound.as_ref().map(WavSound::info)
    }

    fn picture(&mut self, pool: &Pool) -> Result<Option<Picture>, SourceError> {
        self.reader.picture(pool).map_err(|e| at_end(&self.path, e))
    }

    fn sound(&mut self, out: &mut Vec<i16>) -> Result<bool, SourceError> {
        self.sound.as_mut().map_or(Ok(false), |sound| sound.read(out))
    }

    fn video_end(&self) -> Duration {
        self.reader.end()
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        let back = self.reader.inner.seek(SeekFrom::Start(0));
        back.and_then(|_| read_line(&mut self.reader.inner)).map_err(|e| at_end(&self.path, e))?;
        self.reader.count = 0;
        self.sound.as_mut().map_or(Ok(()), WavSound::rewind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_parse() {
        let header =
            Header::parse("YUV4MPEG2 W640 H361 F30000:1001 Ip A1:1 C420jpeg XFOO").unwrap();
        assert_eq!((header.width, header.height, header.fps), (640, 361, (30_000, 1_001)));
        assert_eq!(header.pts(30), Duration::from_millis(1_001));
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        for bad in [
            "",
            "RIFF",
            "YUV4MPEG2",
            "YUV4MPEG2 W640",
            "YUV4MPEG2 W-4 H4",
            "YUV4MPEG2 W8 H8 F25:1",
            "YUV4MPEG2 W99999 H64 F25:1",
            "YUV4MPEG2 W640 H360 F0:0",
            "YUV4MPEG2 W640 H360 F25:0",
            "YUV4MPEG2 W640 H360 F25:1 C444",
            "YUV4MPEG2 W640 H360 F25:1 C420p10",
            "YUV4MPEG2 W640 H360 F25:1 It",
            "YUV4MPEG2 W640 H360 Fé",
        ] {
            assert!(Header::parse(bad).is_err(), "{bad:?}");
        }
    }

    fn stream(width: usize, height: usize, pictures: u8) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W{width} H{height} F25:1 C420jpeg\n").into_bytes();
        for picture in 0..pictures {
            bytes.extend(b"FRAME Ip\n");
            bytes.extend((0..width * height).map(|i| (i % width) as u8 + picture));
            bytes.extend(vec![7; 2 * width.div_ceil(2) * height.div_ceil(2)]);
        }
        bytes
    }

    #[test]
    fn odd_sides_lose_a_row_and_a_column() {
        let bytes = stream(17, 19, 2);
        let mut reader = Reader::new(&bytes[..]).unwrap().unwrap();
        let pool = Pool::new(1);
        let first = reader.picture(&pool).unwrap().unwrap();
        assert_eq!((first.width, first.height, first.data.len()), (16, 18, 16 * 18 * 3 / 2));
        assert_eq!(first.data[16], 0, "each row starts at the left edge");
        let second = reader.picture(&pool).unwrap().unwrap();
        assert_eq!((second.pts, second.data[0]), (Duration::from_millis(40), 1));
        assert!(reader.picture(&pool).unwrap().is_none());
        assert_eq!(reader.end(), Duration::from_millis(80));
    }

    #[test]
    fn a_stream_cut_anywhere_is_an_error_or_an_end() {
        let bytes = stream(16, 16, 2);
        let pool = Pool::new(1);
        for cut in 0..bytes.len() {
            let Ok(Ok(mut reader)) = Reader::new(&bytes[..cut]) else { continue };
            while let Ok(Some(_)) = reader.picture(&pool) {}
        }
        let mut reader = Reader::new(&bytes[..bytes.len() - 1]).unwrap().unwrap();
        assert!(reader.picture(&pool).unwrap().is_some());
        assert!(reader.picture(&pool).is_err());
    }
}
