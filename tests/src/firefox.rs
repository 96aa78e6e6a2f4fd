//! A real Firefox, driven over WebDriver BiDi, which it speaks by itself. It is never downloaded: it is the
//! one that is installed.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// Where Debian installs it; `VISAVIS_FIREFOX` names another.
const FIREFOX: [&str; 2] = ["/usr/bin/firefox-esr", "/usr/bin/firefox"];

/// A first start on a busy machine takes its time.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Longest a command may take.
const COMMAND_DEADLINE: Duration = Duration::from_secs(30);

/// Candidates of the loopback, a microphone that hums and is granted without asking, sound without a click,
/// and nothing that asks the world outside.
const PREFERENCES: &str = r#"
user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("media.navigator.streams.fake", true);
user_pref("media.navigator.permission.disabled", true);
user_pref("media.autoplay.default", 0);
user_pref("media.autoplay.blocking_policy", 0);
user_pref("media.gmp-manager.url", "");
user_pref("media.gmp-gmpopenh264.enabled", false);
user_pref("app.update.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("extensions.update.enabled", false);
"#;

/// A running Firefox with one tab and a fresh profile; ends when dropped.
pub struct Firefox {
    process: Child,
    socket: WebSocket<TcpStream>,
    context: String,
    next_id: u64,
    _profile: TempDir,
}

impl Firefox {
    /// Starts it without a window.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not start.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        let named = env::var_os("VISAVIS_FIREFOX").map(PathBuf::from);
        let installed = FIREFOX.iter().map(PathBuf::from).find(|path| path.is_file());
        let path =
            named.or(installed).ok_or("Firefox is missing: `apt-get install firefox-esr`")?;
        let profile = TempDir::new()?;
        fs::write(profile.path().join("user.js"), PREFERENCES)?;
        let mut process = Command::new(path)
            .args(["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"])
            .arg(profile.path())
            .env("HOME", profile.path())
            .env("MOZ_REMOTE_SETTINGS_DEVTOOLS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let address = match listening(&mut process) {
            Ok(address) => address,
            Err(error) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(error);
            }
        };
        let stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(COMMAND_DEADLINE))?;
        let (socket, _) = tungstenite::client(format!("ws://{address}/session"), stream)
            .map_err(|error| error.to_string())?;
        let context = String::new();
        let mut firefox = Self { process, socket, context, next_id: 0, _profile: profile };
        firefox.command("session.new", &json!({"capabilities": {}}))?;
        let tree = firefox.command("browsingContext.getTree", &json!({}))?;
        let context = tree.pointer("/contexts/0/context").and_then(Value::as_str);
        firefox.context = context.ok_or("no tab")?.to_owned();
        Ok(firefox)
    }

    /// Runs a script in every document from now on, before any of its own.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn run_on_open(&mut self, script: &str) -> Result<(), Box<dyn Error>> {
        let function = format!("() => {{ {script} }}");
        let parameters = json!({"functionDeclaration": function});
        self.command("script.addPreloadScript", &parameters).map(drop)
    }

    /// Goes to an address and waits for the page to load.
    ///
    /// # Errors
    ///
    /// When nothing answers there.
    pub fn open(&mut self, url: &str) -> Result<(), Box<dyn Error>> {
        let parameters = json!({"context": self.context, "url": url, "wait": "complete"});
        self.command("browsingContext.navigate", &parameters).map(drop)
    }

    /// Runs the body of an async function and returns what it returns, by way of JSON.
    ///
    /// # Errors
    ///
    /// When it throws or returns another shape.
    pub fn eval<T: DeserializeOwned>(&mut self, body: &str) -> Result<T, Box<dyn Error>> {
        let expression = format!(
            "(async () => {{ {body}\n }})().then((value) => JSON.stringify(value ?? null))"
        );
        let result = self.command(
            "script.evaluate",
            &json!({
                "expression": expression,
                "target": {"context": self.context},
                "awaitPromise": true,
                "userActivation": true,
            }),
        )?;
        if let Some(thrown) = result.pointer("/exceptionDetails/text") {
            return Err(format!("the page threw {thrown}").into());
        }
        let text = result.pointer("/result/value").and_then(Value::as_str).ok_or("no result")?;
        Ok(serde_json::from_str(text)?)
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    ///
    /// When it is not within the deadline. A throwing expression counts as false until then.
    pub fn wait_for(&mut self, expression: &str, deadline: Duration) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + deadline;
        loop {
            let seen = self.eval::<bool>(&format!("return Boolean({expression});"));
            if matches!(seen, Ok(true)) {
                return Ok(());
            }
            if Instant::now() >= end {
                let page: String = self.eval("return document.body.innerText.slice(0, 1000)")?;
                return Err(
                    format!("`{expression}` is not true: {seen:?}; the page: {page}").into()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn command(&mut self, method: &str, parameters: &Value) -> Result<Value, Box<dyn Error>> {
        self.next_id += 1;
        let id = self.next_id;
        let message = json!({"id": id, "method": method, "params": parameters});
        self.socket.send(Message::text(message.to_string()))?;
        loop {
            let Message::Text(text) = self.socket.read()? else { continue };
            let mut answer: Value = serde_json::from_str(&text)?;
            // Events have no id; they are ignored.
            if answer.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if answer["type"] == "error" {
                return Err(format!("{method}: {}", answer["message"]).into());
            }
            return Ok(answer["result"].take());
        }
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // A browser that is asked takes its children along.
        let _ = self.command("browser.close", &json!({}));
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address that it prints when it listens.
fn listening(process: &mut Child) -> Result<String, Box<dyn Error>> {
    let errors = process.stderr.take().ok_or("no standard error")?;
    let (tell, told) = mpsc::channel();
    // Reads on to the end: a full pipe would stop the browser.
    thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let end = Instant::now() + START_DEADLINE;
    let mut said = String::new();
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        let Ok(line) = told.recv_timeout(rest) else { break };
        if let Some((_, address)) = line.split_once("WebDriver BiDi listening on ws://") {
            return Ok(address.trim().to_owned());
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(format!("Firefox does not listen: {said}").into())
}
