// Captions, chat and interruption, over the data channel. docs/signaling.md has the messages.

import { find, recall, remember, root, showSection } from './player-page.js';

/** A caption that is not followed by another is taken away after this time. */
const CAPTION_MS = 8_000;
const MESSAGES = 200;
const MOST_CHARACTERS = 2_000;

/**
 * @param {import('./visavis-client.js').VisavisClient} client
 * @param {{chat: boolean, interrupt: boolean}} offered what is there before the application says so
 */
export function wireConversation(client, offered) {
  const [caption, captions, interrupt, messages, words] =
    ['caption', 'captions', 'interrupt', 'messages', 'words'].map(find);
  let fading;

  function showCaption(text) {
    clearTimeout(fading);
    caption.textContent = text;
    caption.hidden = !text || !captions.checked;
    if (text) fading = setTimeout(() => showCaption(''), CAPTION_MS);
  }

  function say(text, who, name) {
    const line = document.createElement('p');
    line.className = who;
    if (name) {
      const speaker = document.createElement('b');
      speaker.textContent = name;
      line.append(speaker);
    }
    line.append(text);
    messages.append(line);
    while (messages.childElementCount > MESSAGES) messages.firstElementChild.remove();
    messages.scrollTop = messages.scrollHeight;
  }

  function offer({ chat, interrupt: may }) {
    if (typeof chat === 'boolean') showSection(find('chat'), chat);
    if (typeof may === 'boolean') interrupt.hidden = !may;
    root.toggleAttribute('data-interrupt', !interrupt.hidden);
  }

  client.addEventListener('message', ({ detail: { data } }) => {
    const message = read(data);
    if (message?.type === 'caption') {
      showCaption(text(message.text));
    } else if (message?.type === 'chat' && text(message.text)) {
      offer({ chat: true });
      say(text(message.text), 'theirs', text(message.from));
    } else if (message?.type === 'controls') {
      offer(message);
    }
  });

  const tell = (message) => client.send(JSON.stringify(message));
  find('write').addEventListener('submit', (event) => {
    event.preventDefault();
    const written = words.value.trim();
    if (!written) return;
    if (!tell({ type: 'chat', text: written })) {
      say('Not sent: there is no connection.', 'fault');
      return;
    }
    say(written, 'mine', 'You');
    words.value = '';
  });

  function cutOff() {
    if (interrupt.hidden || !tell({ type: 'interrupt' })) return;
    showCaption('');
  }
  interrupt.addEventListener('click', cutOff);
  document.addEventListener('keydown', ({ key, repeat, target, ctrlKey, metaKey, altKey }) => {
    if (key !== 'i' || repeat || ctrlKey || metaKey || altKey) return;
    if (!target.closest?.('input, textarea, select, dialog')) cutOff();
  });

  client.addEventListener('utterance', ({ detail: { state } }) => {
    root.toggleAttribute('data-speaking', state === 'started');
    if (state === 'interrupted') showCaption('');
  });
  client.addEventListener('state', ({ detail: { state } }) => {
    if (state === 'connected') return;
    showCaption('');
    root.removeAttribute('data-speaking');
  });

  captions.checked = recall('captions') !== 'off';
  captions.addEventListener('change', () => {
    remember('captions', captions.checked ? '' : 'off');
    caption.hidden = !caption.textContent || !captions.checked;
  });
  offer(offered);
}

function text(value) {
  return typeof value === 'string' ? value.slice(0, MOST_CHARACTERS) : '';
}

/** A message of these kinds is a JSON object; whatever else an application sends is its own business. */
function read(data) {
  if (typeof data !== 'string' || data[0] !== '{') return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
