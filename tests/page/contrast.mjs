// Measures contrast on pixels: each text's colour against the background it is drawn on (WCAG 2.2, 1.4.3 and 1.4.11).

/** Runs in the page: lists texts and icons with their colour and position. */
function collect() {
  const opacityOf = (element) => {
    let opacity = 1;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    return opacity;
  };
  const top = document.querySelector('dialog[open]');
  const found = [];
  const add = (element, rects, least, what) => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return;
    // Disabled controls are exempt, and what a dialog covers cannot be read.
    if (element.closest(':disabled') || (top && !top.contains(element))) return;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    for (const { left, top: y, width, height } of rects) {
      if (width < 1 || height < 1 || left < 0 || y < 0) continue;
      if (left + width > innerWidth || y + height > innerHeight) continue;
      const middle = document.elementFromPoint(left + width / 2, y + height / 2);
      if (!middle || !(middle === element || element.contains(middle) || middle.contains(element))) continue;
      found.push({ what, color, opacity: opacityOf(element), least: least ?? (large ? 3 : 4.5), left, top: y, width, height });
    }
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { currentNode: node } = walker;
    const text = node.textContent.trim();
    if (!text || node.parentElement.closest('script, noscript, option')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    add(node.parentElement, [...range.getClientRects()], null, text.slice(0, 40));
  }
  for (const svg of document.querySelectorAll('button svg')) {
    add(svg.closest('button'), [svg.getBoundingClientRect()], 3, `the icon of ${svg.closest('button').id || 'a button'}`);
  }
  for (const field of document.querySelectorAll('input[type=text], select')) {
    // Inside its border.
    const { left, top: y, width, height } = field.getBoundingClientRect();
    add(field, [{ left: left + 16, top: y + 8, width: width - 48, height: height - 16 }], 4.5, `what is in ${field.id}`);
  }
  return found;
}

/** Runs in an empty page: the contrast of each item against a screenshot without the texts. */
async function compare({ png, items, scale }) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  return items.map((item) => {
    const numbers = item.color.match(/[\d.]+/g).map(Number);
    const [color, alpha] = [numbers.slice(0, 3), (numbers[3] ?? 1) * item.opacity];
    const area = [item.left, item.top, item.width, item.height].map((value) => Math.round(value * scale));
    const { data } = context.getImageData(area[0], area[1], Math.max(1, area[2]), Math.max(1, area[3]));
    const ratios = [];
    for (let at = 0; at < data.length; at += 4) {
      const background = [data[at], data[at + 1], data[at + 2]];
      const blended = color.map((value, index) => alpha * value + (1 - alpha) * background[index]);
      const [light, dark] = [luminance(blended), luminance(background)].sort((a, b) => b - a);
      ratios.push((light + 0.05) / (dark + 0.05));
    }
    ratios.sort((a, b) => a - b);
    // The fifth percentile, as rounded corners have the colour of the surroundings.
    return { ...item, ratio: ratios[Math.floor(ratios.length / 20)] };
  });
}

const emptyPages = new WeakMap();

/** A page of the context's that nothing is shown in, made once: to open one takes longer than to measure. */
async function emptyPage(context) {
  if (!emptyPages.has(context)) emptyPages.set(context, await context.newPage());
  return emptyPages.get(context);
}

/**
 * Finds texts and icons with too little contrast.
 * @param {import('playwright-core').Page} page
 * @returns {Promise<{checked: number, tooLow: string[], lowest: number}>}
 */
export async function contrast(page) {
  const items = await page.evaluate(collect);
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('* { color: transparent !important; transition: none !important; } ::placeholder { color: transparent !important; }');
    document.adoptedStyleSheets = [sheet];
  });
  const png = (await page.screenshot()).toString('base64');
  await page.evaluate(() => {
    document.adoptedStyleSheets = [];
  });
  const measured = await (await emptyPage(page.context())).evaluate(compare, { png, items, scale: 1 });
  const tooLow = measured.filter(({ ratio, least }) => ratio < least);
  return {
    checked: measured.length,
    lowest: Math.min(...measured.map(({ ratio, least }) => (ratio * 4.5) / least)),
    tooLow: tooLow.map(({ what, color, ratio, least }) => `“${what}” ${color}: contrast ${ratio.toFixed(2)}, at least ${least} needed`),
  };
}
