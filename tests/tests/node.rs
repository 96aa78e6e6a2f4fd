//! The npm package `visavis`, in Node.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use visavis_bench::Microphone;
use visavis_tests::{
    Outcome, Turn, Watcher, artifacts, likeness, node_package, root, speech, typescript,
};

/// How long is listened to what the visitor says.
const LISTEN: Duration = Duration::from_secs(5);

/// What the program in Node plays.
const TONE_HZ: f64 = 440.0;

/// A server that has stopped leaves nothing that keeps its process.
const EXIT: Duration = Duration::from_secs(5);

/// What an example needs until it serves, on a busy machine.
const EXAMPLES: Duration = Duration::from_secs(4);

/// What changes the sound of a microphone would hide whether it is the same.
const UNTOUCHED: &str = r"
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (asked) => get({ ...asked, audio: asked.audio && {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1,
} });
";

/// A message to the server, and what comes back.
const TALK: &str = r"
return await new Promise((done) => {
  visavis.client.addEventListener('message', ({ detail }) => done(detail.data));
  visavis.client.send('hello');
});
";

/// A program in Node that reports events, each a line of JSON.
struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    events: Vec<Value>,
}

impl Script {
    fn start(file: &str, args: &[&Path]) -> Result<Self, Box<dyn Error>> {
        // Where it lies `visavis` would not be found.
        let folder = node_package()?;
        fs::copy(root().join("tests/tests/node").join(file), folder.join(file))?;
        let mut child = Command::new("node")
            .arg(file)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines(), events: Vec::new() })
    }

    /// Reads on until this event.
    fn wait_for(&mut self, event: &str) -> Result<Value, Box<dyn Error>> {
        loop {
            let line = self.lines.next().ok_or(format!("the program ended without {event}"))??;
            let said: Value = serde_json::from_str(&line)?;
            self.events.push(said.clone());
            if said["event"] == event {
                return Ok(said);
            }
        }
    }

    /// Ends it, and returns all that it reported.
    fn end(mut self) -> Result<Vec<Value>, Box<dyn Error>> {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        for line in self.lines.by_ref() {
            self.events.push(serde_json::from_str(&line?)?);
        }
        let status = self.child.wait()?;
        println!("ended within {} ms", asked.elapsed().as_millis());
        assert!(status.success(), "{status}");
        assert!(asked.elapsed() < EXIT, "it took {:?} to end", asked.elapsed());
        Ok(std::mem::take(&mut self.events))
    }
}

/// Hears a second of the tone; another where a busy machine had the browser make up for what came late.
fn hear_tone(watcher: &Watcher) -> Result<(f64, f64), Box<dyn Error>> {
    let mut heard = watcher.hear_tone()?;
    for _ in 0..4 {
        if (heard.0 - TONE_HZ).abs() < 4.0 {
            break;
        }
        println!("{:.1} Hz", heard.0);
        heard = watcher.hear_tone()?;
    }
    Ok(heard)
}

