//! A real Chromium, driven over the DevTools protocol. It is never downloaded: it is the one that is
//! installed.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use headless_chrome::protocol::cdp::Page::{
    AddScriptToEvaluateOnNewDocument, CaptureScreenshotFormatOption, SetBypassCSP,
};
use headless_chrome::protocol::cdp::{HeapProfiler, Network, Runtime};
use headless_chrome::{LaunchOptions, Tab};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::process::tree;

/// Where Debian and Ubuntu install it; `VISAVIS_CHROMIUM` names another.
const CHROMIUM: &str = "/usr/bin/chromium";

/// Pages are quiet for long while they play, which is no reason to hang up.
const IDLE: Duration = Duration::from_secs(600);

/// An empty page.
const BLANK: &str = "about:blank";

/// How long the browser may take to its first tab.
const FIRST_TAB_DEADLINE: Duration = Duration::from_secs(20);

/// Default deadline of a script.
const SCRIPT_DEADLINE: Duration = Duration::from_secs(15);

/// What keeps a browser from doing anything but showing the page: no updates, no QUIC, no sandbox
/// (containers have none to offer), and sound without a click.
const FLAGS: [&str; 11] = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--autoplay-policy=no-user-gesture-required",
    "--no-default-browser-check",
    "--mute-audio",
    // Servers under test have certificates of their own.
    "--ignore-certificate-errors",
    // The first page. The default one would be drawn beside the page that is measured.
    BLANK,
];

/// A graphics processor in software, where a machine has none.
const GRAPHICS: [&str; 2] = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"];

/// What the browser offers as a microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Microphone {
    /// One that beeps, granted without asking.
    Fake,
    /// One that plays a WAV file over and over, granted without asking.
    Plays(&'static str),
    /// None: asking for one fails.
    Absent,
}

/// A running browser with a fresh profile; ends when dropped.
pub struct Browser {
    inner: headless_chrome::Browser,
    /// The first tab, until it is used.
    first: Mutex<Option<Arc<Tab>>>,
}

/// One tab.
pub struct Page {
    tab: Arc<Tab>,
}

impl Browser {
    /// Starts Chromium without a window.
    ///
    /// # Errors
    ///
    /// When it is not installed or does not start.
    pub fn start(microphone: Microphone) -> Result<Self, Error> {
        Self::launch(microphone, false)
    }

    /// Starts Chromium without a window and with a graphics processor, if only one in software: slower,
    /// but exact. Without one Chromium turns video into RGB by a table that has no room for BT.709's
    /// blue, which comes out up to 12 levels of 256 short.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with_graphics(microphone: Microphone) -> Result<Self, Error> {
        Self::launch(microphone, true)
    }

    fn launch(microphone: Microphone, graphics: bool) -> Result<Self, Error> {
        let path = env::var_os("VISAVIS_CHROMIUM").map_or_else(|| CHROMIUM.into(), PathBuf::from);
        if !path.is_file() {
            return Err(Error::Browser(format!(
                "{} is not installed: `apt-get install chromium`, or point VISAVIS_CHROMIUM at it",
                path.display()
            )));
        }
        let mut args: Vec<&OsStr> = FLAGS.iter().map(OsStr::new).collect();
        if microphone != Microphone::Absent {
            args.push(OsStr::new("--use-fake-device-for-media-stream"));
            args.push(OsStr::new("--use-fake-ui-for-media-stream"));
        }
        if graphics {
            args.extend(GRAPHICS.iter().map(OsStr::new));
        }
        let file = match microphone {
            Microphone::Plays(file) => format!("--use-file-for-fake-audio-capture={file}"),
            _ => String::new(),
        };
        if !file.is_empty() {
            args.push(OsStr::new(&file));
        }
        let launch = || {
            headless_chrome::Browser::new(LaunchOptions {
                path: Some(path.clone()),
                headless: true,
                sandbox: false,
                enable_gpu: graphics,
                window_size: Some((1280, 800)),
                // The browser chooses a free port and writes it to a file.
                port: Some(0),
                idle_browser_timeout: IDLE,
                args: args.clone(),
                ..LaunchOptions::default()
            })
        };
        // A first start on a busy machine may run into the deadline of the DevTools handshake.
        let inner = launch().or_else(|_| launch()).map_err(browser_error)?;
        let first = Mutex::new(Some(first_tab(&inner)?));
        Ok(Self { inner, first })
    }

    /// An empty tab: the one it started with, then new ones.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn page(&self) -> Result<Page, Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tab = first.map_or_else(|| self.inner.new_tab().map_err(browser_error), Ok)?;
        Ok(Page { tab })
    }

    /// Kills it and its child processes (SIGKILL), like a crash or an empty battery: pages close no connection.
    ///
    /// # Errors
    ///
    /// When it is gone already.
    pub fn kill(self) -> Result<(), Error> {
        let gone = || Error::Browser("it is gone already".to_owned());
        let root = self.inner.get_process_id().ok_or_else(gone)?;
        for pid in tree(root)?.ok_or_else(gone)? {
            // One that has ended since is as dead as it should be.
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        Ok(())
    }
}

