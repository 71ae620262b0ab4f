// Tables: all can be downloaded; those with a key are sorted, filtered and chosen from as well.

const PALETTE = 6; // colours of the chosen, as the style sheet has them
const CONDITION = /^(.+?)(<=|>=|<|>|=)(.+)$/;

const kept = new Map(); // what was chosen, sorted and filtered, by the table's key

class ChoiceTable {
  constructor(table) {
    this.table = table;
    this.key = table.dataset.key;
    this.box = table.closest('.table');
    this.body = table.tBodies[0];
    this.rows = [...this.body.rows];
    this.texts = new Map(this.rows.map(row => [row, row.textContent.toLowerCase()]));
    this.boxes = new Map();
    this.head = [...table.tHead.rows[0].cells];
    this.names = this.head.map(cell => cell.textContent.trim());
    this.listeners = [];
    this.mostDrawn = Infinity;
    this.unmet = [];
    if (!kept.has(this.key)) kept.set(this.key, {chosen: new Map(), filter: '', sorted: null});
    this.state = kept.get(this.key);
    this.addControls();
    this.head.forEach((cell, column) => this.addSorting(cell, column));
    this.rows.forEach(row => this.addChoice(row));
    const here = new Set(this.rows.map(row => row.dataset.row));
    for (const key of this.state.chosen.keys()) if (!here.has(key)) this.state.chosen.delete(key);
    if (this.state.sorted) this.sort(this.state.sorted.column, this.state.sorted.down);
    this.filter();
    this.changed();
  }

  get chosen() {
    return this.state.chosen;
  }

  row(key) {
    return this.rows.find(row => row.dataset.row === key);
  }

  // What a row says, as [column, text], for who points at it elsewhere on the page.
  described(key) {
    const row = this.row(key);
    return row ? [...row.cells].map((cell, i) => [this.names[i], cellText(cell)])
      .filter(([name, text]) => text && text !== '–' && name !== 'files') : [];
  }

  onChange(listener) {
    this.listeners.push(listener);
    listener();
  }

  changed() {
    for (const [row, box] of this.boxes) {
      const colour = this.chosen.get(row.dataset.row);
      const isChosen = colour !== undefined;
      box.checked = isChosen;
      if (isChosen === row.classList.contains('chosen')) continue;
      row.classList.toggle('chosen', isChosen);
      row.style.setProperty('--chosen', isChosen ? `var(--chosen-${colour})` : '');
    }
    this.count();
    this.listeners.forEach(listener => listener());
  }

  // Each of the chosen gets the colour that the fewest have.
  choose(keys, on) {
    const used = Array(PALETTE).fill(0);
    for (const colour of this.chosen.values()) used[colour] += 1;
    for (const key of keys) {
      if (!on) this.chosen.delete(key);
      else if (!this.chosen.has(key)) {
        const colour = used.indexOf(Math.min(...used));
        used[colour] += 1;
        this.chosen.set(key, colour);
      }
    }
    this.changed();
  }

  toggle(key) {
    this.choose([key], !this.chosen.has(key));
  }

  addControls() {
    const id = `filter-${this.key}`;
    const bar = element('div', {className: 'controls'});
    this.input = element('input', {id, type: 'search', value: this.state.filter,
      placeholder: `${this.names[0]}…`, autocomplete: 'off', spellcheck: false});
    this.input.setAttribute('aria-describedby', `${id}-hint`);
    this.input.addEventListener('input', () => this.filter());
    this.shown = element('span', {className: 'count'});
    this.shown.setAttribute('role', 'status');
    const numeric = this.names.find((name, i) => this.head[i].classList.contains('number')
      && !name.includes(' '));
    const example = numeric ? ` or conditions such as ${numeric.split('.').at(-1)}>0` : '';
    bar.append(
      element('label', {htmlFor: id, textContent: 'Filter '}), this.input,
      button('choose all shown', () => this.choose(this.visible().map(r => r.dataset.row), true)),
      button('choose none', () => this.choose([...this.chosen.keys()], false)),
      this.shown,
      element('p', {id: `${id}-hint`, className: 'hint', textContent:
        `Words${example}, with blanks between them. Column names sort; the chosen are drawn.`}),
    );
    this.box.before(bar);
  }

  addSorting(cell, column) {
    const name = cell.textContent.trim();
    if (!name || name === 'files') return;
    const sort = button('', () => {
      const last = this.state.sorted;
      const isNumber = cell.classList.contains('number');
      this.sort(column, last?.column === column ? !last.down : isNumber);
    });
    sort.append(...cell.childNodes);
    cell.append(sort);
  }

  addChoice(row) {
    const cell = row.cells[0];
    const box = element('input', {type: 'checkbox'});
    box.setAttribute('aria-label', `choose ${cellText(cell)}`);
    box.addEventListener('change', () => this.choose([row.dataset.row], box.checked));
    cell.prepend(box, ' ');
    this.boxes.set(row, box);
    row.addEventListener('click', event => {
      if (!event.target.closest('a, input') && !getSelection().toString()) {
        this.toggle(row.dataset.row);
      }
    });
  }