/// Runs tests that are written for Node's own runner.
fn run_tests(file: &str) -> Outcome {
    let folder = node_package()?;
    for entry in fs::read_dir(root().join("tools/node/test"))? {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    fs::copy(root().join("signaling/tests/support/offer.sdp"), folder.join("offer.sdp"))?;
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec", file]).current_dir(folder);
    println!("{}", said(&mut command)?);
    Ok(())
}

/// What a program says on stdout, if it ends well.
fn said(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let name = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("{name}:\n{said}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The examples of a document that are JavaScript.
fn examples(document: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let text = fs::read_to_string(root().join(document))?;
    let blocks = text.split("```js\n").skip(1).filter_map(|rest| rest.split_once("```"));
    Ok(blocks.map(|(example, _)| example.to_owned()).collect())
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_system_keeps_its_promises_without_visitors() -> Outcome {
    let _turn = Turn::take()?;
    run_tests("system.test.mjs")
}

#[test]
fn sessions_utterances_messages_and_own_signaling_do_what_they_say() -> Outcome {
    let _turn = Turn::take()?;
    run_tests("session.test.mjs")
}

/// Each runs until it ends by itself, or serves until it is told to end.
#[test]
fn examples_in_documents_run() -> Outcome {
    let _turn = Turn::take()?;
    let folder = node_package()?;
    let mut running = Vec::new();
    // What stands in README is an excerpt.
    let before =
        "const rgba = Buffer.alloc(512 * 512 * 4), pcm = Buffer.alloc(4800), recognise = () => {};";
    for (document, before) in [
        ("docs/node.md", ""),
        ("docs/integrate.md", ""),
        ("docs/migration.md", ""),
        ("README.md", before),
    ] {
        for (number, example) in examples(document)?.into_iter().enumerate() {
            let name = document.replace('/', "-");
            let file = folder.join(format!("{name}-{number}.mjs"));
            let example = example.replace("signalingPort: 8081", "signalingPort: 0");
            fs::write(&file, format!("{before}{example}\nconsole.log('run to the end');\n"))?;
            let mut command = Command::new("node");
            command.arg(&file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            running.push((file, command.spawn()?));
        }
    }
    assert!(running.len() >= 9, "only {} examples", running.len());
    thread::sleep(EXAMPLES);
    for (file, mut child) in running {
        let ended = child.try_wait()?;
        child.kill()?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failed = String::from_utf8_lossy(&output.stderr).into_owned();
        let file = file.display();
        assert!(ended.is_none_or(|status| status.success()), "{file}: {said}{failed}");
        assert!(said.contains("run to the end"), "{file}: {said}{failed}");
        assert_eq!(failed, "", "{file}");
    }
    Ok(())
}

#[test]
fn the_types_hold_in_a_strict_program() -> Outcome {
    let (compiler, folder) = (typescript()?, node_package()?);
    fs::copy(root().join("tests/tests/node/consumer.ts"), folder.join("consumer.ts"))?;
    let types = compiler.ancestors().nth(3).ok_or("no folder of packages")?.join("@types");
    let options = ["--strict", "--noEmit", "--exactOptionalPropertyTypes"];
    let target = ["--target", "es2022", "--module", "nodenext", "--types", "node"];
    let mut command = Command::new("node");
    command.arg(compiler).args(options).args(target).arg("--typeRoots").arg(types);
    said(command.arg("consumer.ts").current_dir(folder))?;
    Ok(())
}

/// What is declared is there, and what is there is declared.
#[test]
fn the_types_name_what_the_objects_have() -> Outcome {
    let script = r"
        import { createStreamingSystem } from 'visavis';
        const system = await createStreamingSystem({ webrtc: { signalingPort: null } });
        const own = (object) => Object.getOwnPropertyNames(Object.getPrototypeOf(object));
        const utterance = system.bridge.beginUtterance();
        console.log(JSON.stringify({
            StreamingSystem: [...own(system), 'bridge', 'server'],
            Session: own(system.bridge).filter((name) => name !== 'give'),
            Server: own(system.server),
            Utterance: own(utterance).filter((name) => !['began', 'over'].includes(name)),
            Status: Object.keys(system.getStatus()),
            Metrics: Object.keys(system.getStatus().metrics),
        }));
        await system.stop();
    ";
    let folder = node_package()?;
    let mut command = Command::new("node");
    let own = said(command.args(["--input-type=module", "-e", script]).current_dir(folder))?;
    let own: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(&own)?;
    let types = fs::read_to_string(root().join("tools/node/index.d.ts"))?;
    for (name, mut members) in own {
        members.remove("constructor");
        let start = format!("export interface {name} ");
        let body = types.split(&start).nth(1).and_then(|rest| rest.split("\n}").next());
        let body = body.ok_or(format!("{name} is not declared"))?;
        let lines = body.lines().filter_map(|line| line.strip_prefix("  "));
        let lines = lines.filter(|line| !line.starts_with([' ', '*', '/', ')']));
        let names = lines.map(|line| line.trim_start_matches("readonly "));
        let declared: BTreeSet<String> =
            names.filter_map(|line| Some(line.split_once(['(', ':', '?'])?.0.to_owned())).collect();
        assert_eq!(members, declared, "{name}");
    }
    Ok(())
}

#[test]
fn the_package_has_what_it_needs_and_nothing_else() -> Outcome {
    let folder = node_package()?.join("node_modules/visavis");
    let mut command = Command::new("npm");
    let packed = said(command.args(["pack", "--dry-run", "--json"]).current_dir(&folder))?;
    let packed: Value = serde_json::from_str(&packed)?;
    let files = packed[0]["files"].as_array().ok_or("no files")?;
    let files: BTreeSet<&str> = files.iter().filter_map(|file| file["path"].as_str()).collect();
    let mut wanted: BTreeSet<String> =
        ["LICENSE", "README.md", "index.d.ts", "index.js", "package.json", "visavis.node"]
            .map(str::to_owned)
            .into();
    for entry in fs::read_dir(root().join("tools/node/lib"))? {
        wanted.insert(format!("lib/{}", entry?.file_name().display()));
    }
    assert_eq!(files, wanted.iter().map(String::as_str).collect());
    assert_eq!(packed[0]["version"], env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[test]
fn chromium_sees_and_hears_node_and_node_hears_chromium() -> Outcome {
    let _turn = Turn::take()?;
    let heard = artifacts()?.join("node-heard.pcm");
    let mut script = Script::start("face.mjs", &[&heard])?;
    let ready = script.wait_for("ready")?;
    let url = format!("{}?autostart=1", ready["url"].as_str().ok_or("no url")?);
    let speech_file = root().join("fixtures/speech.wav").display().to_string();
    let watcher = Watcher::open_with(&url, Microphone::Plays(speech_file.leak()), UNTOUCHED)?;
    let peer = script.wait_for("peer-connected")?["peerId"].clone();
    watcher.page.eval::<Value>("await visavis.client.setMicrophone(true); return null;")?;
    let first = script.wait_for("heard")?;
    assert_eq!(first["peerId"], peer);
    assert_eq!((&first["sampleRate"], &first["channels"]), (&16_000.into(), &1.into()));

    assert_eq!(watcher.page.eval::<String>(TALK)?, "hello, says Node");
    let before = watcher.stats()?;
    let (earlier, begun) = (watcher.picture()?, Instant::now());
    let (hz, level) = hear_tone(&watcher)?;
    thread::sleep(LISTEN.saturating_sub(begun.elapsed()));
    let (after, later) = (watcher.stats()?, watcher.picture()?);
    let fps = after.fps_since(&before);
    println!("{} at {fps:.1} frames a second; {hz:.1} Hz at {level:.2}", after.codec);
    assert_eq!((after.codec.as_str(), after.width, after.height), ("video/VP8", 256, 256));
    assert!(fps > 25.0, "{fps:.1}");
    assert_ne!(earlier.rgba, later.rgba, "the picture stands still");
    assert!((hz - TONE_HZ).abs() < 4.0, "{hz:.1} Hz");
    assert!(level > 0.1, "{level:.2}");

    let events = script.end()?;
    let of = |name: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["event"] == name).collect()
    };
    let names = [
        "started",
        "peer-connected",
        "heard",
        "level",
        "message",
        "status",
        "stopped",
        "peer-disconnected",
    ];
    assert!(names.iter().all(|name| of(name).len() == 1), "{events:#?}");
    let level = of("level")[0];
    assert_eq!(level["peerId"], peer);
    assert!(level["level"].as_i64().is_some_and(|db| (-127..=0).contains(&db)), "{level}");
    let (offer, answer, candidate) = (of("offer")[0], of("answer")[0], of("ice-candidate")[0]);
    assert!([offer, answer, candidate].iter().all(|said| said["peerId"] == peer), "{events:#?}");
    assert_eq!(offer["offer"]["type"], "offer");
    assert!(answer["answer"]["sdp"].as_str().is_some_and(|sdp| sdp.starts_with("v=0")));
    let place = |name: &str| events.iter().position(|event| event["event"] == name);
    assert!(place("offer") < place("answer") && place("answer") < place("peer-connected"));
    let left = of("peer-disconnected")[0];
    assert_eq!((&left["peerId"], left["reason"].as_str()), (&peer, Some("stopped")));
    let status = of("status")[0];
    println!("{status}");
    assert_eq!(status["peerCount"], 1);
    let [rung] = &status["rungs"].as_array().ok_or("no rungs")?[..] else {
        return Err(format!("{status}").into());
    };
    let kbps = rung["bitrate"].as_u64();
    assert_eq!((rung["viewers"].as_u64(), kbps), (Some(1), Some(1_500)), "{rung}");
    let networks = &status["networks"];
    assert!(
        networks["worst"]["availableBitrate"].as_u64().is_some_and(|kbps| kbps > 100),
        "{status}"
    );
    let metrics = &status["metrics"];
    assert!(metrics["fps"].as_f64().is_some_and(|fps| fps > 25.0), "{metrics}");
    assert!(metrics["avgLatency"].as_f64().is_some_and(|ms| ms > 0.0), "{metrics}");
    assert_eq!(metrics["isStreaming"], true);

    let pcm = fs::read(&heard)?;
    let samples = pcm.chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])));
    let likeness = likeness(&samples.collect::<Vec<_>>(), &speech()?);
    println!("{} bytes heard, likeness {likeness:.3}", pcm.len());
    assert!(likeness >= 0.9, "{likeness:.3}");
    Ok(())
}

#[test]
fn chromium_sees_what_node_has_encoded_already() -> Outcome {
    let _turn = Turn::take()?;
    let film = artifacts()?.join("node-film.ivf");
    let made = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=320x240:rate=25",
        ])
        // One keyframe, at its beginning.
        .args(["-t", "8", "-c:v", "libvpx", "-g", "1000", "-deadline", "realtime", "-b:v", "500k"])
        .arg(&film)
        .status()?;
    assert!(made.success(), "ffmpeg: {made}");
    let mut script = Script::start("encoded.mjs", &[&film])?;
    let ready = script.wait_for("ready")?;
    let url = format!("{}?autostart=1", ready["url"].as_str().ok_or("no url")?);
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    assert_eq!(script.wait_for("keyframe-requested")?["codec"], "VP8");
    let (before, earlier) = (watcher.stats()?, watcher.picture()?);
    thread::sleep(Duration::from_secs(3));
    let (after, later) = (watcher.stats()?, watcher.picture()?);
    let fps = after.fps_since(&before);
    println!("{} at {fps:.1} frames a second", after.codec);
    assert_eq!((after.codec.as_str(), after.width, after.height), ("video/VP8", 320, 240));
    assert!(fps > 20.0, "{fps:.1}");
    assert_ne!(earlier.rgba, later.rgba, "the picture stands still");
    let events = script.end()?;
    let status = events.iter().find(|event| event["event"] == "status").ok_or("no status")?;
    assert_eq!(status["metrics"]["isLive"], true, "{status}");
    Ok(())
}
