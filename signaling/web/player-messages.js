// Captions, chat and interruption over the data channel. The messages are in docs/signaling.md.

import { find, loadChoice, root, saveChoice, showSection } from './player-dom.js';

/** A caption is hidden after this time if no other follows. */
const CAPTION_MS = 8_000;
const MAX_MESSAGES = 200;
const MAX_CHARACTERS = 2_000;

/**
 * @param {import('./visavis-client.js').VisavisClient} client
 * @param {{chat: boolean, interrupt: boolean}} initial which controls are visible before the application changes it
 */
export function setUpMessages(client, initial) {
  const [caption, captions, interrupt, messages, input] =
    ['caption', 'captions', 'interrupt', 'messages', 'chat-input'].map(find);
  let captionTimer;

  function showCaption(text) {
    clearTimeout(captionTimer);
    caption.textContent = text;
    caption.hidden = !text || !captions.checked;
    if (text) captionTimer = setTimeout(() => showCaption(''), CAPTION_MS);
  }

  function addMessage(text, className, name) {
    const line = document.createElement('p');
    line.className = className;
    if (name) {
      const speaker = document.createElement('b');
      speaker.textContent = name;
      line.append(speaker);
    }
    line.append(text);
    messages.append(line);
    while (messages.childElementCount > MAX_MESSAGES) messages.firstElementChild.remove();
    messages.scrollTop = messages.scrollHeight;
  }

  function showControls({ chat, interrupt: canInterrupt }) {
    if (typeof chat === 'boolean') showSection(find('chat'), chat);
    if (typeof canInterrupt === 'boolean') interrupt.hidden = !canInterrupt;
    root.toggleAttribute('data-interrupt', !interrupt.hidden);
  }

  client.addEventListener('message', ({ detail: { data } }) => {
    const message = parse(data);
    if (message?.type === 'caption') {
      showCaption(text(message.text));
    } else if (message?.type === 'chat' && text(message.text)) {
      showControls({ chat: true });
      addMessage(text(message.text), 'theirs', text(message.from));
    } else if (message?.type === 'controls') {
      showControls(message);
    }
  });

  const send = (message) => client.send(JSON.stringify(message));
  find('chat-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    if (!send({ type: 'chat', text })) {
      addMessage('Not sent: there is no connection.', 'fault');
      return;
    }
    addMessage(text, 'mine', 'You');
    input.value = '';
  });

  function sendInterrupt() {
    if (interrupt.hidden || !send({ type: 'interrupt' })) return;
    showCaption('');
  }
  interrupt.addEventListener('click', sendInterrupt);
  document.addEventListener('keydown', ({ key, repeat, target, ctrlKey, metaKey, altKey }) => {
    if (key !== 'i' || repeat || ctrlKey || metaKey || altKey) return;
    if (!target.closest?.('input, textarea, select, dialog')) sendInterrupt();
  });

  client.addEventListener('utterance', ({ detail: { state } }) => {
    root.toggleAttribute('data-sendAudio', state === 'started');
    if (state === 'interrupted') showCaption('');
  });
  client.addEventListener('state', ({ detail: { state } }) => {
    if (state === 'connected') return;
    showCaption('');
    root.removeAttribute('data-sendAudio');
  });

  captions.checked = loadChoice('captions') !== 'off';
  captions.addEventListener('change', () => {
    saveChoice('captions', captions.checked ? '' : 'off');
    caption.hidden = !caption.textContent || !captions.checked;
  });
  showControls(initial);
}

function text(value) {
  return typeof value === 'string' ? value.slice(0, MAX_CHARACTERS) : '';
}

/** Null for messages that are not JSON objects: those are for other uses of the application. */
function parse(data) {
  if (typeof data !== 'string' || data[0] !== '{') return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
