// Curves of chosen rows: what was measured, what it is compared with, and their squared difference.

const MOST_DRAWN = 12;
const SVG = 'http://www.w3.org/2000/svg';
const FRAME = {width: 346, height: 190, curves: 130, gap: 14}; // units; the difference is below

class CurveView {
  constructor(box, table, data) {
    this.box = box;
    this.table = table;
    this.data = data;
    table.mostDrawn = MOST_DRAWN;
    const values = Object.values(data.rows);
    this.low = Math.min(...values.map(lines => Math.min(...lines.map(line => Math.min(...line)))));
    this.high = Math.max(...values.map(lines => Math.max(...lines.map(line => Math.max(...line)))));
    if (!table.chosen.size) table.choose(this.first(), true);
    table.onChange(() => this.draw());
  }

  // Rows to begin with: the first of each class.
  first() {
    const column = this.table.names.indexOf('class');
    const firsts = new Map();
    for (const row of this.table.rows) {
      const name = column < 0 ? '' : cellText(row.cells[column]);
      if (!firsts.has(name)) firsts.set(name, row.dataset.row);
    }
    return [...firsts.values()];
  }

  draw() {
    const chosen = [...this.table.chosen.keys()].slice(0, MOST_DRAWN);
    this.largest = Math.max(...chosen.flatMap(key => this.squares(key)), 1e-12);
    const figures = chosen.map(key => this.figure(key));
    this.box.replaceChildren(...figures);
  }

  squares(key) {
    const [real, other] = this.data.rows[key];
    return real.map((value, i) => ((value - other[i]) * this.data.unit) ** 2);
  }

  figure(key) {
    const figure = element('figure', {});
    const caption = this.table.described(key).map(([name, text]) => `${name} ${text}`).join(', ');
    const frame = element('div', {className: 'frame'});
    frame.append(this.picture(key, caption));
    figure.append(element('figcaption', {textContent: caption}), frame);
    return figure;
  }

  picture(key, label) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('class', 'chart curves');
    svg.setAttribute('viewBox', `0 0 ${FRAME.width} ${FRAME.height}`);
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
    const lines = this.data.rows[key];
    const last = lines[0].length - 1;
    const x = i => i / last * FRAME.width;
    const y = value => (this.high - value) / (this.high - this.low || 1) * FRAME.curves;
    lines.forEach((line, i) => svg.append(path(`curve-${i}`, line.map((v, at) => [x(at), y(v)]))));
    const room = FRAME.height - FRAME.curves - FRAME.gap;
    const squares = this.squares(key);
    const outline = squares.map((v, at) => [x(at), FRAME.height - v / this.largest * room]);
    svg.append(path('area', [[0, FRAME.height], ...outline, [FRAME.width, FRAME.height]]));
    svg.addEventListener('pointermove', event => {
      const {x: across} = pointerIn(svg, event);
      const at = Math.min(last, Math.max(0, Math.round(across / FRAME.width * last)));
      show(event, [
        [this.data.x, String(this.data.positions[at])],
        ...this.data.names.map((name, i) => [name, (lines[i][at] * this.data.unit).toPrecision(3)]),
        ['squared difference', squares[at].toPrecision(3)],
      ]);
    });
    svg.addEventListener('pointerleave', () => { tip.hidden = true; });
    return svg;
  }
}

function path(name, points) {
  const made = document.createElementNS(SVG, 'path');
  made.setAttribute('class', name);
  made.setAttribute('d', `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}`);
  return made;
}
