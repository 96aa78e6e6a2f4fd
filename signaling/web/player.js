// The player page: what the client library tells, made visible.
//
// Query: ?session=ID    the session to watch; on /webrtc/player/ID it is the one in the address
//        ?autostart=1   connect at once, muted
//        ?codec=VP8     insist on a codec (H264, VP8, VP9 or AV1)
//        ?chat=1        a text chat, ?interrupt=1 a button that interrupts: where the application understands them
//        ?theme=light   or dark; otherwise the visitor's choice
//        ?token=WORD    passed on with the WebSocket's address

import { wireControls } from './player-controls.js';
import { wireConversation } from './player-conversation.js';
import { wireFigures } from './player-figures.js';
import { castLight } from './player-glow.js';
import { video } from './player-page.js';
import { wireSettings } from './player-settings.js';
import { showState } from './player-state.js';
import { VisavisClient } from './visavis-client.js';

const LEVEL_EVERY_MS = 100;

const query = new URLSearchParams(location.search);
const client = new VisavisClient({
  // Beside this script, wherever a proxy has put it.
  url: new URL('./ws', import.meta.url).href,
  session: query.get('session') || sessionInPath() || undefined,
  token: query.get('token') || undefined,
  videoCodec: query.get('codec') || undefined,
  levelEveryMs: LEVEL_EVERY_MS,
});
client.attach(video);

// For automation: everything the page knows is behind these two.
window.visavis = { client, video };

function sessionInPath() {
  const found = /\/webrtc\/player\/([^/]+)\/?$/.exec(location.pathname);
  try {
    return found && decodeURIComponent(found[1]);
  } catch {
    return null;
  }
}

showState(client);
wireControls(client);
wireFigures(client);
wireConversation(client, { chat: query.get('chat') === '1', interrupt: query.get('interrupt') === '1' });
wireSettings(client);
castLight(client);

if (!VisavisClient.isSupported()) {
  // Nobody has to press a button to learn that it does not work.
  client.connect();
} else if (query.get('autostart') === '1') {
  client.setMuted(true);
  client.connect();
}
