// Live figures, small graphs and a log, behind a switch.

import { Graph } from './player-graphs.js';
import { find, recall, remember, showSection } from './player-page.js';

const LOG_LINES = 200;

const number = (value, digits, unit) =>
  value === null || value === undefined ? '–' : `${value.toFixed(digits)} ${unit}`;
const bitrate = (value) => (value >= 1000 ? number(value / 1000, 1, 'Mb/s') : number(value, 0, 'kb/s'));

const GRAPHS = {
  latency: { of: (f) => f.latencyMs, least: 50, inWords: (v) => number(v, 0, 'ms') },
  fps: { of: (f) => f.fps, least: 30, inWords: (v) => number(v, 0, 'fps') },
  bitrate: { of: (f) => f.bitrateKbps, least: 500, inWords: bitrate },
  loss: { of: (f) => f.lossPercent, least: 2, inWords: (v) => number(v, 1, '%') },
};
const FIGURES = {
  rtt: (f) => number(f.rttMs, f.rttMs < 10 ? 1 : 0, 'ms'),
  buffer: (f) => number(f.jitterBufferMs, 0, 'ms'),
  freezes: (f) => String(f.freezes),
  size: (f) => (f.width ? `${f.width} × ${f.height}` : '–'),
  codecs: (f) => [f.codec, f.audioCodec].filter(Boolean).join(', ') || '–',
};

/** @param {import('./visavis-client.js').VisavisClient} client */
export function wireFigures(client) {
  const graphs = [...document.querySelectorAll('[data-graph]')].map((section) => {
    const kind = GRAPHS[section.dataset.graph];
    const graph = new Graph(section.querySelector('svg'), kind);
    return { ...kind, graph, value: section.querySelector('[data-value]') };
  });
  const cells = [...document.querySelectorAll('[data-figure]')];

  function show(figures) {
    for (const { of, inWords, value } of graphs) value.textContent = figures ? inWords(of(figures)) : '–';
    for (const cell of cells) cell.textContent = figures ? FIGURES[cell.dataset.figure](figures) : '–';
  }

  client.addEventListener('figures', ({ detail }) => {
    show(detail);
    for (const { of, graph } of graphs) graph.push(of(detail));
  });
  client.addEventListener('state', ({ detail: { state } }) => {
    // Figures of a connection that is gone say nothing.
    if (state !== 'connected') show(null);
  });
  // Lost seconds are seconds too: the graphs go on, with a gap.
  setInterval(() => {
    if (client.state !== 'reconnecting') return;
    for (const { graph } of graphs) graph.push(null);
  }, 1000);

  client.addEventListener('log', ({ detail }) => {
    const line = document.createElement('li');
    const time = document.createElement('time');
    time.textContent = new Date().toLocaleTimeString([], { hour12: false });
    line.append(time, ` ${detail.text}`);
    const log = find('log');
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(line);
    while (log.childElementCount > LOG_LINES) log.firstElementChild.remove();
    // Whoever reads further up is left there.
    if (atEnd) log.scrollTop = log.scrollHeight;
  });

  const button = find('show-figures');
  function reveal(shown) {
    showSection(find('figures-panel'), shown);
    button.setAttribute('aria-pressed', String(shown));
  }
  button.addEventListener('click', () => {
    const shown = find('figures-panel').hidden;
    reveal(shown);
    remember('figures', shown ? 'shown' : '');
  });
  reveal(recall('figures') === 'shown');
}
