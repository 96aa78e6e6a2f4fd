// Every state of the page in five sizes, light and dark: nothing outside the screen, enough contrast, no findings of axe.
// Takes a screenshot of each.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, describe, test } from 'node:test';
import {
  closeBrowser, closePage, microphoneDenied, openPlayer, openUrl, permissionPending, receiveMessage, serverIsFull, until,
  untilLive, untilState, withoutWebRtc,
} from './browser.mjs';
import { contrast } from './contrast.mjs';

const SIZES = [[320, 568], [375, 667], [768, 1024], [1024, 768], [1440, 900]];
const SHOTS = process.env.VISAVIS_SHOTS;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Rules for which axe reports `incomplete`, and why that is fine here. */
const DECIDED = {
  // Measured on pixels, by contrast().
  'color-contrast': true,
  // Captions of live video come over the data channel and are shown over the video.
  'video-caption': true,
};

/** Without animations. */
const context = { reducedMotion: 'reduce' };
const open = (path, options) => openPlayer(path, { ...options, context });

const STATES = {
  idle: () => open(),
  live: async () => {
    const page = await open('?autostart=1');
    await untilLive(page);
    return page;
  },
  talking: async () => {
    const page = await open();
    await page.click('#start');
    await untilLive(page);
    await page.keyboard.down('t');
    await until(page, 'visavis.client.talking');
    await page.hover('#talk');
    return page;
  },
  everything: async () => {
    const page = await open('?autostart=1&chat=1&interrupt=1');
    await untilLive(page);
    await page.click('#toggle-stats');
    await page.click('#microphone');
    await until(page, 'visavis.client.talking');
    await until(page, "document.querySelector('[data-graph=fps] [data-value]').textContent !== '–'");
    // Repeated, so that it is not hidden during the checks.
    await page.evaluate(() => {
      const data = JSON.stringify({ type: 'caption', text: 'Hello! What would you like to talk about today?' });
      const receive = () => visavis.client.dispatchEvent(new CustomEvent('message', { detail: { data } }));
      setInterval(receive, 1_000);
      receive();
    });
    await receiveMessage(page, { type: 'chat', from: 'Anna', text: 'Welcome. You can write here as well.' });
    await until(page, () => visavis.client.send(new Uint8Array(1)));
    await page.fill('#chat-input', 'Nice, thank you!');
    await page.press('#chat-input', 'Enter');
    await until(page, "document.getElementById('messages').childElementCount === 2");
    return page;
  },
  settings: async () => {
    const page = await open('?autostart=1');
    await untilLive(page);
    await page.click('#microphone');
    await until(page, 'visavis.client.talking');
    await page.click('#open-settings');
    await until(page, "document.getElementById('settings').open");
    await until(page, "document.getElementById('which-microphone').options.length > 1");
    return page;
  },
  'without-microphone': async () => {
    const page = await open('?autostart=1', { before: microphoneDenied });
    await untilLive(page);
    await page.click('#microphone');
    await until(page, "document.getElementById('notice').textContent.includes('blocked')");
    return page;
  },
  asking: async () => {
    const page = await open('?autostart=1', { before: permissionPending });
    await untilLive(page);
    await page.click('#microphone');
    await until(page, "document.getElementById('notice').textContent.includes('Allow')");
    return page;
  },
  waiting: async () => {
    const page = await open('', { before: serverIsFull });
    await page.click('#start');
    await untilState(page, 'Waiting');
    return page;
  },
  reconnecting: async () => {
    const page = await open('?autostart=1');
    await untilLive(page);
    await page.evaluate(() => {
      const detail = { state: 'reconnecting', code: 'lost', reason: 'the network is gone', attempt: 0, attempts: 6 };
      visavis.client.dispatchEvent(new CustomEvent('state', { detail }));
    });
    return page;
  },
  unknown: async () => {
    const page = await open('?session=nobody');
    await page.click('#start');
    await untilState(page, 'No such session');
    return page;
  },
  // The title is a setting.
  'long-title': async () => {
    const page = await open();
    await page.evaluate(() => {
      document.querySelector('.brand span').textContent = 'The Museum of Natural History and its Talking Guide Anna';
    });
    return page;
  },
  'no-such-session': () => openUrl('/webrtc/player/nobody', { context }),
  unsupported: () => open('', { before: withoutWebRtc }),
  left: async () => {
    const page = await open();
    await page.click('#start');
    await untilLive(page);
    await page.click('#leave');
    await untilState(page, 'You have left');
    return page;
  },
};

/** Controls and texts that are not entirely within the width of the screen, and buttons that are too small to touch. */
function misplaced() {
  const width = document.documentElement.clientWidth;
  const problems = document.documentElement.scrollWidth > width ? ['the page scrolls sideways'] : [];
  for (const element of document.querySelectorAll('button, select, input, p, a, h1, h2, dd, summary')) {
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const name = element.id || element.textContent.trim().slice(0, 30) || element.name;
    const { left, right, width: wide, height } = element.getBoundingClientRect();
    if (left < -0.5 || right > width + 0.5) problems.push(`${name}: ${left.toFixed()} to ${right.toFixed()} of ${width}`);
    if (element.matches('button, a') && (wide < 44 || height < 44)) problems.push(`${name}: ${wide} × ${height}`);
  }
  return problems;
}

after(closeBrowser);
if (SHOTS) mkdirSync(SHOTS, { recursive: true });

// Two at a time: each page waits for itself about as long as it computes.
describe('the page', { concurrency: 2 }, () => {
  for (const [state, begin] of Object.entries(STATES)) {
    test(`while it is ${state}`, async () => {
      const page = await begin();
      const problems = [];
      let [checked, lowest] = [0, Infinity];
      for (const colorScheme of ['dark', 'light']) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        for (const [width, height] of SIZES) {
          const where = `${colorScheme}, ${width} px:`;
          await page.setViewportSize({ width, height });
          await page.waitForTimeout(80);
          if (SHOTS) await page.screenshot({ path: `${SHOTS}/${state}-${colorScheme}-${width}.png` });
          for (const problem of await page.evaluate(misplaced)) problems.push(`${where} ${problem}`);
          const measured = await contrast(page);
          checked += measured.checked;
          lowest = Math.min(lowest, measured.lowest);
          for (const problem of measured.tooLow) problems.push(`${where} ${problem}`);
          if (width !== 320 && width !== 1440) continue;
          await page.evaluate(AXE);
          const { violations, incomplete } = await page.evaluate(() => axe.run(document));
          const undecided = incomplete.filter(({ id }) => !DECIDED[id]);
          for (const { id, nodes } of [...violations, ...undecided]) {
            problems.push(`${where} axe ${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
          }
        }
      }
      console.log(`${state}: ${checked} texts and icons, lowest contrast ${lowest.toFixed(1)} : 1`);
      assert.deepEqual(page.errors, []);
      assert.deepEqual(problems, []);
      assert.ok(checked > 0);
      await closePage(page);
    });
  }
});
