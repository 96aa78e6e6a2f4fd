//! Files of every other kind, decoded by the program `ffmpeg`: one process gives pictures as Y4M, one
//! gives sound at 48 kHz, on one channel or two, both on the clock of the file.

use std::ffi::OsString;
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::clip::{AudioInfo, Clip, OpenError, VideoInfo, Wanted};
use super::wav;
use super::y4m::{Reader, parse_rate};
use crate::{Picture, Pool, SourceError};

/// How long before the end of a round the processes of the next are started.
const HEAD_START: Duration = Duration::from_secs(2);
const RATE_HZ: u32 = 48_000;

/// A file read through `ffmpeg`.
pub(super) struct FfmpegClip {
    input: Input,
    info: VideoInfo,
    round: Round,
    next_round: Option<Round>,
}

/// What is known of the file.
struct Input {
    path: PathBuf,
    /// The file with the sound, which may be another.
    sound: Option<PathBuf>,
    /// Of the sound: 1 or 2. More are mixed to two, but one is not made two, which would make it quieter.
    channels: u16,
    fps: (u32, u32),
    length: Option<Duration>,
    /// The matrix that ffmpeg assumes for pictures without one, and the one they are tagged with.
    matrices: (&'static str, &'static str),
}

/// One pass through the file.
struct Round {
    pictures: Reader<BufReader<ChildStdout>>,
    sound: Option<BufReader<ChildStdout>>,
    _processes: Vec<Process>,
}

/// A child that does not outlive its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; waiting collects it either way.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl FfmpegClip {
    /// Probes the file with `ffprobe` and starts `ffmpeg`. `reason`: why ffmpeg is needed, for errors.
    pub(super) fn open(path: &Path, reason: &str, wanted: Wanted) -> Result<Self, SourceError> {
        let input = Input::probe(path, reason, wanted)?;
        let round = input.start()?;
        let info = round.pictures.info();
        Ok(Self { input, info, round, next_round: None })
    }
}

fn failed(path: &Path, reason: impl Into<String>) -> SourceError {
    SourceError::Ffmpeg { path: path.display().to_string(), reason: reason.into() }
}

/// A file name that is never taken for a protocol or an option.
fn url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

fn cannot_start(path: &Path, reason: &str, error: &std::io::Error) -> SourceError {
    if error.kind() == ErrorKind::NotFound {
        return SourceError::NeedsFfmpeg {
            path: path.display().to_string(),
            reason: reason.to_owned(),
        };
    }
    failed(path, format!("it cannot be started: {error}"))
}

/// The matrix that pictures have and the one that goes with the size they are shown in, as ffmpeg calls them.
fn matrices(video: &serde_json::Value) -> (&'static str, &'static str) {
    let side = |name: &str| video[name].as_u64().unwrap_or(0);
    let turned = video["side_data_list"]
        .as_array()
        .and_then(|list| list.iter().find_map(|data| data["rotation"].as_i64()))
        .is_some_and(|degrees| degrees.rem_euclid(180) == 90);
    let rows = if turned { side("width") } else { side("height") };
    let wanted = if rows >= 720 { "bt709" } else { "bt601" };
    let is_said = video["color_space"].as_str().is_some_and(|space| space != "unknown");
    (if is_said { "auto" } else { wanted }, wanted)
}

