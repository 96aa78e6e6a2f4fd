// The player page, on top of the client library.
//
// Query: ?session=ID    the session to watch; on /webrtc/player/ID it is the one in the address
//        ?autostart=1   connect at once, muted
//        ?codec=VP8     force a codec (H264, VP8, VP9 or AV1), if the browser has it
//        ?chat=1        show the text chat; ?interrupt=1 the button that interrupts: for applications that support them
//        ?theme=light   or dark; default: the visitor's choice, else the system's
//        ?token=TOKEN   sent with the URL of the WebSocket

import { setUpControls } from './player-controls.js';
import { video } from './player-dom.js';
import { setUpGlow } from './player-glow.js';
import { setUpMessages } from './player-messages.js';
import { setUpSettings } from './player-settings.js';
import { setUpState } from './player-state.js';
import { setUpStats } from './player-stats.js';
import { VisavisClient } from './visavis-client.js';

const LEVEL_INTERVAL_MS = 100;

const query = new URLSearchParams(location.search);
const client = new VisavisClient({
  // Relative to this script, so that it works under any path prefix of a proxy.
  url: new URL('./ws', import.meta.url).href,
  session: query.get('session') || sessionInPath() || undefined,
  token: query.get('token') || undefined,
  videoCodec: query.get('codec') || undefined,
  levelIntervalMs: LEVEL_INTERVAL_MS,
});
client.attach(video);

// For tests and automation.
window.visavis = { client, video };

function sessionInPath() {
  const match = /\/webrtc\/player\/([^/]+)\/?$/.exec(location.pathname);
  try {
    return match && decodeURIComponent(match[1]);
  } catch {
    return null;
  }
}

setUpState(client);
setUpControls(client);
setUpStats(client);
setUpMessages(client, { chat: query.get('chat') === '1', interrupt: query.get('interrupt') === '1' });
setUpSettings(client);
setUpGlow(client);

if (!VisavisClient.isSupported()) {
  // Fails at once, so that the visitor sees it without pressing the button.
  client.connect();
} else if (query.get('autostart') === '1') {
  client.setMuted(true);
  client.connect();
}
