// The settings dialog: microphone and its level, audio output, volume, theme.

import { find, loadChoice, root, saveChoice, setText } from './player-dom.js';

const HINTS = {
  off: 'Its level is shown while it is on.',
  asking: 'Your browser is asking for permission.',
  on: 'Speak, and the bar should move.',
  muted: 'It is muted by the system or by a switch on the device.',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function setUpSettings(client) {
  const [dialog, microphone, output, volume, level] =
    ['settings', 'which-microphone', 'which-output', 'volume', 'level'].map(find);

  find('open-settings').addEventListener('click', async () => {
    // At once: some systems take seconds to list their devices.
    dialog.showModal();
    fillDevices(await client.getDevices());
  });
  // A click on the backdrop closes the dialog.
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });

  // --- devices -----------------------------------------------------------------------------

  function fillDevices({ microphones, outputs }) {
    fillSelect(microphone, microphones, 'Default microphone', client.microphone.deviceId ?? loadChoice('microphone'));
    fillSelect(output, outputs, 'System default', loadChoice('output'));
    find('output-setting').hidden = !('setSinkId' in HTMLMediaElement.prototype) || outputs.length === 0;
  }
  microphone.addEventListener('change', async () => {
    const deviceId = microphone.value;
    saveChoice('microphone', deviceId);
    if (!client.microphoneOn) return;
    if (!deviceId) await client.setMicrophone(false);
    client.setMicrophone(deviceId ? { deviceId } : true);
  });
  output.addEventListener('change', async () => {
    const deviceId = output.value;
    if (await client.setOutput(deviceId)) saveChoice('output', deviceId);
    else output.value = '';
  });
  fillDevices({ microphones: [], outputs: [] });
  client.addEventListener('devices', ({ detail }) => fillDevices(detail));
  // Device labels are available once the visitor has allowed a microphone.
  client.addEventListener('microphone', async ({ detail: { state } }) => {
    setText(find('microphone-hint'), HINTS[state]);
    if (state !== 'on') showLevel(0);
    if (dialog.open) fillDevices(await client.getDevices());
  });

  function showLevel(value) {
    root.style.setProperty('--level', value.toFixed(2));
    level.setAttribute('aria-valuenow', String(Math.round(100 * value)));
  }
  client.addEventListener('level', ({ detail }) => showLevel(detail.level));

  const savedOutput = loadChoice('output');
  if (savedOutput) client.setOutput(savedOutput);
  volume.value = loadChoice('volume') ?? 100;
  client.setVolume(volume.value / 100);
  volume.addEventListener('input', () => {
    client.setVolume(volume.value / 100);
    saveChoice('volume', volume.value);
  });

  // --- theme -------------------------------------------------------------------------------

  const themes = [...dialog.querySelectorAll('[name=theme]')];
  function applyTheme(theme) {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
  }
  for (const radio of themes) {
    radio.addEventListener('change', () => {
      applyTheme(radio.value);
      saveChoice('theme', radio.value);
    });
  }
  const theme = new URLSearchParams(location.search).get('theme') ?? loadChoice('theme') ?? '';
  const known = themes.find(({ value }) => value === theme);
  if (known) {
    known.checked = true;
    applyTheme(theme);
  }
}

function fillSelect(select, devices, defaultLabel, selected) {
  const listed = devices.filter(({ deviceId }) => deviceId !== 'default' && deviceId !== 'communications');
  const options = listed.map(({ deviceId, label }, index) => new Option(label || `Device ${index + 1}`, deviceId));
  select.replaceChildren(new Option(defaultLabel, ''), ...options);
  select.value = listed.some(({ deviceId }) => deviceId === selected) ? selected : '';
}
