// What visitors do and see, on the real page against the real server.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  closeBrowser, closePage, microphoneDenied, openPlayer, permissionPending, receiveMessage, serverIsFull, serverUrl, until,
  untilFocused, untilLive, untilState, withoutWebRtc,
} from './browser.mjs';

after(closeBrowser);

const text = (page, id) => page.textContent(`#${id}`);
const focused = (page) => page.evaluate(() => document.activeElement.id);
/** What the settings offer. */
const microphones = (page) =>
  page.evaluate(() => [...document.getElementById('which-microphone').options].map(({ text }) => text));

/** Prepended to what run() evaluates: the client library, and helpers to record events and to wait. */
const LIBRARY = `
  const { VisavisClient, VisavisError } = await import('/visavis-client.js');
  const recordEvents = (client) => {
    const events = [];
    for (const type of ['state', 'microphone', 'channel', 'live', 'level', 'devices']) {
      client.addEventListener(type, ({ detail }) => events.push({ type, ...detail }));
    }
    return events;
  };
  const until = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
  };
`;
/** Evaluates code in the page, with {@link LIBRARY}. */
const run = (page, body) => page.evaluate(`(async () => { ${LIBRARY} ${body} })()`);

// --- failures are shown at once ----------------------------------------------------------

test('webrtc that is switched off is said before anybody presses a button', async () => {
  const page = await openPlayer('', { before: withoutWebRtc });
  assert.equal(await text(page, 'state'), 'This browser does not support WebRTC');
  assert.match(await text(page, 'reason'), /does not support WebRTC, or it is turned off/);
  assert.equal(await run(page, 'return VisavisClient.isSupported();'), false);
  assert.equal(await run(page, "return new VisavisClient().connect().catch(({ code }) => code);"), 'unsupported');
  await closePage(page);
});

test('connections that the browser refuses are said at once', async () => {
  const before = () => {
    window.RTCPeerConnection = class {
      constructor() {
        throw new DOMException('Cannot create so many PeerConnections', 'UnknownError');
      }
    };
  };
  const page = await openPlayer('', { before });
  await page.click('#start');
  await untilState(page, 'This browser does not support WebRTC');
  assert.match(await text(page, 'reason'), /Cannot create so many/);
  await closePage(page);
});

test('an unknown session is named at once and not asked for again', async () => {
  const page = await openPlayer('?session=nobody');
  await page.click('#start');
  await untilState(page, 'No such session');
  assert.match(await text(page, 'reason'), /There is no session nobody/);
  await untilFocused(page, 'start');
  const events = await run(page, `
    const client = new VisavisClient({ session: 'nobody' });
    const events = recordEvents(client);
    const code = await client.connect().catch((error) => error instanceof VisavisError && error.code);
    return [code, events.map(({ state }) => state)];
  `);
  assert.deepEqual(events, ['unknown-session', ['connecting', 'failed']]);
  await closePage(page);
});

test('a bad address is said at once', async () => {
  const page = await openPlayer();
  const codes = await run(page, `
    const bad = [{ url: 'http://' }, { url: 'ftp://faces.example.org/' }, { session: 'two words' }];
    return Promise.all(bad.map((options) => new VisavisClient(options).connect().catch(({ code }) => code)));
  `);
  assert.deepEqual(codes, ['bad-address', 'bad-address', 'bad-address']);
  const nothing = await run(page, "return new VisavisClient({ url: '/nothing/here' }).connect().catch(({ code }) => code);");
  assert.equal(nothing, 'bad-address');
  await closePage(page);
});

test('a server that is out of reach is named while it is tried, and given up in the end', async () => {
  const page = await openPlayer();
  const [first, code, state] = await run(page, `
    const client = new VisavisClient({ url: 'ws://127.0.0.1:9/', maxAttempts: 1 });
    const events = recordEvents(client);
    const code = await client.connect().catch((error) => error.code);
    return [events.find(({ state }) => state === 'reconnecting'), code, client.state];
  `);
  assert.equal(first.code, 'unreachable');
  assert.match(first.reason, /cannot be reached/);
  assert.deepEqual([code, state], ['unreachable', 'failed']);
  await closePage(page);
});

