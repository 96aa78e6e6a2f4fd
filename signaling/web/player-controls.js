// Start, leave, sound, microphone, push-to-talk and full screen, by pointer, touch and keyboard.

import { find, loadChoice, root, setText, video } from './player-dom.js';

/** What is wrong with the microphone, and what the visitor can do. */
const MICROPHONE_ERRORS = {
  denied: 'Microphone access is blocked: allow it next to the address, then try again',
  missing: 'No microphone found',
  'in-use': 'The microphone is in use by another program',
  insecure: 'The microphone needs a page on HTTPS',
  ended: 'The microphone was disconnected',
  failed: 'The microphone does not work',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function setUpControls(client) {
  const [start, mute, microphone, talk, notice] = ['start', 'mute', 'microphone', 'talk', 'notice'].map(find);

  // The visitor is about to press the button: prepare the connection.
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
    // With push-to-talk the microphone counts as off.
    const open = client.microphoneOn && !client.pushToTalk;
    const asking = client.microphone.state === 'asking';
    client.setPushToTalk(false);
    if (open || asking) await client.setMicrophone(false);
    else await turnOn();
  }

  /** The microphone that the visitor has chosen, or the default one if that is missing. */
  async function turnOn() {
    const deviceId = loadChoice('microphone');
    if (deviceId && (await client.setMicrophone({ deviceId }))) return;
    if (!deviceId || client.microphone.code === 'missing') await client.setMicrophone(true);
  }

  function hold(held) {
    // Not while the microphone is on all the time.
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
  // A long touch would open the context menu.
  talk.addEventListener('contextmenu', (event) => event.preventDefault());

  const isTextField = (target) => target.closest?.('input, textarea, select, dialog');
  /** Space activates a focused button; elsewhere, and on the talk button, holding it means talking. */
  function isTalkKey({ key, target }) {
    if (isTextField(target)) return false;
    if (key === 't' || key === 'T') return true;
    if (key !== ' ') return false;
    return target === talk || !target.closest?.('button, summary, a, [tabindex]');
  }

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTextField(event.target)) return;
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
  // If the key is released in another window there is no keyup here.
  window.addEventListener('blur', () => hold(false));

  function showMicrophone() {
    const { on, talking, pushToTalk, state, code } = client.microphone;
    const open = on && !pushToTalk;
    microphone.setAttribute('aria-pressed', String(open));
    talk.setAttribute('aria-pressed', String(talking && pushToTalk));
    talk.disabled = open;
    setText(find('talk-label'), talking && pushToTalk ? 'Talking' : 'Hold to talk');
    root.toggleAttribute('data-talking', talking);
    root.dataset.microphone = state;
    const texts = {
      asking: 'Allow the microphone in your browser',
      muted: 'Your microphone is muted by the system',
      on: talking ? 'You are heard' : '',
      off: MICROPHONE_ERRORS[code] ?? '',
    };
    notice.dataset.kind = state === 'on' ? 'heard' : state === 'off' ? 'fault' : 'wait';
    setText(notice, texts[state]);
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
  // iPhones support full screen for videos only.
  const fullScreenElement = document.fullscreenEnabled ? find('scene') : null;
  button.hidden = !fullScreenElement && !video.webkitEnterFullscreen;
  button.addEventListener('click', toggleFullScreen);
  document.addEventListener('fullscreenchange', () => {
    button.setAttribute('aria-pressed', String(document.fullscreenElement !== null));
  });

  function toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (fullScreenElement) fullScreenElement.requestFullscreen().catch(() => {});
    else video.webkitEnterFullscreen?.();
  }
}
