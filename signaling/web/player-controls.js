// Start, leave, sound, microphone, push-to-talk, full screen: by pointer, touch and keyboard.

import { find, recall, root, video, write } from './player-page.js';

/** What is wrong with the microphone, and what helps. */
const FAULTS = {
  denied: 'Microphone access is blocked: allow it next to the address, then try again',
  missing: 'No microphone found',
  'in-use': 'The microphone is in use by another program',
  insecure: 'The microphone needs a page on HTTPS',
  ended: 'The microphone was disconnected',
  failed: 'The microphone does not work',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function wireControls(client) {
  const [start, mute, microphone, talk, notice] = ['start', 'mute', 'microphone', 'talk', 'notice'].map(find);

  // Whoever comes near the button will press it: the browser may get ready.
  for (const type of ['pointerenter', 'focus', 'touchstart']) {
    start.addEventListener(type, () => client.prepare(), { passive: true });
  }
  start.addEventListener('click', () => {
    client.connect();
    if (client.state !== 'failed') mute.focus({ preventScroll: true });
  });
  find('leave').addEventListener('click', () => client.close());
  find('unmute').addEventListener('click', () => {
    client.setMuted(false);
    mute.focus({ preventScroll: true });
  });
  mute.addEventListener('click', () => client.setMuted(!client.muted));
  microphone.addEventListener('click', toggleMicrophone);

  async function toggleMicrophone() {
    // A microphone that waits for a key counts as off.
    const open = client.microphoneOn && !client.pushToTalk;
    const asking = client.microphone.state === 'asking';
    client.setPushToTalk(false);
    if (open || asking) await client.setMicrophone(false);
    else await turnOn();
  }

  /** The microphone that the visitor has chosen; where that is gone, any. */
  async function turnOn() {
    const deviceId = recall('microphone');
    if (deviceId && (await client.setMicrophone({ deviceId }))) return;
    if (!deviceId || client.microphone.code === 'missing') await client.setMicrophone(true);
  }

  function hold(held) {
    // Whoever is heard all the time has no use for it.
    if (client.microphoneOn && !client.pushToTalk) return;
    talk.classList.toggle('held', held);
    if (!held) return client.talk(false);
    client.setPushToTalk(true);
    if (!client.microphoneOn) turnOn();
    return client.talk(true);
  }

  talk.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || talk.disabled) return;
    talk.setPointerCapture(event.pointerId);
    hold(true);
  });
  for (const type of ['pointerup', 'pointercancel', 'lostpointercapture', 'blur']) {
    talk.addEventListener(type, () => hold(false));
  }
  // A long touch would open a menu.
  talk.addEventListener('contextmenu', (event) => event.preventDefault());

  const writes = (target) => target.closest?.('input, textarea, select, dialog');
  /** Space presses what has the focus; elsewhere, and on the talk button, it is held to talk. */
  function isTalkKey({ key, target }) {
    if (writes(target)) return false;
    if (key === 't' || key === 'T') return true;
    if (key !== ' ') return false;
    return target === talk || !target.closest?.('button, summary, a, [tabindex]');
  }

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
    if (event.key === 'f' && !event.repeat) toggleFullScreen();
    if (client.state !== 'connected') return;
    if (isTalkKey(event)) {
      event.preventDefault();
      if (!event.repeat) hold(true);
    } else if (!event.repeat && event.key === 'm') {
      client.setMuted(!client.muted);
    } else if (!event.repeat && event.key === 'v') {
      toggleMicrophone();
    }
  });
  document.addEventListener('keyup', (event) => {
    if (!isTalkKey(event)) return;
    if (event.target === talk) event.preventDefault();
    hold(false);
  });
  // A key let go in another window is never heard of here.
  window.addEventListener('blur', () => hold(false));

  function showMicrophone() {
    const { on, talking, pushToTalk, state, code } = client.microphone;
    const open = on && !pushToTalk;
    microphone.setAttribute('aria-pressed', String(open));
    talk.setAttribute('aria-pressed', String(talking && pushToTalk));
    talk.disabled = open;
    write(find('talk-label'), talking && pushToTalk ? 'Talking' : 'Hold to talk');
    root.toggleAttribute('data-talking', talking);
    root.dataset.microphone = state;
    const words = {
      asking: 'Allow the microphone in your browser',
      muted: 'Your microphone is muted by the system',
      on: talking ? 'You are heard' : '',
      off: FAULTS[code] ?? '',
    };
    notice.dataset.kind = state === 'on' ? 'heard' : state === 'off' ? 'fault' : 'wait';
    write(notice, words[state]);
  }
  client.addEventListener('microphone', showMicrophone);

  client.addEventListener('muted', ({ detail }) => {
    mute.setAttribute('aria-pressed', String(detail.muted));
    find('unmute').hidden = !(detail.muted && detail.forced);
  });
  client.addEventListener('state', ({ detail: { state } }) => {
    if (state === 'failed' || state === 'closed') find('unmute').hidden = true;
  });

  // --- full screen -------------------------------------------------------------------------

  const button = find('full-screen');
  // An iPhone has it for videos alone.
  const whole = document.fullscreenEnabled ? find('scene') : null;
  button.hidden = !whole && !video.webkitEnterFullscreen;
  button.addEventListener('click', toggleFullScreen);
  document.addEventListener('fullscreenchange', () => {
    button.setAttribute('aria-pressed', String(document.fullscreenElement !== null));
  });

  function toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (whole) whole.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.();
  }
}