test('attempts that are given as undefined are the default', async () => {
  const page = await openPlayer();
  const attempts = await run(page, `
    const client = new VisavisClient({ url: 'ws://127.0.0.1:9/', maxAttempts: undefined });
    const events = recordEvents(client);
    client.connect();
    await until(() => events.some(({ state }) => state === 'reconnecting'));
    client.close();
    return events.find(({ state }) => state === 'reconnecting').attempts;
  `);
  assert.equal(attempts, 6);
  await closePage(page);
});

test('whom the server does not let in is told so', async () => {
  const page = await openPlayer();
  await page.route('**/guarded**', (route) => route.fulfill({ status: 403, json: { code: 'cross-origin', error: 'not you' } }));
  const failure = await run(page, "return new VisavisClient({ url: '/guarded' }).connect().catch(({ code, message }) => [code, message]);");
  assert.deepEqual(failure, ['forbidden', 'not you']);
  const token = await run(page, `
    const token = async () => { throw new Error('logged out'); };
    return new VisavisClient({ token }).connect().catch(({ code, message }) => [code, message]);
  `);
  assert.deepEqual(token, ['forbidden', 'logged out']);
  await closePage(page);
});

test('a token is asked for before each websocket and sent with it', async () => {
  const page = await openPlayer();
  const addresses = [];
  page.on('websocket', (socket) => addresses.push(new URL(socket.url()).searchParams.get('token')));
  await run(page, `
    let count = 0;
    const client = new VisavisClient({ token: async () => 'word' + (count += 1) });
    await client.connect();
    client.close();
    await client.connect();
    client.close();
  `);
  assert.deepEqual(addresses, ['word1', 'word2']);
  await closePage(page);
});

// --- waiting for a place -----------------------------------------------------------------

test('who finds all places taken waits until he leaves', async () => {
  const page = await openPlayer('', { before: serverIsFull });
  await page.click('#start');
  await untilState(page, 'Waiting for a place');
  assert.match(await text(page, 'reason'), /All 3 places are taken. You get in when one is free./);
  // The client asks again and again, without giving up.
  await page.waitForTimeout(6_000);
  assert.equal(await page.evaluate('visavis.client.state'), 'waiting');
  await page.click('#leave');
  await untilState(page, 'You have left');
  await untilFocused(page, 'start');
  await closePage(page);
});

test('who would rather not wait is told that it is full', async () => {
  const page = await openPlayer('', { before: serverIsFull });
  const failure = await run(page, `
    return new VisavisClient({ waitForPlace: false }).connect().catch(({ code, message }) => [code, message]);
  `);
  assert.deepEqual(failure, ['full', 'all 3 places are taken']);
  await closePage(page);
});

// --- connect and close -------------------------------------------------------------------

test('connect resolves once connected, and close tells microphone and channel', async () => {
  const page = await openPlayer();
  const events = await run(page, `
    const client = new VisavisClient();
    const events = recordEvents(client);
    await client.connect();
    await until(() => events.some(({ type, open }) => type === 'channel' && open));
    await client.setMicrophone(true);
    events.length = 0;
    client.close();
    const closing = events.map(({ type, state, open }) => [type, state ?? open]);
    const again = client.connect().catch(({ code }) => code);
    client.close();
    return [closing, await again];
  `);
  assert.deepEqual(events, [[['channel', false], ['microphone', 'off'], ['state', 'closed']], 'closed']);
  await closePage(page);
});

test('focus is kept after start and after leave', async () => {
  const page = await openPlayer();
  await page.focus('#start');
  await page.keyboard.press('Enter');
  await untilFocused(page, 'mute');
  await untilLive(page);
  assert.equal(await focused(page), 'mute');
  await page.focus('#leave');
  await page.keyboard.press('Enter');
  await untilFocused(page, 'start');
  await page.waitForTimeout(600);
  assert.equal(await focused(page), 'start');
  await closePage(page);
});

