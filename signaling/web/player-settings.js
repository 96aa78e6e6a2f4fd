// The dialog: microphone and its level, loudspeaker, volume, theme.

import { find, recall, remember, root, write } from './player-page.js';

const HINTS = {
  off: 'Its level is shown while it is on.',
  asking: 'Your browser is asking for permission.',
  on: 'Speak, and the bar should move.',
  muted: 'It is muted by the system or by a switch on the device.',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function wireSettings(client) {
  const [dialog, microphone, output, volume, level] =
    ['settings', 'which-microphone', 'which-output', 'volume', 'level'].map(find);

  find('open-settings').addEventListener('click', async () => {
    fill(await client.getDevices());
    dialog.showModal();
  });
  // Whoever clicks beside it has seen enough.
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });

  // --- devices -----------------------------------------------------------------------------

  function fill({ microphones, outputs }) {
    fillSelect(microphone, microphones, 'Default microphone', client.microphone.deviceId ?? recall('microphone'));
    fillSelect(output, outputs, 'System default', recall('output'));
    find('output-setting').hidden = !('setSinkId' in HTMLMediaElement.prototype) || outputs.length === 0;
  }
  microphone.addEventListener('change', async () => {
    const deviceId = microphone.value;
    remember('microphone', deviceId);
    if (!client.microphoneOn) return;
    if (!deviceId) await client.setMicrophone(false);
    client.setMicrophone(deviceId ? { deviceId } : true);
  });
  output.addEventListener('change', async () => {
    const deviceId = output.value;
    if (await client.setOutput(deviceId)) remember('output', deviceId);
    else output.value = '';
  });
  client.addEventListener('devices', ({ detail }) => fill(detail));
  // Devices have names once one was allowed.
  client.addEventListener('microphone', async ({ detail: { state } }) => {
    write(find('microphone-hint'), HINTS[state]);
    if (state !== 'on') showLevel(0);
    if (dialog.open) fill(await client.getDevices());
  });

  function showLevel(value) {
    root.style.setProperty('--level', value.toFixed(2));
    level.setAttribute('aria-valuenow', String(Math.round(100 * value)));
  }
  client.addEventListener('level', ({ detail }) => showLevel(detail.level));

  const before = recall('output');
  if (before) client.setOutput(before);
  volume.value = recall('volume') ?? 100;
  client.setVolume(volume.value / 100);
  volume.addEventListener('input', () => {
    client.setVolume(volume.value / 100);
    remember('volume', volume.value);
  });

  // --- theme -------------------------------------------------------------------------------

  const themes = [...dialog.querySelectorAll('[name=theme]')];
  function apply(theme) {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
  }
  for (const radio of themes) {
    radio.addEventListener('change', () => {
      apply(radio.value);
      remember('theme', radio.value);
    });
  }
  const theme = new URLSearchParams(location.search).get('theme') ?? recall('theme') ?? '';
  const known = themes.find(({ value }) => value === theme);
  if (known) {
    known.checked = true;
    apply(theme);
  }
}

function fillSelect(select, devices, any, selected) {
  const named = devices.filter(({ deviceId }) => deviceId !== 'default' && deviceId !== 'communications');
  const options = named.map(({ deviceId, label }, at) => new Option(label || `Device ${at + 1}`, deviceId));
  select.replaceChildren(new Option(any, ''), ...options);
  select.value = named.some(({ deviceId }) => deviceId === selected) ? selected : '';
}
