// Pictures: marks of trials can be pointed at and chosen; elsewhere the pointer's position is read.

const REACH = 14; // pixels from a mark at which it is pointed at
const tip = element('div', {id: 'tip', hidden: true});
tip.setAttribute('role', 'tooltip');
document.body.append(tip);

class Chart {
  constructor(svg, table) {
    this.svg = svg;
    this.table = table;
    this.marks = [...svg.querySelectorAll('[data-trial]')];
    this.scales = ['x', 'y'].filter(name => svg.dataset[name])
      .map(name => [name, JSON.parse(svg.dataset[name])]);
    if (!this.marks.length && !this.scales.length) return;
    svg.addEventListener('pointermove', event => this.point(event));
    svg.addEventListener('pointerleave', () => this.leave());
    if (this.marks.length && table) {
      svg.addEventListener('click', event => {
        const mark = this.nearest(event);
        if (mark) table.toggle(mark.dataset.trial);
      });
      this.byTrial = new Map(this.marks.map(mark => [mark.dataset.trial, []]));
      for (const mark of this.marks) this.byTrial.get(mark.dataset.trial).push(mark);
    }
  }

  // Draw the chosen in their colours, on top of the others.
  paint() {
    if (!this.byTrial) return;
    const chosen = this.table.chosen;
    this.svg.classList.toggle('has-chosen', chosen.size > 0);
    for (const mark of this.painted ?? []) {
      if (chosen.has(mark.dataset.trial)) continue;
      mark.classList.remove('chosen');
      mark.style.removeProperty('--chosen');
    }
    const groups = new Map();
    for (const [trial, colour] of chosen) {
      for (const mark of this.byTrial.get(trial) ?? []) {
        mark.classList.add('chosen');
        mark.style.setProperty('--chosen', `var(--chosen-${colour})`);
        if (!groups.has(mark.parentNode)) groups.set(mark.parentNode, []);
        groups.get(mark.parentNode).push(mark);
      }
    }
    for (const [group, marks] of groups) {
      group.append(...marks);
      group.parentNode.append(group);
    }
    this.painted = [...groups.values()].flat();
  }

  nearest(event) {
    const at = pointerIn(this.svg, event);
    const scale = this.svg.getScreenCTM().a;
    this.points ??= this.marks.map(pointsOf);
    let best = null;
    let least = REACH / scale;
    this.points.forEach((points, index) => {
      const distance = distanceTo(points, at.x, at.y, least);
      if (distance < least) [best, least] = [this.marks[index], distance];
    });
    return best;
  }

  point(event) {
    const mark = this.table && this.marks.length ? this.nearest(event) : null;
    this.hover(mark);
    if (mark) show(event, this.table.described(mark.dataset.trial));
    else show(event, this.read(pointerIn(this.svg, event)));
  }

  hover(mark) {
    this.hovered?.classList.remove('hovered');
    this.hovered = mark;
    mark?.classList.add('hovered');
    this.svg.classList.toggle('pointed', Boolean(mark));
  }

  leave() {
    this.hover(null);
    tip.hidden = true;
  }

  // The values of the axes where the pointer is; nothing outside them.
  read(at) {
    const values = this.scales.map(([name, scale]) => {
      const [from, to] = scale.at;
      const share = (at[name] - from) / (to - from);
      const [low, high] = scale.log ? scale.values.map(Math.log) : scale.values;
      const value = low + share * (high - low);
      return share < 0 || share > 1 ? null
        : [scale.label, (scale.log ? Math.exp(value) : value).toPrecision(3)];
    });
    return values.includes(null) ? [] : values;
  }
}

// The pointer's position in the units of a picture.
function pointerIn(svg, event) {
  const point = new DOMPoint(event.clientX, event.clientY);
  return point.matrixTransform(svg.getScreenCTM().inverse());
}

// The corners of a mark: of a dot one, of a line all.
function pointsOf(mark) {
  if (mark.hasAttribute('x')) return [Number(mark.getAttribute('x')), Number(mark.getAttribute('y'))];
  return mark.getAttribute('d').match(/-?[\d.]+(e-?\d+)?/g).map(Number);
}

// The distance of (x, y) from a dot or a line; anything above `most` where it is farther.
function distanceTo(points, x, y, most) {
  if (points.length === 2) return Math.hypot(points[0] - x, points[1] - y);
  let least = Infinity;
  for (let i = 0; i + 3 < points.length; i += 2) {
    const [ax, ay, bx, by] = [points[i], points[i + 1], points[i + 2], points[i + 3]];
    if (Math.max(ax, bx) < x - most || Math.min(ax, bx) > x + most) continue;
    const [dx, dy] = [bx - ax, by - ay];
    const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
    const share = Math.min(1, Math.max(0, along));
    least = Math.min(least, Math.hypot(ax + share * dx - x, ay + share * dy - y));
  }
  return least;
}

function show(event, lines) {
  tip.hidden = !lines.length;
  if (!lines.length) return;
  tip.replaceChildren(...lines.map(([name, text]) => {
    const line = element('div', {});
    const isNamed = !text.startsWith(name); // a trial's name says what it is
    if (isNamed) line.append(element('span', {textContent: `${name} `}));
    line.append(element('b', {textContent: text}));
    return line;
  }));
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const right = event.clientX + 16 + width > innerWidth;
  const left = right ? event.clientX - 16 - width : event.clientX + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - height - 4))}px`;
}

addEventListener('keydown', event => {
  if (event.key === 'Escape') tip.hidden = true;
});