test('everything can be reached by keyboard, in the order in which it is seen, and has a name', async () => {
  const page = await openPlayer('?autostart=1&chat=1&interrupt=1');
  await untilLive(page);
  await page.click('#toggle-stats');
  await page.focus('#toggle-stats');
  const order = [];
  for (let at = 0; at < 12; at += 1) {
    order.push(await page.evaluate(() => {
      const { id, ariaLabel, textContent } = document.activeElement;
      return id || ariaLabel || textContent.trim();
    }));
    await page.keyboard.press('Tab');
  }
  assert.deepEqual(order, ['toggle-stats', 'full-screen', 'open-settings', 'mute', 'microphone', 'talk', 'interrupt',
    'leave', 'messages', 'chat-input', 'Send', 'Log']);
  for (const [role, name] of [
    ['button', 'Statistics'], ['button', 'Full screen'], ['button', 'Settings'], ['button', 'Mute the sound'],
    ['button', 'Microphone'], ['button', 'Hold to talk'], ['button', 'Interrupt'], ['button', 'Leave'],
    ['log', 'Messages'], ['textbox', 'Message'], ['button', 'Send'], ['group', 'Controls'],
  ]) {
    assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
  }
  await page.click('#open-settings');
  await page.getByRole('dialog', { name: 'Settings', exact: true }).waitFor();
  for (const [role, name] of [
    ['dialog', 'Settings'], ['combobox', 'Microphone'], ['meter', 'Microphone level'], ['slider', 'Volume'],
    ['radio', 'Light'], ['switch', 'Captions'], ['button', 'Close'],
  ]) {
    assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
  }
  await page.keyboard.press('Escape');
  await untilFocused(page, 'open-settings');
  await closePage(page);
});

test('keys that are typed are no commands', async () => {
  const page = await openPlayer('?autostart=1&chat=1');
  await untilLive(page);
  const muted = await page.evaluate('visavis.client.muted');
  await page.fill('#chat-input', '');
  await page.type('#chat-input', 'mvt if ');
  assert.equal(await page.inputValue('#chat-input'), 'mvt if ');
  assert.equal(await page.evaluate('visavis.client.muted'), muted);
  assert.equal(await page.evaluate('visavis.client.microphoneOn'), false);
  await closePage(page);
});

test('a finger on the talk button is heard, and no longer when it is lifted', async () => {
  const context = { hasTouch: true, isMobile: true, viewport: { width: 375, height: 667 } };
  const page = await openPlayer('', { context });
  await page.tap('#start');
  await untilLive(page);
  const { x, y, width, height } = await page.locator('#talk').boundingBox();
  const devtools = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => devtools.send('Input.dispatchTouchEvent', { type, touchPoints });
  await touch('touchStart', [{ x: x + width / 2, y: y + height / 2 }]);
  await until(page, "document.getElementById('talk-label').textContent === 'Talking'");
  assert.equal(await page.evaluate('visavis.client.talking'), true);
  assert.equal(await text(page, 'notice'), 'You are heard');
  await touch('touchEnd', []);
  await until(page, "document.getElementById('talk-label').textContent === 'Hold to talk'");
  assert.equal(await page.evaluate('visavis.client.talking'), false);
  assert.equal(await text(page, 'notice'), '');
  await closePage(page);
});

// --- the microphone ----------------------------------------------------------------------

test('after a refusal the page recovers', async () => {
  const page = await openPlayer('?autostart=1', { before: microphoneDenied });
  await untilLive(page);
  // Connected, it may be idle for a moment; and the quality, which comes after it, may change.
  const isLive = "document.getElementById('state').textContent.startsWith('Live')";
  await until(page, isLive);
  await page.click('#microphone');
  await until(page, "document.getElementById('notice').textContent.includes('blocked')");
  assert.equal(await page.evaluate('visavis.client.microphone.code'), 'denied');
  await page.evaluate('window.allowed = true');
  await page.click('#microphone');
  await until(page, "document.getElementById('notice').textContent === 'You are heard'");
  await page.click('#microphone');
  await until(page, "document.getElementById('notice').textContent === ''");
  await until(page, isLive);
  await closePage(page);
});

test('a question that nobody answers is seen, and can be taken back', async () => {
  const page = await openPlayer('?autostart=1', { before: permissionPending });
  await untilLive(page);
  await page.click('#microphone');
  await until(page, "document.getElementById('notice').textContent.includes('Allow the microphone')");
  assert.equal(await page.evaluate('visavis.client.microphone.state'), 'asking');
  await page.click('#microphone');
  await until(page, "document.getElementById('notice').textContent === ''");
  await closePage(page);
});

