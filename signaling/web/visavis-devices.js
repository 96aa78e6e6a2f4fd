// Lists microphones and audio outputs.

/**
 * Labels are empty until the visitor has allowed a microphone: browsers hide them before.
 * @returns {Promise<{microphones: Device[], outputs: Device[]}>}
 * @typedef {{deviceId: string, label: string}} Device
 */
export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  const ofKind = (wanted) =>
    all
      .filter(({ kind, deviceId }) => kind === wanted && deviceId !== '')
      .map(({ deviceId, label }) => ({ deviceId, label }));
  return { microphones: ofKind('audioinput'), outputs: ofKind('audiooutput') };
}

/** Calls `onChange` when a device is plugged in or removed, until the signal is aborted. */
export function watchDevices(onChange, signal) {
  navigator.mediaDevices?.addEventListener?.('devicechange', onChange, { signal });
}
