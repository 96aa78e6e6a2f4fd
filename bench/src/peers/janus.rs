//! Janus: its streaming plugin with one mountpoint that takes RTP.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::network;
use super::running::{Inputs, Running};
use crate::Error;
use crate::feeder::{AUDIO_TYPE, VIDEO_TYPE};
use crate::process::{Process, free_tcp_port, free_udp_port};
use crate::signaling::{JANUS_MOUNTPOINT, Protocol};

const READY_DEADLINE: Duration = Duration::from_secs(15);

/// Plugins and transports other than the streaming plugin and the WebSocket: none of them is on the way
/// of media, and some open ports of their own.
const UNUSED_PLUGINS: &str = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,\
    libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_textroom.so,\
    libjanus_videocall.so,libjanus_videoroom.so,libjanus_voicemail.so";
const UNUSED_TRANSPORTS: &str = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,\
    libjanus_pfunix.so,libjanus_rabbitmq.so";

/// How the threads of Janus are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventLoops {
    /// A thread for each viewer: the setting Janus is shipped with.
    PerViewer,
    /// One thread for all viewers (`event_loops = 1`), which is cheaper.
    One,
}

struct Ports {
    websocket: u16,
    video: u16,
    audio: u16,
}

/// Starts Janus with a generated configuration on free ports.
///
/// # Errors
///
/// When the program is missing, ends at once, or does not open its WebSocket in time.
pub(super) fn start(loops: EventLoops) -> Result<Running, Error> {
    let folder = TempDir::new()?;
    let ports =
        Ports { websocket: free_tcp_port()?, video: free_udp_port()?, audio: free_udp_port()? };
    let main = folder.path().join("janus.jcfg");
    fs::write(&main, main_configuration(loops))?;
    let websockets = websocket_configuration(ports.websocket);
    fs::write(folder.path().join("janus.transport.websockets.jcfg"), websockets)?;
    fs::write(folder.path().join("janus.plugin.streaming.jcfg"), mountpoint(&ports))?;
    let mut process = Process::start(&mut command(folder.path(), &main))?;
    process.wait_for_port(ports.websocket, READY_DEADLINE)?;
    let input = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(Running {
        process,
        url: format!("http://127.0.0.1:{}/", ports.websocket),
        protocol: Protocol::Janus,
        inputs: Some(Inputs { video: input(ports.video), audio: input(ports.audio) }),
        _files: Some(folder),
    })
}

fn command(folder: &Path, main: &Path) -> Command {
    let mut command = Command::new("janus");
    command.arg("--configs-folder").arg(folder).arg("--config").arg(main).arg("--disable-colors");
    command
}

fn main_configuration(loops: EventLoops) -> String {
    let loops = match loops {
        EventLoops::PerViewer => "",
        EventLoops::One => "event_loops = 1",
    };
    // No session ever times out, so that viewers need no keep-alive: signaling is not what is measured.
    // Level 2 logs fatal errors and errors.
    format!(
        "general: {{
            debug_level = 2
            session_timeout = 0
            {loops}
        }}
        nat: {{ ice_enforce_list = \"{interface}\" }}
        plugins: {{ disable = \"{UNUSED_PLUGINS}\" }}
        transports: {{ disable = \"{UNUSED_TRANSPORTS}\" }}
        ",
        interface = network::INTERFACE,
    )
}

fn websocket_configuration(port: u16) -> String {
    format!(
        "general: {{
            json = \"compact\"
            ws = true
            ws_port = {port}
            ws_ip = \"127.0.0.1\"
            wss = false
        }}
        admin: {{ admin_ws = false admin_wss = false }}
        "
    )
}

fn mountpoint(ports: &Ports) -> String {
    let Ports { video, audio, .. } = ports;
    format!(
        "face: {{
            type = \"rtp\"
            id = {JANUS_MOUNTPOINT}
            description = \"visavis-bench\"
            media = (
                {{
                    type = \"audio\" mid = \"a\" label = \"audio\" iface = \"127.0.0.1\"
                    port = {audio} pt = {AUDIO_TYPE} codec = \"opus\"
                }},
                {{
                    type = \"video\" mid = \"v\" label = \"video\" iface = \"127.0.0.1\"
                    port = {video} pt = {VIDEO_TYPE} codec = \"h264\"
                    fmtp = \"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\"
                }}
            )
        }}
        "
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tuned_one_sets_event_loops() {
        assert!(main_configuration(EventLoops::One).contains("event_loops = 1\n"));
        assert!(!main_configuration(EventLoops::PerViewer).contains("event_loops"));
    }

    #[test]
    fn the_mountpoint_takes_both_streams() {
        let text = mountpoint(&Ports { websocket: 1, video: 5_004, audio: 5_006 });
        assert!(text.contains("port = 5004 pt = 96 codec = \"h264\""), "{text}");
        assert!(text.contains("port = 5006 pt = 97 codec = \"opus\""), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