impl Input {
    fn probe(path: &Path, reason: &str, wanted: Wanted) -> Result<Self, SourceError> {
        let entries = "stream=codec_type,avg_frame_rate,width,height,color_space,channels\
                       :stream_side_data=rotation:format=format_name,duration";
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", entries, "-of", "json"])
            .arg(url(path))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| cannot_start(path, reason, &e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it is not media").to_owned();
            return Err(failed(path, last));
        }
        let found: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|e| failed(path, e.to_string()))?;
        let format = found["format"]["format_name"].as_str().unwrap_or_default();
        if format.contains("image2") || format.ends_with("_pipe") {
            return Err(failed(path, "it is a still picture; a video is needed"));
        }
        let streams = found["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_type = |kind: &str| streams.iter().find(|s| s["codec_type"] == kind);
        let Some(video) = of_type("video") else {
            return Err(failed(path, "it has no pictures"));
        };
        let fps = video["avg_frame_rate"].as_str().and_then(parse_rate).unwrap_or((30, 1));
        let sound = match wanted {
            Wanted::All => of_type("audio").map(|_| path.to_owned()).or_else(|| wav::beside(path)),
            Wanted::Pictures => None,
        };
        let channels = match of_type("audio").and_then(|audio| audio["channels"].as_u64()) {
            Some(1) => 1,
            _ => 2,
        };
        let seconds = found["format"]["duration"].as_str().and_then(|s| s.parse::<f64>().ok());
        Ok(Self {
            path: path.to_owned(),
            sound,
            channels,
            fps,
            length: seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()),
            matrices: matrices(video),
        })
    }

    /// Starts a pass.
    fn start(&self) -> Result<Round, SourceError> {
        let (count, per) = self.fps;
        let (said, wanted) = self.matrices;
        // Whole pictures where there are fields; a constant rate that starts at zero; square pixels; sides
        // made even; limited range in the matrix of the size.
        let filter = format!(
            "bwdif=mode=send_frame:deint=interlaced,fps=fps={count}/{per}:start_time=0,\
             scale=w=trunc(iw*if(sar\\,sar\\,1)/2)*2:h=trunc(ih/2)*2:in_color_matrix={said}\
             :out_color_matrix={wanted}:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,\
             setsar=1,format=yuv420p"
        );
        let y4m = ["-map", "0:v:0", "-vf", &filter, "-f", "yuv4mpegpipe", "-strict", "-1"];
        let (process, pictures) = self.spawn(&self.path, &y4m)?;
        let mut processes = vec![process];
        let mut sound = None;
        if let Some(path) = &self.sound {
            let resample = "aresample=async=1:first_pts=0";
            let channels = self.channels.to_string();
            let rate = RATE_HZ.to_string();
            let pcm = ["-map", "0:a:0", "-af", resample, "-f", "s16le"];
            let pcm = [&pcm[..], &["-ac", &channels, "-ar", &rate]].concat();
            let (process, output) = self.spawn(path, &pcm)?;
            processes.push(process);
            sound = Some(BufReader::new(output));
        }
        let pictures = BufReader::with_capacity(1 << 20, pictures);
        let pictures = match Reader::new(pictures) {
            Ok(Ok(pictures)) => pictures,
            Ok(Err(OpenError::Unsupported(reason))) => return Err(failed(&self.path, reason)),
            Ok(Err(OpenError::Failed(error))) => return Err(error),
            Err(error) => return Err(failed(&self.path, error.to_string())),
        };
        Ok(Round { pictures, sound, _processes: processes })
    }

    fn spawn(&self, path: &Path, output: &[&str]) -> Result<(Process, ChildStdout), SourceError> {
        let mut child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "quiet", "-i"])
            .arg(url(path))
            .args(output)
            .arg("pipe:1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for this program alone, which then ends its children itself.
            .process_group(0)
            .spawn()
            .map_err(|e| cannot_start(path, "has to be decoded", &e))?;
        let stdout = child.stdout.take();
        let process = Process(child);
        let stdout = stdout.ok_or_else(|| failed(path, "it has no output"))?;
        Ok((process, stdout))
    }
}

impl Clip for FfmpegClip {
    fn video(&self) -> VideoInfo {
        self.info
    }

    fn audio(&self) -> Option<AudioInfo> {
        let channels = self.input.channels;
        self.input.sound.as_ref().map(|_| AudioInfo { rate_hz: RATE_HZ, channels })
    }

    fn picture(&mut self, pool: &Pool) -> Result<Option<Picture>, SourceError> {
        let near_end = |length: Duration| self.round.pictures.end() + HEAD_START > length;
        if self.next_round.is_none() && self.input.length.is_some_and(near_end) {
            self.next_round = Some(self.input.start()?);
        }
        let picture = self.round.pictures.picture(pool);
        picture.map_err(|e| failed(&self.input.path, e.to_string()))
    }

    fn sound(&mut self, out: &mut Vec<i16>) -> Result<bool, SourceError> {
        let Some(sound) = &mut self.round.sound else { return Ok(false) };
        // 20 ms.
        let wanted = RATE_HZ as usize / 50 * usize::from(self.input.channels) * 2;
        let mut bytes = Vec::with_capacity(wanted);
        let read = sound.by_ref().take(wanted as u64).read_to_end(&mut bytes);
        read.map_err(|e| failed(&self.input.path, e.to_string()))?;
        let frame = usize::from(self.input.channels) * 2;
        let whole = bytes.chunks_exact(frame).flat_map(|frame| frame.chunks_exact(2));
        out.extend(whole.filter_map(|s| s.first_chunk().copied().map(i16::from_le_bytes)));
        Ok(bytes.len() == wanted)
    }

    fn video_end(&self) -> Duration {
        self.round.pictures.end()
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        self.round = match self.next_round.take() {
            Some(round) => round,
            None => self.input.start()?,
        };
        Ok(())
    }
}