test('a microphone that is muted by the system or taken away is seen', async () => {
  const before = () => {
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
      const stream = await ask(constraints);
      [window.track] = stream.getAudioTracks();
      return stream;
    };
  };
  const page = await openPlayer('?autostart=1', { before });
  await untilLive(page);
  await page.click('#microphone');
  await until(page, 'visavis.client.talking');
  await page.evaluate(() => {
    Object.defineProperty(track, 'muted', { value: true, configurable: true });
    track.dispatchEvent(new Event('mute'));
  });
  assert.match(await text(page, 'notice'), /muted by the system/);
  assert.equal(await page.evaluate('visavis.client.talking'), false);
  await page.evaluate(() => {
    delete track.muted;
    track.dispatchEvent(new Event('unmute'));
  });
  assert.equal(await text(page, 'notice'), 'You are heard');
  await page.evaluate(() => {
    track.stop();
    track.dispatchEvent(new Event('ended'));
  });
  await until(page, "document.getElementById('notice').textContent === 'The microphone was disconnected'");
  assert.equal(await page.getAttribute('#microphone', 'aria-pressed'), 'false');
  await closePage(page);
});

test('a microphone can be chosen, is remembered, and shows how loud it is', async () => {
  const page = await openPlayer('?autostart=1');
  await untilLive(page);
  await page.click('#microphone');
  await until(page, 'visavis.client.talking');
  await page.click('#open-settings');
  await until(page, "document.getElementById('which-microphone').options.length === 3");
  const chosen = await page.evaluate(() => document.getElementById('which-microphone').options[2].value);
  await page.selectOption('#which-microphone', { index: 2 });
  await until(page, (id) => visavis.client.microphone.deviceId === id, chosen);
  await until(page, "Number(document.getElementById('level').getAttribute('aria-valuenow')) > 10");
  await page.keyboard.press('Escape');
  await page.reload();
  await untilLive(page);
  await page.click('#microphone');
  await until(page, (id) => visavis.client.microphone.deviceId === id, chosen);
  await closePage(page);
});

test('what is plugged in or out is told, and what was chosen stays chosen', async () => {
  const before = () => {
    window.plugged = [{ kind: 'audioinput', deviceId: 'desk', label: 'Desk' }];
    navigator.mediaDevices.enumerateDevices = async () => window.plugged;
  };
  const page = await openPlayer('?autostart=1', { before });
  await untilLive(page);
  const change = (devices) =>
    page.evaluate((list) => {
      window.plugged = list.map(([kind, deviceId]) => ({ kind, deviceId, label: `The ${deviceId}` }));
      navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    }, devices);
  const untilEvents = (times) => until(page, (count) => window.deviceEvents.length === count, times);
  await page.evaluate(() => {
    window.deviceEvents = [];
    visavis.client.addEventListener('devices', ({ detail }) => deviceEvents.push(detail));
  });
  await page.click('#open-settings');
  await until(page, "document.getElementById('which-microphone').options.length === 2");
  await page.selectOption('#which-microphone', 'desk');

  await change([['audioinput', 'headset'], ['audioinput', 'desk'], ['audiooutput', 'headset']]);
  await untilEvents(1);
  assert.deepEqual(await page.evaluate('deviceEvents[0]'), {
    microphones: [{ deviceId: 'headset', label: 'The headset' }, { deviceId: 'desk', label: 'The desk' }],
    outputs: [{ deviceId: 'headset', label: 'The headset' }],
  });
  assert.deepEqual(await microphones(page), ['Default microphone', 'The headset', 'The desk']);
  assert.equal(await page.inputValue('#which-microphone'), 'desk');
  assert.equal(await page.isVisible('#output-setting'), true);

  await change([['audioinput', 'headset']]);
  await untilEvents(2);
  assert.deepEqual(await microphones(page), ['Default microphone', 'The headset']);
  assert.equal(await page.inputValue('#which-microphone'), '');
  assert.equal(await page.isVisible('#output-setting'), false);

  // After close() there are no more events.
  await page.evaluate('visavis.client.close()');
  await change([]);
  await page.waitForTimeout(200);
  await untilEvents(2);
  await closePage(page);
});

test('a track of the page\'s own is sent and is not stopped', async () => {
  const page = await openPlayer();
  const [on, sent, state, code] = await run(page, `
    const audio = new AudioContext();
    const tone = audio.createOscillator();
    const out = audio.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    const [track] = out.stream.getAudioTracks();
    const client = new VisavisClient();
    await client.connect();
    const on = await client.setMicrophone({ track });
    await until(() => client.connection.getSenders().some((sender) => sender.track === track));
    client.close();
    const gone = await client.setMicrophone({ track: { readyState: 'ended' } });
    return [on, true, track.readyState, gone || client.microphone.code];
  `);
  assert.deepEqual([on, sent, state, code], [true, true, 'live', 'failed']);
  await closePage(page);
});

