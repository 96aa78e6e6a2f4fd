//! The readers against files made by ffmpeg, and against damaged ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::clip::AudioInfo;
use super::*;
use crate::{Item, Pool, Sound};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn ffmpeg(arguments: &[&str], output: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(output)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
}

/// What ffprobe counts in one stream of a file.
fn probe(path: &Path, stream: &str, entry: &str) -> f64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-count_frames", "-show_entries"])
        .args([&format!("stream={entry}"), "-of", "csv=p=0"])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?}"))
}

/// One pass through a clip: times of the pictures with their mean luma, and all of the sound.
fn read(clip: &mut dyn Clip) -> (Vec<(Duration, f64)>, Vec<i16>) {
    let pool = Pool::new(4);
    let mut pictures = Vec::new();
    while let Some(picture) = clip.picture(&pool).unwrap() {
        let luma = &picture.data[..(picture.width * picture.height) as usize];
        let mean = luma.iter().map(|&y| f64::from(y)).sum::<f64>() / luma.len() as f64;
        pictures.push((picture.pts, mean));
        pool.give(picture.data);
    }
    let mut sound = Vec::new();
    while clip.sound(&mut sound).unwrap() {}
    (pictures, sound)
}

fn mp4(path: &Path) -> mp4::Mp4Clip {
    mp4::Mp4Clip::open(path, Wanted::All).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()))
}

/// Where in time pictures turn bright, and where sound begins after silence.
fn flashes_and_clicks(
    pictures: &[(Duration, f64)],
    sound: &[i16],
    AudioInfo { rate_hz, channels }: AudioInfo,
) -> (Vec<f64>, Vec<f64>) {
    let bright = |&(_, luma): &(Duration, f64)| luma > 120.0;
    let flashes = pictures.windows(2).filter(|w| !bright(&w[0]) && bright(&w[1]));
    let flashes = flashes.map(|w| w[1].0.as_secs_f64()).collect();
    let mut clicks: Vec<f64> = Vec::new();
    for (i, frame) in sound.chunks_exact(channels.into()).enumerate() {
        let at = i as f64 / f64::from(rate_hz);
        if frame[0].abs() > 3_000 && clicks.last().is_none_or(|last| at - last > 0.3) {
            clicks.push(at);
        }
    }
    (flashes, clicks)
}

fn assert_in_sync(flashes: &[f64], clicks: &[f64], count: usize) {
    assert_eq!((flashes.len(), clicks.len()), (count, count), "{flashes:?} {clicks:?}");
    for (flash, click) in flashes.iter().zip(clicks) {
        // A flash can begin only where a frame does.
        let off = (flash - click).abs();
        assert!(off <= 0.001 + 1.0 / 30.0, "flash at {flash}, click at {click}");
    }
}

#[test]
fn the_sync_fixture_is_read_in_full_and_in_sync() {
    let path = fixture("sync.mp4");
    let mut clip = mp4(&path);
    let video = clip.video();
    assert_eq!((video.width, video.height), (640, 360));
    assert!((video.fps - 30.0).abs() < 0.01);
    let info = clip.audio().unwrap();
    let (pictures, sound) = read(&mut clip);
    assert_eq!(pictures.len() as f64, probe(&path, "v:0", "nb_read_frames"));
    assert!(pictures.windows(2).all(|w| w[0].0 < w[1].0));
    assert_eq!(pictures[0].0, Duration::ZERO);
    assert_eq!(clip.video_end(), Duration::from_secs(10));
    let seconds = sound.len() as f64 / f64::from(info.channels) / f64::from(info.rate_hz);
    let probed = probe(&path, "a:0", "duration");
    assert!((seconds - probed).abs() < 0.03, "{seconds} {probed}");

    let (flashes, clicks) = flashes_and_clicks(&pictures, &sound, info);
    assert_in_sync(&flashes, &clicks, 10);
    // Priming left in would put clicks 21 ms late, which a frame's tolerance hides.
    for (n, click) in clicks.iter().enumerate() {
        assert!((click - (n as f64 + 0.5)).abs() < 0.002, "click at {click}");
    }
}

#[test]
fn a_second_pass_is_like_the_first() {
    let mut clip = mp4(&fixture("sync.mp4"));
    let first = read(&mut clip);
    clip.rewind().unwrap();
    assert!(read(&mut clip) == first);
}

#[test]
fn a_late_start_of_one_track_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("late.mp4");
    // Sound a second and a quarter later than the file has it.
    let sync = fixture("sync.mp4");
    let sync = sync.to_str().unwrap();
    let arguments = ["-i", sync, "-itsoffset", "1.25", "-i", sync, "-map", "0:v", "-map", "1:a"];
    ffmpeg(&[&arguments[..], &["-c", "copy", "-t", "4"]].concat(), &path);
    let mut clip = mp4(&path);
    let info = clip.audio().unwrap();
    let (pictures, sound) = read(&mut clip);
    let (flashes, clicks) = flashes_and_clicks(&pictures, &sound, info);
    assert!((clicks[0] - flashes[0] - 1.25).abs() < 0.035, "{flashes:?} {clicks:?}");
}

