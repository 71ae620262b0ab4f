// The page as it is opened, and, where it is served while a study runs, as it changes.

function setUp() {
  const tables = new Map();
  for (const table of document.querySelectorAll('main table')) {
    if (table.dataset.key) tables.set(table.dataset.key, new ChoiceTable(table));
    addDownload(table);
  }
  const trials = tables.get('trials');
  const charts = [...document.querySelectorAll('svg.chart')].map(svg => new Chart(svg, trials));
  trials?.onChange(() => charts.forEach(chart => chart.paint()));
  for (const script of document.querySelectorAll('script[data-curves]')) {
    const key = script.dataset.curves;
    const box = document.getElementById(`curves-${key}`);
    new CurveView(box, tables.get(key), JSON.parse(script.textContent));
  }
  watchOverflow();
}

// Say of what is wider than its room that it scrolls.
const overflow = new ResizeObserver(entries => entries.forEach(({target}) => sign(target)));

function sign(box) {
  box.classList.toggle('scrolls', box.scrollWidth > box.clientWidth + 1);
}

function watchOverflow() {
  overflow.disconnect();
  for (const box of document.querySelectorAll('.table, .frame')) overflow.observe(box);
}

// Take the sections that are new; what was opened, chosen, sorted, filtered and scrolled stays.
async function update() {
  const text = await (await fetch(location.pathname, {cache: 'no-store'})).text();
  const fresh = new DOMParser().parseFromString(text, 'text/html');
  const focus = document.activeElement?.id;
  const open = [...document.querySelectorAll('details[open]')].map(nameOf);
  const scrolled = new Map([...document.querySelectorAll('.table, .frame')]
    .map(box => [box.getAttribute('aria-label'), [box.scrollLeft, box.scrollTop]]));
  const [x, y] = [scrollX, scrollY];
  document.querySelector('main').replaceWith(fresh.querySelector('main'));
  document.querySelector('.facts').replaceWith(fresh.querySelector('.facts'));
  setUp();
  for (const each of document.querySelectorAll('details')) each.open = open.includes(nameOf(each));
  for (const box of document.querySelectorAll('.table, .frame')) {
    [box.scrollLeft, box.scrollTop] = scrolled.get(box.getAttribute('aria-label')) ?? [0, 0];
  }
  scrollTo({left: x, top: y, behavior: 'instant'});
  const input = focus && document.getElementById(focus);
  if (input) {
    input.focus({preventScroll: true});
    input.setSelectionRange?.(input.value.length, input.value.length);
  }
}

function nameOf(details) {
  return `${details.closest('section').id}: ${details.querySelector('summary').textContent}`;
}

function follow() {
  const status = document.getElementById('live');
  const events = new EventSource(document.documentElement.dataset.live);
  let waiting = Promise.resolve();
  events.addEventListener('ledger', event => {
    const news = JSON.parse(event.data);
    status.textContent = news.line;
    waiting = waiting.then(() => {
      if (document.querySelector('main').dataset.version !== news.version) return update();
    });
  });
  events.addEventListener('error', () => {
    status.textContent = 'The server does not answer; this is what it said last.';
  });
}

setUp();
if (document.documentElement.dataset.live) follow();