impl Page {
    /// Runs a script in every new document, before the document's own scripts.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn run_on_open(&self, script: &str) -> Result<(), Error> {
        self.tab
            .call_method(AddScriptToEvaluateOnNewDocument {
                source: script.to_owned(),
                world_name: None,
                include_command_line_api: None,
                run_immediately: None,
            })
            .map(drop)
            .map_err(browser_error)
    }

    /// Lets scripts of the measurement load what the page's content policy would not, such as an
    /// audio worklet. Before [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn bypass_content_policy(&self) -> Result<(), Error> {
        self.tab.call_method(SetBypassCSP { enabled: true }).map(drop).map_err(browser_error)
    }

    /// From now on requests for addresses that match a pattern (`*` is anything) fail; those given before
    /// do no longer.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn lose_requests(&self, patterns: &[&str]) -> Result<(), Error> {
        let enable = Network::Enable {
            max_total_buffer_size: None,
            max_resource_buffer_size: None,
            max_post_data_size: None,
            enable_durable_messages: None,
            report_direct_socket_traffic: None,
        };
        self.tab.call_method(enable).map_err(browser_error)?;
        let urls = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        self.tab.call_method(Network::SetBlockedURLs { urls }).map(drop).map_err(browser_error)
    }

    /// Goes to an address; does not wait for the page to load.
    ///
    /// # Errors
    ///
    /// When nothing answers there.
    pub fn open(&self, url: &str) -> Result<(), Error> {
        self.tab.navigate_to(url).map(drop).map_err(browser_error)
    }

    /// Runs the body of an async function and returns what it returns, by way of JSON.
    ///
    /// # Errors
    ///
    /// When it throws, takes more than fifteen seconds, or returns another shape.
    pub fn eval<T: DeserializeOwned>(&self, body: &str) -> Result<T, Error> {
        self.eval_within(body, SCRIPT_DEADLINE)
    }

    /// [`eval`](Self::eval) with another deadline.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn eval_within<T: DeserializeOwned>(
        &self,
        body: &str,
        deadline: Duration,
    ) -> Result<T, Error> {
        let millis = deadline.as_millis();
        let expression = format!(
            "Promise.race([(async () => {{ {body}\n }})(), new Promise((_, late) => \
             setTimeout(() => late(new Error('no result after {millis} ms')), {millis}))])"
        );
        let outcome = self
            .tab
            .call_method(Runtime::Evaluate {
                expression,
                return_by_value: Some(true),
                await_promise: Some(true),
                user_gesture: Some(true),
                generate_preview: None,
                silent: None,
                include_command_line_api: None,
                object_group: None,
                context_id: None,
                throw_on_side_effect: None,
                timeout: None,
                disable_breaks: None,
                repl_mode: None,
                allow_unsafe_eval_blocked_by_csp: None,
                unique_context_id: None,
                serialization_options: None,
            })
            .map_err(browser_error)?;
        if let Some(details) = outcome.exception_details {
            let thrown = details.exception.and_then(|thrown| thrown.description);
            return Err(Error::Page(thrown.unwrap_or(details.text)));
        }
        Ok(serde_json::from_value(outcome.result.value.unwrap_or(Value::Null))?)
    }

    /// Waits until an expression is true.
    ///
    /// # Errors
    ///
    /// When it is not within the deadline. A throwing expression counts as false until then.
    pub fn wait_for(&self, expression: &str, deadline: Duration) -> Result<(), Error> {
        let end = Instant::now() + deadline;
        loop {
            let seen = self.eval::<bool>(&format!("return Boolean({expression});"));
            match seen {
                Ok(true) => return Ok(()),
                outcome if Instant::now() >= end => {
                    let seen =
                        outcome.map_or_else(|error| error.to_string(), |_| "false".to_owned());
                    let millis = deadline.as_millis();
                    return Err(Error::Page(format!(
                        "`{expression}` not true within {millis} ms: {seen}"
                    )));
                }
                _ => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Bytes of the page's heap after garbage collection.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn heap_bytes(&self) -> Result<f64, Error> {
        // Objects with finalizers take a second round.
        for _ in 0..2 {
            self.tab.call_method(HeapProfiler::CollectGarbage(None)).map_err(browser_error)?;
        }
        let usage = self.tab.call_method(Runtime::GetHeapUsage(None)).map_err(browser_error)?;
        Ok(usage.used_size)
    }

    /// A picture of the page, as PNG.
    ///
    /// # Errors
    ///
    /// When the browser does not answer.
    pub fn screenshot(&self) -> Result<Vec<u8>, Error> {
        self.tab
            .capture_screenshot(CaptureScreenshotFormatOption::Png, None, None, true)
            .map_err(browser_error)
    }
}

fn first_tab(browser: &headless_chrome::Browser) -> Result<Arc<Tab>, Error> {
    let end = Instant::now() + FIRST_TAB_DEADLINE;
    while Instant::now() < end {
        let tabs = browser.get_tabs().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = tabs.first() {
            return Ok(Arc::clone(first));
        }
        drop(tabs);
        thread::sleep(Duration::from_millis(10));
    }
    Err(Error::Browser(format!("no tab within {} s", FIRST_TAB_DEADLINE.as_secs())))
}

fn browser_error(error: impl std::fmt::Display) -> Error {
    Error::Browser(error.to_string())
}