#[test]
fn opus_in_mp4_is_in_sync_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("opus.mp4");
    let sync = fixture("sync.mp4");
    let codecs = ["-t", "3", "-c:v", "copy", "-c:a", "libopus", "-strict", "-2"];
    ffmpeg(&[&["-i", sync.to_str().unwrap()][..], &codecs].concat(), &path);
    let mut clip = mp4(&path);
    let info = clip.audio().unwrap();
    assert_eq!(info.rate_hz, 48_000);
    let (pictures, sound) = read(&mut clip);
    let (flashes, clicks) = flashes_and_clicks(&pictures, &sound, info);
    assert_in_sync(&flashes, &clicks, 3);
    assert!((clicks[0] - 0.5).abs() < 0.005, "{clicks:?}");
}

#[test]
fn variable_frame_rates_keep_their_times() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vfr.mp4");
    // Of every four frames of 40 ms, the second and third are missing.
    let arguments = [
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=64x64:r=25:d=2",
        "-vf",
        "select='not(between(mod(n,4),1,2))'",
        "-fps_mode",
        "vfr",
        "-pix_fmt",
        "yuv420p",
    ];
    ffmpeg(&arguments, &path);
    let (pictures, _) = read(&mut mp4(&path));
    let steps: Vec<u64> =
        pictures.windows(2).map(|w| ((w[1].0 - w[0].0).as_micros() as u64 + 500) / 1_000).collect();
    assert!(steps.len() >= 20, "{steps:?}");
    assert!(steps.chunks(2).all(|s| s[0] == 120 && s.get(1).is_none_or(|&s| s == 40)), "{steps:?}");
}

/// Plays some seconds of a source.
fn play(source: &mut dyn Source, until: Duration) -> (Vec<(Duration, f64)>, Vec<Sound>) {
    let pool = Pool::new(4);
    let (mut pictures, mut sounds) = (Vec::new(), Vec::new());
    let mut now = Duration::ZERO;
    while now < until {
        let item = source.next(&pool).unwrap();
        assert!(item.pts() >= now, "{:?} after {now:?}", item.pts());
        now = item.pts();
        match item {
            Item::Picture(picture) => {
                let luma = &picture.data[..(picture.width * picture.height) as usize];
                let mean = luma.iter().map(|&y| f64::from(y)).sum::<f64>() / luma.len() as f64;
                pictures.push((picture.pts, mean));
                pool.give(picture.data);
            }
            Item::Sound(sound) => sounds.push(sound),
        }
    }
    (pictures, sounds)
}

fn assert_continuous(sounds: &[Sound]) {
    for (n, sound) in sounds.iter().enumerate() {
        assert_eq!(sound.pts, Duration::from_millis(20) * n as u32);
    }
}

#[test]
fn a_loop_goes_on_in_time_and_stays_in_sync() {
    let mut source = open(&fixture("sync.mp4")).unwrap();
    let (pictures, sounds) = play(&mut *source, Duration::from_millis(24_300));
    assert_continuous(&sounds);
    let longest = pictures.windows(2).map(|w| w[1].0 - w[0].0).max().unwrap();
    assert!(longest < Duration::from_millis(60), "{longest:?}");
    let info = AudioInfo { rate_hz: sounds[0].rate_hz, channels: sounds[0].channels };
    let sound: Vec<i16> = sounds.iter().flat_map(|s| s.samples.iter().copied()).collect();
    let (flashes, clicks) = flashes_and_clicks(&pictures, &sound, info);
    assert_in_sync(&flashes, &clicks, 24);
}

