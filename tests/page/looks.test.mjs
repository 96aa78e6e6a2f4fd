// Every state of the page in five sizes, light and dark: nothing outside the screen, nothing too faint, nothing that axe
// objects to. Leaves a picture of each.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import {
  everybodyElse, leave, noWebRtc, open as openAny, quit, refusal, says, seen, silence, tell, until, visit,
} from './browser.mjs';
import { contrast } from './contrast.mjs';

const SIZES = [[320, 568], [375, 667], [768, 1024], [1024, 768], [1440, 900]];
const SHOTS = process.env.VISAVIS_SHOTS;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe cannot decide by itself. */
const DECIDED = {
  // Measured by its pixels, below.
  'color-contrast': true,
  // A live picture's captions come with it, and are shown over it.
  'video-caption': true,
};

/** What comes with a movement is there at once. */
const context = { reducedMotion: 'reduce' };
const open = (path, options) => visit(path, { ...options, context });

const STATES = {
  idle: () => open(),
  live: async () => {
    const page = await open('?autostart=1');
    await seen(page);
    return page;
  },
  talking: async () => {
    const page = await open();
    await page.click('#start');
    await seen(page);
    await page.keyboard.down('t');
    await until(page, 'visavis.client.talking');
    await page.hover('#talk');
    return page;
  },
  everything: async () => {
    const page = await open('?autostart=1&chat=1&interrupt=1');
    await seen(page);
    await page.click('#show-figures');
    await page.click('#microphone');
    await until(page, "document.querySelector('[data-graph=fps] [data-value]').textContent !== '–'");
    // Said again and again, so that it does not fade while it is looked at.
    await page.evaluate(() => {
      const data = JSON.stringify({ type: 'caption', text: 'Hello! What would you like to talk about today?' });
      const say = () => visavis.client.dispatchEvent(new CustomEvent('message', { detail: { data } }));
      setInterval(say, 1_000);
      say();
    });
    await tell(page, { type: 'chat', from: 'Anna', text: 'Welcome. You can write here as well.' });
    await until(page, () => visavis.client.send(new Uint8Array(1)));
    await page.fill('#words', 'Nice, thank you!');
    await page.press('#words', 'Enter');
    return page;
  },
  settings: async () => {
    const page = await open('?autostart=1');
    await seen(page);
    await page.click('#microphone');
    await until(page, 'visavis.client.talking');
    await page.click('#open-settings');
    return page;
  },
  'without-microphone': async () => {
    const page = await open('?autostart=1', { before: refusal });
    await seen(page);
    await page.click('#microphone');
    await until(page, "document.getElementById('notice').textContent.includes('blocked')");
    return page;
  },
  asking: async () => {
    const page = await open('?autostart=1', { before: silence });
    await seen(page);
    await page.click('#microphone');
    await until(page, "document.getElementById('notice').textContent.includes('Allow')");
    return page;
  },
  waiting: async () => {
    const page = await open('', { before: everybodyElse });
    await page.click('#start');
    await says(page, 'Waiting');
    return page;
  },
  reconnecting: async () => {
    const page = await open('?autostart=1');
    await seen(page);
    await page.evaluate(() => {
      const detail = { state: 'reconnecting', code: 'lost', reason: 'the network is gone', attempt: 0, attempts: 6 };
      visavis.client.dispatchEvent(new CustomEvent('state', { detail }));
    });
    return page;
  },
  unknown: async () => {
    const page = await open('?session=nobody');
    await page.click('#start');
    await says(page, 'No such session');
    return page;
  },
  // The page's name is a setting.
  'long-title': async () => {
    const page = await open();
    await page.evaluate(() => {
      document.querySelector('.brand span').textContent = 'The Museum of Natural History and its Talking Guide Anna';
    });
    return page;
  },
  'no-such-session': () => openAny('/webrtc/player/nobody', { context }),
  unsupported: () => open('', { before: noWebRtc }),
  left: async () => {
    const page = await open();
    await page.click('#start');
    await seen(page);
    await page.click('#leave');
    return page;
  },
};

/** Whatever can be pressed or read and is not wholly within the screen's width, or is too small for a thumb. */
function misplaced() {
  const width = document.documentElement.clientWidth;
  const faults = document.documentElement.scrollWidth > width ? ['the page scrolls sideways'] : [];
  for (const element of document.querySelectorAll('button, select, input, p, a, h1, h2, dd, summary')) {
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const name = element.id || element.textContent.trim().slice(0, 30) || element.name;
    const { left, right, width: wide, height } = element.getBoundingClientRect();
    if (left < -0.5 || right > width + 0.5) faults.push(`${name}: ${left.toFixed()} to ${right.toFixed()} of ${width}`);
    if (element.matches('button, a') && (wide < 44 || height < 44)) faults.push(`${name}: ${wide} × ${height}`);
  }
  return faults;
}

after(quit);
if (SHOTS) mkdirSync(SHOTS, { recursive: true });

for (const [state, begin] of Object.entries(STATES)) {
  test(`the page while it is ${state}`, async () => {
    const page = await begin();
    const faults = [];
    let [looked, least] = [0, Infinity];
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const [width, height] of SIZES) {
        const where = `${colorScheme}, ${width} px:`;
        await page.setViewportSize({ width, height });
        await page.waitForTimeout(80);
        if (SHOTS) await page.screenshot({ path: `${SHOTS}/${state}-${colorScheme}-${width}.png` });
        for (const fault of await page.evaluate(misplaced)) faults.push(`${where} ${fault}`);
        const seen = await contrast(page);
        looked += seen.looked;
        least = Math.min(least, seen.least);
        for (const fault of seen.faint) faults.push(`${where} ${fault}`);
        if (width !== 320 && width !== 1440) continue;
        await page.evaluate(AXE);
        const { violations, incomplete } = await page.evaluate(() => axe.run(document));
        const undecided = incomplete.filter(({ id }) => !DECIDED[id]);
        for (const { id, nodes } of [...violations, ...undecided]) {
          faults.push(`${where} axe ${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
        }
      }
    }
    console.log(`${state}: ${looked} texts and icons, the faintest as ${least.toFixed(1)} : 1`);
    assert.deepEqual(page.faults, []);
    assert.deepEqual(faults, []);
    assert.ok(looked > 0);
    await leave(page);
  });
}
