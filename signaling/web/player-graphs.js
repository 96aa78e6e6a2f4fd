// Small graphs of the last minute, as SVG paths.

const SECONDS = 60;
/** In units of the viewBox; the page scales the SVG. */
const WIDTH = 240;
const HEIGHT = 56;
/** Space for the thickness of the line, and for the dot at its end. */
const MARGIN = 5;
const RIGHT = WIDTH - 6;

const SVG = 'http://www.w3.org/2000/svg';

/** One value over the last minute. */
export class Graph {
  #values = [];
  #minTop;
  #line;
  #area;
  #dot;
  #svg;
  #format;

  /**
   * @param {SVGSVGElement} svg
   * @param {{minTop: number, format: (value: number) => string}} options the scale reaches at
   *   least to `minTop`, so that small changes are not exaggerated
   */
  constructor(svg, { minTop, format }) {
    this.#svg = svg;
    this.#minTop = minTop;
    this.#format = format;
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    this.#area = this.#add('path', 'area');
    this.#line = this.#add('path', 'line');
    this.#dot = this.#add('path', 'dot');
  }

  #add(name, kind) {
    const element = document.createElementNS(SVG, name);
    element.setAttribute('class', kind);
    this.#svg.append(element);
    return element;
  }

  /** Called once a second. @param {?number} value null for a gap */
  push(value) {
    this.#values.push(value);
    if (this.#values.length > SECONDS) this.#values.shift();
    this.#draw();
  }

  #draw() {
    const known = this.#values.filter((value) => value !== null);
    const top = Math.max(this.#minTop, ...known) * 1.1;
    const x = (at) => RIGHT - ((this.#values.length - 1 - at) * RIGHT) / (SECONDS - 1);
    const y = (value) => HEIGHT - MARGIN - (value / top) * (HEIGHT - 2 * MARGIN);
    let line = '';
    let area = '';
    // Missing values are a gap, not zero.
    for (const run of runs(this.#values)) {
      const points = run.map(({ at, value }) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
      line += `M${points.join('L')}`;
      area += `M${x(run[0].at).toFixed(1)} ${HEIGHT}L${points.join('L')}L${x(run.at(-1).at).toFixed(1)} ${HEIGHT}Z`;
    }
    this.#line.setAttribute('d', line);
    this.#area.setAttribute('d', area);
    const last = this.#values.at(-1);
    const here = last === null ? '' : `M${RIGHT} ${y(last).toFixed(1)}h0`;
    this.#dot.setAttribute('d', here);
    this.#svg.setAttribute('aria-label', this.#describe(known, last));
  }

  #describe(known, last) {
    if (known.length === 0) return 'No data yet';
    const [low, high] = [Math.min(...known), Math.max(...known)].map(this.#format);
    const now = last === null ? 'no data' : this.#format(last);
    return `${now} now; between ${low} and ${high} over the last minute`;
  }
}

/** The runs of values without gaps. */
function runs(values) {
  const all = [];
  let run = [];
  values.forEach((value, at) => {
    if (value !== null) run.push({ at, value });
    else if (run.length > 0) all.push(run);
    if (value === null) run = [];
  });
  if (run.length > 0) all.push(run);
  return all;
}