fn write_y4m(path: &Path, pictures: u8) {
    let mut bytes = b"YUV4MPEG2 W64 H32 F10:1 C420jpeg\n".to_vec();
    for picture in 0..pictures {
        bytes.extend(b"FRAME\n");
        bytes.extend([16 + picture; 64 * 32]);
        bytes.extend([128; 64 * 32 / 2]);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn y4m_with_a_shorter_and_a_longer_wav_loops() {
    for (sound_ms, round_ms) in [(130u32, 300u64), (500, 500)] {
        let dir = tempfile::tempdir().unwrap();
        write_y4m(&dir.path().join("a.y4m"), 3);
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(dir.path().join("a.wav"), spec).unwrap();
        (0..sound_ms * 16).for_each(|_| wav.write_sample(1_000i16).unwrap());
        wav.finalize().unwrap();

        let mut source = open(&dir.path().join("a.y4m")).unwrap();
        let (pictures, sounds) = play(&mut *source, Duration::from_secs(2));
        assert_continuous(&sounds);
        let samples: Vec<i16> = sounds.into_iter().flat_map(|s| s.samples).collect();
        let starts: Vec<_> =
            pictures.iter().filter(|(_, luma)| *luma == 16.0).map(|(pts, _)| *pts).collect();
        for (round, &start) in starts.iter().enumerate() {
            let expected = Duration::from_millis(round_ms) * round as u32;
            let off = start.abs_diff(expected);
            assert!(off <= Duration::from_millis(20) * round as u32, "{start:?} {expected:?}");
            // The sound of a round begins with its first picture, to the sample.
            let first = (start.as_nanos() * 16_000).div_ceil(1_000_000_000) as usize;
            if let Some(piece) = samples.get(first..first + 100) {
                assert!(piece.iter().all(|&s| s == 1_000), "round {round}");
            }
        }
    }
}

#[test]
fn a_single_picture_plays_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("still.y4m");
    write_y4m(&path, 1);
    let mut source = open(&path).unwrap();
    let (pictures, _) = play(&mut *source, Duration::from_secs(1));
    assert_eq!(pictures.len(), 11);
    assert_eq!(pictures[10].0, Duration::from_secs(1));
}

#[test]
fn other_formats_go_through_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mkv");
    let codecs = ["-t", "3", "-c:v", "mpeg4", "-q:v", "4", "-c:a", "flac"];
    ffmpeg(&[&["-i", fixture("sync.mp4").to_str().unwrap()][..], &codecs].concat(), &path);
    let mut source = open(&path).unwrap();
    assert_eq!((source.info().width, source.info().height), (640, 360));
    let (pictures, sounds) = play(&mut *source, Duration::from_millis(7_300));
    assert_continuous(&sounds);
    let info = AudioInfo { rate_hz: 48_000, channels: 1 };
    let sound: Vec<i16> = sounds.into_iter().flat_map(|s| s.samples).collect();
    let (flashes, clicks) = flashes_and_clicks(&pictures, &sound, info);
    assert_in_sync(&flashes, &clicks, 7);
}

#[test]
fn missing_empty_and_foreign_files_are_clear_errors() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: Option<&[u8]>| {
        let path = dir.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let Err(error) = open(&path) else { panic!("{name} opened") };
        let text = error.to_string();
        assert!(text.contains(name), "{text}");
        text
    };
    assert!(refused("missing.mp4", None).contains("cannot read"));
    assert!(refused("empty.mp4", Some(b"")).contains("empty"));
    refused("garbage.mp4", Some(&[0xa7; 5_000]));
    refused("text.txt", Some(b"hello"));
    refused("head.mp4", Some(b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2"));
    refused("cut.y4m", Some(b"YUV4MPEG2 W64 H32"));
}

/// Opens and plays what can be played. That nothing panics is the point.
fn survives(bytes: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    std::fs::write(&path, bytes).unwrap();
    let Ok(mut clip) = mp4::Mp4Clip::open(&path, Wanted::All) else { return false };
    let pool = Pool::new(4);
    let mut sound = Vec::new();
    for _ in 0..12 {
        match clip.picture(&pool) {
            Ok(Some(picture)) => pool.give(picture.data),
            _ => break,
        }
    }
    for _ in 0..20 {
        sound.clear();
        if !clip.sound(&mut sound).unwrap_or(false) {
            break;
        }
    }
    true
}

#[test]
fn a_cut_off_mp4_is_an_error_or_ends_early() {
    let whole = std::fs::read(fixture("sync.mp4")).unwrap();
    assert!(survives(&whole));
    // The description comes first in this file; without all of it nothing can be played.
    let moov = whole.windows(4).position(|w| w == b"mdat").unwrap();
    for cut in (0..moov).step_by(61) {
        assert!(!survives(&whole[..cut]), "cut at {cut}");
    }
    survives(&whole[..moov + 5_000]);
}

#[test]
fn damaged_descriptions_never_panic() {
    let whole = std::fs::read(fixture("sync.mp4")).unwrap();
    let end = whole.windows(4).position(|w| w == b"mdat").unwrap();
    // A linear congruential generator: the same damage on every run.
    let mut state = 1u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for _ in 0..200 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random(4) {
            bytes[random(end)] = [0, 1, 0x7f, 0x80, 0xff][random(5)];
        }
        survives(&bytes);
    }
}

#[test]
fn damaged_media_never_panics() {
    let whole = std::fs::read(fixture("sync.mp4")).unwrap();
    let start = whole.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    for step in [1_009, 211, 97] {
        let mut bytes = whole.clone();
        bytes[start..].iter_mut().step_by(step).for_each(|b| *b ^= 0x55);
        survives(&bytes);
    }
}