  sort(column, down) {
    this.state.sorted = {column, down};
    const value = row => sortValue(row.cells[column]);
    const sign = down ? -1 : 1;
    this.rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === '' || y === '') return (x === '') - (y === ''); // what has no value is last
      if (typeof x === typeof y) return sign * (x < y ? -1 : x > y ? 1 : 0);
      return typeof x === 'number' ? -1 : 1;
    });
    this.body.append(...this.rows);
    this.head.forEach((cell, i) => {
      if (i === column) cell.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    });
  }

  filter() {
    this.state.filter = this.input.value;
    const terms = this.terms(this.input.value);
    const tests = terms.map(term => this.test(term));
    for (const row of this.rows) row.hidden = !tests.every(test => test(row));
    this.unmet = terms.filter((_, i) => !this.rows.some(tests[i])).map(term => this.why(term));
    this.count();
  }

  // Why no row is as a word or condition asks.
  why(term) {
    const name = CONDITION.exec(term)?.[1];
    return name && this.column(name) < 0 ? `no column is named “${name}”` : `no row has “${term}”`;
  }

  // Words and conditions, the blanks of a condition's name as _ and those around its sign left out.
  terms(text) {
    let terms = text.trim().toLowerCase().replace(/\s*(<=|>=|<|>|=)\s*/g, '$1');
    for (const name of this.names.map(each => each.toLowerCase()).filter(n => n.includes(' '))) {
      for (const sign of '<>=') {
        terms = terms.replaceAll(name + sign, name.replaceAll(' ', '_') + sign);
      }
    }
    return terms.split(/\s+/).filter(Boolean);
  }

  test(term) {
    const [, name, sign, text] = CONDITION.exec(term) ?? [];
    const column = name ? this.column(name) : -1;
    if (column < 0) return row => this.texts.get(row).includes(term);
    const wanted = Number.isNaN(Number(text)) ? text : Number(text);
    return row => {
      const value = sortValue(row.cells[column]);
      if (value === '') return false;
      if (typeof value !== typeof wanted) return sign === '=' && String(value).includes(text);
      return {'<': value < wanted, '<=': value <= wanted, '>': value > wanted,
        '>=': value >= wanted, '=': value === wanted}[sign];
    };
  }

  // The column that a condition names: by its whole name, the end of it, or its beginning.
  column(name) {
    const names = this.names.map(each => each.toLowerCase().replaceAll(' ', '_'));
    const fits = [each => each === name, each => each.endsWith(`.${name}`),
      each => each.startsWith(name)];
    return fits.map(fit => names.findIndex(fit)).find(index => index >= 0) ?? -1;
  }

  visible() {
    return this.rows.filter(row => !row.hidden);
  }

  count() {
    const [shown, all, chosen] = [this.visible().length, this.rows.length, this.chosen.size];
    const drawn = chosen > this.mostDrawn ? `, ${this.mostDrawn} of ${chosen} drawn` : '';
    const unmet = this.unmet.map(reason => `; ${reason}`).join('');
    this.shown.textContent = `${shown} of ${all} shown, ${chosen} chosen${drawn}${unmet}`;
  }
}

// What a cell says, its note in brackets.
function cellText(cell) {
  const note = cell.querySelector('small')?.textContent ?? '';
  const text = [...cell.childNodes].filter(node => node.nodeName !== 'SMALL')
    .map(node => node.nodeName === 'svg' ? '' : node.textContent).join('').trim();
  return note ? `${text} (${note.trim()})` : text;
}

// A number where the cell holds one, else its text in small letters; '' for none.
function sortValue(cell) {
  const text = cell.dataset.value ?? cellText(cell);
  const number = Number(text.replaceAll(',', '').replace('−', '-'));
  if (text === '' || text === '–') return '';
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

// A table as comma-separated values (RFC 4180): rows that are shown, numbers with all their digits.
function csv(table) {
  const columns = [...table.tHead.rows[0].cells].map((cell, i) => [cell.textContent.trim(), i])
    .filter(([name]) => name && name !== 'files');
  const quote = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const lines = [columns.map(([name]) => quote(name))];
  for (const row of table.tBodies[0].rows) {
    if (row.hidden) continue;
    lines.push(columns.map(([, i]) => {
      const cell = row.cells[i];
      return quote(cell.dataset.value ?? cellText(cell).replace(/^−(?=\d)/, '-'));
    }));
  }
  return lines.map(line => line.join(',')).join('\r\n') + '\r\n';
}

function addDownload(table) {
  const section = table.closest('section');
  const at = [...section.querySelectorAll('table')].indexOf(table);
  const own = table.dataset.key ?? (at ? `${section.id}-${at + 1}` : section.id);
  const name = `${document.querySelector('.name').textContent}-${own}.csv`;
  const link = element('a', {href: '#', className: 'download', textContent: 'CSV', download: name});
  link.setAttribute('aria-label', `CSV of ${table.closest('.table').getAttribute('aria-label')}`);
  link.addEventListener('click', () => {
    const url = URL.createObjectURL(new Blob([csv(table)], {type: 'text/csv'}));
    link.href = url;
    setTimeout(() => {
      URL.revokeObjectURL(url);
      link.href = '#';
    }, 1000);
  });
  table.closest('.table').after(link);
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function button(text, onClick) {
  const made = element('button', {type: 'button', textContent: text});
  made.addEventListener('click', onClick);
  return made;
}
