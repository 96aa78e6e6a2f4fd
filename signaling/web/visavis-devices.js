// Microphones and loudspeakers to choose from.

/**
 * Their names are known once a microphone was allowed; before that browsers tell only whether there is one.
 * @returns {Promise<{microphones: Device[], outputs: Device[]}>}
 * @typedef {{deviceId: string, label: string}} Device
 */
export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  const of = (wanted) =>
    all
      .filter(({ kind, deviceId }) => kind === wanted && deviceId !== '')
      .map(({ deviceId, label }) => ({ deviceId, label }));
  return { microphones: of('audioinput'), outputs: of('audiooutput') };
}

/** Calls back when something is plugged in or out, until the signal says stop. */
export function watchDevices(onChange, signal) {
  navigator.mediaDevices?.addEventListener?.('devicechange', onChange, { signal });
}
