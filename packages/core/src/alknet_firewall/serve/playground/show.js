// Puts an answer on the page. The text is hostile: it goes in as text nodes only, never as markup.

import { placeOf, rateInWords } from "./dials.js";

const LEVELS = 8; // shades: neighbours of one shade share an element
const FAINTEST = 0.5; // nats of a token that has full colour, at least
const MOST_PIECES = 6000; // elements of the coloured text

const at = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** The action, in a word and a sentence. */
export function showAction(verdict, whole) {
  const badge = at("action");
  badge.dataset.action = verdict.action;
  badge.textContent = verdict.action.toUpperCase() + (whole ? "" : " so far");
  let said = rateInWords(verdict.false_alarm_rate, verdict.channel);
  if (verdict.error) said = `screening failed (${verdict.error}): the policy on_error decided`;
  else said = `score ${verdict.score.toFixed(2)}: ${said}`;
  if (verdict.truncated) said += "; too long, only the beginning was read: the policy on_long decided";
  at("said").textContent = said;
}

/** How far the reading has come; nothing when it is done. */
export function showProgress(step) {
  at("progress").hidden = !step;
  if (!step) return;
  at("bar").value = step.read / step.windows;
  at("read").textContent = `${step.read} of ${step.windows} windows read`;
}

/** What went wrong; null: nothing. */
export function showProblem(message) {
  at("problem").hidden = !message;
  at("problem").textContent = message ?? "";
  if (message) {
    at("action").dataset.action = "none";
    at("action").textContent = "no verdict";
    at("said").textContent = "";
  }
}

/** The scale from common to rare, with the thresholds and this text on it. */
export function showRarity(verdict, dials, table) {
  const place = (rate) => Math.min(Math.max(100 - placeOf(rate, table), 0), 100);
  const zone = (kind, rate) => {
    const made = element("span", { className: `zone ${kind}` });
    made.style.left = `${place(rate)}%`;
    return made;
  };
  const rail = element("span", { className: "rail" }, zone("review", dials.review), zone("block", dials.block));
  const parts = [rail];
  for (const rate of [0.1, 0.01, 0.001]) {
    if (rate < table.least) continue;
    const tick = element("span", { className: "tick", textContent: `1 in ${Math.round(1 / rate).toLocaleString("en")}` });
    tick.style.left = `${place(rate)}%`;
    parts.push(tick);
  }
  let told = "no text";
  if (verdict) {
    const here = place(verdict.false_alarm_rate);
    const pin = element("span", { className: "pin" });
    const name = element("span", { className: "here", textContent: "this text" });
    pin.style.left = `${here}%`;
    name.style.left = `${Math.min(Math.max(here, 6), 94)}%`;
    parts.push(pin, name);
    told = rateInWords(verdict.false_alarm_rate, verdict.channel);
  }
  at("rarity").setAttribute("aria-label", `scale from common to rare among benign texts: ${told}`);
  at("rarity").replaceChildren(...parts);
}

/** The alarms, or what came nearest to one. */
export function showAlarms(answer, characters) {
  const alarms = answer.verdict.alarms;
  const entries = alarms.map((alarm) => {
    const what = alarm.action === "allow" ? "informs" : alarm.action;
    const entry = element("li", {}, element("strong", { textContent: alarm.behavior }), `: ${what}`);
    if (alarm.span) entry.append(", at ", element("q", { textContent: excerpt(characters, alarm.span) }));
    if (alarm.decoded) entry.append(` (undone: ${alarm.decoded})`);
    return entry;
  });
  if (!entries.length) {
    const nearest = answer.nearest[0];
    const where = nearest?.span ? ["; the strongest evidence is at ", element("q", { textContent: excerpt(characters, nearest.span) })] : [];
    entries.push(element("li", {}, "No alarm", ...where));
  }
  at("alarms").replaceChildren(...entries);
}

function excerpt(characters, [start, end]) {
  const inside = characters.slice(start, end).join("").replace(/\s+/g, " ").trim();
  return inside.length > 160 ? `${inside.slice(0, 110)} … ${inside.slice(-45)}` : inside;
}