/// Mean luma and colour differences of the middle of a clip's first picture.
fn middle(clip: &mut dyn Clip) -> ((u32, u32), [f64; 3]) {
    let picture = clip.picture(&Pool::new(1)).unwrap().unwrap();
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (luma, chroma) = picture.data.split_at(width * height);
    let (blue, red) = chroma.split_at(width * height / 4);
    let mean = |plane: &[u8], width: usize, height: usize| {
        let rows = plane.chunks_exact(width).skip(height / 4).take(height / 2);
        let samples = rows.flat_map(|row| &row[width / 4..width * 3 / 4]);
        let (sum, count) = samples.fold((0.0, 0.0), |(s, n), &c| (s + f64::from(c), n + 1.0));
        sum / count
    };
    let means = [
        mean(luma, width, height),
        mean(blue, width / 2, height / 2),
        mean(red, width / 2, height / 2),
    ];
    ((picture.width, picture.height), means)
}

#[test]
fn colours_are_what_the_film_says_whatever_its_size() {
    let folder = tempfile::tempdir().unwrap();
    // An orange, and what it is in limited range in the matrix of each size.
    let expected = |height| match height {
        720.. => [137.5, 76.2, 174.0],
        _ => [141.2, 71.6, 176.9],
    };
    for (width, height) in [(512, 512), (1280, 720)] {
        for (matrix, range) in
            [("bt709", "tv"), ("bt709", "pc"), ("smpte170m", "tv"), ("smpte170m", "pc")]
        {
            for file in ["film.mp4", "film.mkv"] {
                let path = folder.path().join(file);
                let source = format!("color=c=0xe08020:size={width}x{height}:rate=10,format=gbrp");
                let scale =
                    format!("scale=out_color_matrix={matrix}:out_range={range},format=yuv420p");
                let tags =
                    ["-colorspace", matrix, "-color_range", range, "-c:v", "libx264", "-crf", "10"];
                let arguments =
                    [&["-f", "lavfi", "-i", &source, "-vf", &scale, "-t", "0.5"][..], &tags]
                        .concat();
                ffmpeg(&arguments, &path);
                let mut start = [0; 12];
                read_start(&path, &mut start).unwrap();
                let mut clip = open_clip(&path, start, Wanted::Pictures).unwrap();
                let (size, got) = middle(&mut *clip);
                assert_eq!(size, (width, height));
                let off = got.iter().zip(expected(height)).map(|(a, b)| (a - b).abs());
                let off = off.fold(0.0, f64::max);
                println!("{file} {width}x{height} {matrix} {range}: {got:.1?}, {off:.1} off");
                assert!(off <= 4.0, "{file} {height} {matrix} {range}: {got:.1?}");
            }
        }
    }
}

#[test]
fn interlaced_films_oblong_pixels_and_six_channels_are_shown_right() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path, wanted| {
        let mut start = [0; 12];
        read_start(path, &mut start).unwrap();
        open_clip(path, start, wanted).unwrap()
    };
    let source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=50", "-t", "0.6"];
    let interlaced = folder.path().join("interlaced.mp4");
    let fields = [
        "-vf",
        "tinterlace=interleave_top,setfield=tff",
        "-c:v",
        "libx264",
        "-flags",
        "+ildct+ilme",
    ];
    ffmpeg(&[&source[..], &fields].concat(), &interlaced);
    let (size, _) = middle(&mut *open(&interlaced, Wanted::Pictures));
    assert_eq!(size, (320, 240));

    let oblong = folder.path().join("oblong.mp4");
    ffmpeg(&[&source[..], &["-vf", "setsar=4/3", "-c:v", "libx264"]].concat(), &oblong);
    let (size, _) = middle(&mut *open(&oblong, Wanted::Pictures));
    assert_eq!(size, (426, 240));

    let six = folder.path().join("six.mp4");
    let sound =
        ["-f", "lavfi", "-i", "anoisesrc=r=48000", "-ac", "6", "-c:a", "aac", "-c:v", "libx264"];
    ffmpeg(&[&source[..], &sound, &["-shortest"]].concat(), &six);
    assert!(open(&six, Wanted::Pictures).audio().is_none());
    assert_eq!(open(&six, Wanted::All).audio().unwrap().channels, 2);
}

#[test]
fn sound_on_one_channel_is_as_loud_through_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mkv");
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=64x64:rate=10",
            "-f",
            "lavfi",
            "-i",
            "aevalsrc=0.5*sin(2*PI*440*t):s=48000",
            "-t",
            "1",
            "-c:a",
            "pcm_s16le",
            "-c:v",
            "libx264",
        ],
        &path,
    );
    let mut clip = open_clip(&path, [0; 12], Wanted::All).unwrap();
    let channels = clip.audio().unwrap().channels;
    let (_, sound) = read(&mut *clip);
    let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert_eq!(channels, 1);
    assert!(loudest.abs_diff(16_384) < 400, "{loudest}");
}
