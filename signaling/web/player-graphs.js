// Small graphs of the last minute, as SVG paths.

const SECONDS = 60;
/** Units of the drawing; the page scales it. */
const WIDTH = 240;
const HEIGHT = 56;
/** Room for the line's own thickness, and for the dot at its end. */
const MARGIN = 5;
const RIGHT = WIDTH - 6;

const SVG = 'http://www.w3.org/2000/svg';

/** One figure over the last minute. */
export class Graph {
  #values = [];
  #least;
  #line;
  #area;
  #dot;
  #svg;
  #inWords;

  /**
   * @param {SVGSVGElement} svg
   * @param {{least: number, inWords: (value: number) => string}} options the top of the scale is at least
   *   `least`, so that a figure that hardly changes is not drawn as mountains
   */
  constructor(svg, { least, inWords }) {
    this.#svg = svg;
    this.#least = least;
    this.#inWords = inWords;
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

  /** A second has passed. @param {?number} value null where there is none */
  push(value) {
    this.#values.push(value);
    if (this.#values.length > SECONDS) this.#values.shift();
    this.#draw();
  }

  #draw() {
    const known = this.#values.filter((value) => value !== null);
    const top = Math.max(this.#least, ...known) * 1.1;
    const x = (at) => RIGHT - ((this.#values.length - 1 - at) * RIGHT) / (SECONDS - 1);
    const y = (value) => HEIGHT - MARGIN - (value / top) * (HEIGHT - 2 * MARGIN);
    let line = '';
    let area = '';
    // Seconds without a figure are a gap, not a zero.
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
    if (known.length === 0) return 'No figures yet';
    const [low, high] = [Math.min(...known), Math.max(...known)].map(this.#inWords);
    const now = last === null ? 'nothing' : this.#inWords(last);
    return `${now} now; between ${low} and ${high} over the last minute`;
  }
}

/** The stretches without holes. */
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