/** Bars that add up to the evidence, one table an alarm. */
export function showEvidence(answer) {
  const tables = answer.nearest.flatMap((alarm) => {
    const entries = Object.entries(alarm.contributions);
    const largest = Math.max(...entries.map(([, value]) => Math.abs(value)), 1e-9);
    const rows = entries.map(([name, value]) => row(name, value, bar(value / largest)));
    const sum = row("evidence", alarm.evidence, "nats of the log-odds");
    sum.className = "sum";
    const head = element("h3", { textContent: `${alarm.behavior}: ${rateInWords(alarm.false_alarm_rate, answer.verdict.channel)}` });
    return [head, element("table", {}, element("tbody", {}, ...rows, sum))];
  });
  at("evidence").replaceChildren(...(tables.length ? tables : [element("p", { className: "hint", textContent: "Nothing was read." })]));
}

function row(name, value, middle) {
  const sign = value < 0 ? "−" : "+";
  const number = element("td", { className: "value", textContent: `${sign}${Math.abs(value).toFixed(2)}` });
  return element("tr", {}, element("th", { scope: "row", textContent: name }), element("td", {}, middle), number);
}

function bar(share) {
  const filled = element("i", { className: share < 0 ? "against" : "for" });
  filled.style.width = `${50 * Math.abs(share)}%`;
  const track = element("div", { className: "track" }, filled);
  track.setAttribute("aria-hidden", "true");
  return track;
}

/** The text with its tokens coloured, what the alarms name underlined, and what was undone below it. */
export function showTokens(answer, characters, behavior) {
  const tokens = answer.tokens[behavior] ?? [];
  const spans = answer.verdict.alarms.filter((alarm) => alarm.span).map((alarm) => alarm.span);
  at("tokens").replaceChildren(...coloured(characters, tokens, spans));
  const strongest = [...tokens].sort((a, b) => b[2] - a[2]).slice(0, 5).filter((token) => token[2] > 0.05);
  at("strongest").textContent = strongest.length
    ? `Tokens that say most: ${strongest.map(([start, end, share]) => `“${excerpt(characters, [start, end])}” +${share.toFixed(2)}`).join(", ")}`
    : "";
  const views = answer.views.map((view) => {
    const block = element("div", { className: "tokens" }, ...coloured(Array.from(view.text), view.tokens[behavior] ?? [], []));
    const evidence = view.evidence[behavior];
    const told = evidence === undefined ? "" : `, evidence ${evidence < 0 ? "−" : "+"}${Math.abs(evidence).toFixed(2)}`;
    return element("section", {}, element("h3", { textContent: `Undone: ${view.kind}${told}` }), block);
  });
  at("views").replaceChildren(...views);
}

/** Characters as text nodes in shades: [start, end, share] by token, and spans to be marked. */
function coloured(characters, tokens, spans) {
  const full = Math.max(FAINTEST, ...tokens.map((token) => Math.abs(token[2])));
  const shades = new Int8Array(characters.length);
  for (const [start, end, share] of tokens) shades.fill(Math.round((LEVELS * share) / full), start, end);
  const marked = new Uint8Array(characters.length);
  for (const [start, end] of spans) marked.fill(1, start, end);
  const pieces = [];
  let count = 0;
  for (let start = 0, end; start < characters.length; start = end) {
    for (end = start + 1; end < characters.length && shades[end] === shades[start] && marked[end] === marked[start]; ) end++;
    const coloring = count++ < MOST_PIECES;
    if (!coloring) end = characters.length; // the rest is shown, without colours
    const piece = element("span", { textContent: characters.slice(start, end).join("") });
    if (coloring && shades[start]) {
      const strength = (0.55 * Math.abs(shades[start])) / LEVELS;
      piece.style.backgroundColor = `rgba(var(--${shades[start] > 0 ? "for" : "against"}), ${strength})`;
    }
    const begun = pieces.at(-1);
    if (!marked[start] || !coloring) pieces.push(piece);
    else if (start && marked[start - 1]) begun.append(piece);
    else pieces.push(element("mark", {}, piece));
  }
  return pieces;
}