test('volume and loudspeaker are set', async () => {
  const page = await openPlayer('?autostart=1');
  await untilLive(page);
  await page.click('#open-settings');
  await page.fill('#volume', '40');
  assert.equal(await page.evaluate('visavis.video.volume'), 0.4);
  assert.equal(await page.evaluate("visavis.client.setOutput('no such device')"), false);
  assert.equal(await page.evaluate("visavis.client.setOutput('')"), true);
  await closePage(page);
});

// --- what else is on the page ------------------------------------------------------------

test('the theme is the system\'s until one is chosen, which is remembered', async () => {
  const page = await openPlayer('', { context: { colorScheme: 'light' } });
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--ground'));
  assert.equal(await ground(), '#f7f5f1');
  await page.click('#open-settings');
  await page.check('[name=theme][value=dark]', { force: true });
  assert.equal(await ground(), '#0b0c10');
  await page.reload();
  await until(page, 'window.visavis');
  assert.equal(await ground(), '#0b0c10');
  await closePage(page);
});

test('the settings open at once, however long the system takes to list its devices', async () => {
  const before = () => {
    navigator.mediaDevices.enumerateDevices = () => new Promise((resolve) => {
      window.list = () => resolve([{ kind: 'audioinput', deviceId: 'desk', label: 'The desk' }]);
    });
  };
  const page = await openPlayer('', { before });
  await page.click('#open-settings');
  await page.getByRole('dialog', { name: 'Settings', exact: true }).waitFor();
  assert.deepEqual(await microphones(page), ['Default microphone']);
  await page.evaluate('list()');
  await until(page, "document.getElementById('which-microphone').options.length === 2");
  assert.deepEqual(await microphones(page), ['Default microphone', 'The desk']);
  await closePage(page);
});

test('captions, chat and controls come and go as the application says', async () => {
  const page = await openPlayer('?autostart=1');
  await untilLive(page);
  assert.equal(await page.isVisible('#chat') || (await page.isVisible('#interrupt')), false);
  await receiveMessage(page, { type: 'caption', text: 'Hello' });
  assert.equal(await text(page, 'caption'), 'Hello');
  await receiveMessage(page, { type: 'caption', text: '' });
  assert.equal(await page.isVisible('#caption'), false);
  await receiveMessage(page, { type: 'chat', text: '<img src=x onerror=alert(1)>', from: 'Anna' });
  assert.equal(await text(page, 'messages'), 'Anna<img src=x onerror=alert(1)>');
  await receiveMessage(page, { type: 'controls', chat: false, interrupt: true });
  assert.equal(await page.isVisible('#chat'), false);
  assert.equal(await page.isVisible('#interrupt'), true);
  for (const other of ['{', '{"type":7}', '[]', 'plain words', '{"type":"caption","text":5}', '{"type":"chat"}', 'null']) {
    await receiveMessage(page, other);
  }
  assert.equal(await page.isVisible('#caption'), false);
  assert.deepEqual(page.errors, []);
  await closePage(page);
});

test('the picture fills the screen and comes back', async () => {
  const page = await openPlayer('?autostart=1');
  await untilLive(page);
  await page.click('#full-screen');
  await until(page, "document.fullscreenElement?.id === 'scene'");
  // The button follows the browser's event, which comes after the change.
  await until(page, "document.getElementById('full-screen').getAttribute('aria-pressed') === 'true'");
  assert.equal(await page.isVisible('#leave'), true);
  await page.keyboard.press('f');
  await until(page, '!document.fullscreenElement');
  await closePage(page);
});

test('the element shows the face on any page of the server and leaves with it', async () => {
  const page = await openPlayer();
  const url = new URL('/ws', serverUrl).href;
  const states = await run(page, `
    await import('/visavis-element.js');
    const player = document.createElement('visavis-player');
    player.setAttribute('url', '${url}');
    player.setAttribute('autostart', '');
    const states = [];
    player.addEventListener('state', ({ detail }) => states.push(detail.state));
    const shown = new Promise((resolve) => player.addEventListener('firstframe', resolve));
    document.body.append(player);
    await shown;
    const { client } = player;
    player.remove();
    return [...states, client.state, player.client];
  `);
  assert.deepEqual(states, ['connecting', 'connected', 'closed', 'closed', null]);
  await closePage(page);
});
