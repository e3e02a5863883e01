// Wires the page: what is typed is read after a short pause, and the answer shown.

import { about as askAbout, callOff, read } from "./ask.js";
import { meaning, placeOf, rateAt, recallInWords } from "./dials.js";
import { showAction, showAlarms, showEvidence, showProblem, showProgress, showRarity, showTokens } from "./show.js";

const PAUSE = 250; // ms without a key until the text is read
const at = (id) => document.getElementById(id);
const state = { about: null, answer: null, characters: [], rates: { block: 0, review: 0 }, chosen: "" };
let waiting = 0;

function table() {
  return state.about.channels[at("channel").value];
}

/** Reads the text after a pause. */
function soon(pause = PAUSE) {
  clearTimeout(waiting);
  callOff();
  waiting = setTimeout(screen, pause);
}

async function screen() {
  const text = at("text").value;
  const channel = at("channel").value;
  const characters = Array.from(text); // by code point, as the server counts
  at("count").textContent = `${characters.length.toLocaleString("en")} characters`;
  document.body.dataset.state = "reading";
  try {
    const finished = await read({ text, channel, ...state.rates }, (step) => {
      const whole = "nearest" in step;
      showProblem(null);
      showProgress(whole ? null : step);
      showAction(step.verdict, whole);
      showRarity(step.verdict, state.rates, table());
      if (whole) show(step, characters);
    });
    if (finished) document.body.dataset.state = "done";
  } catch (error) {
    showProgress(null);
    showProblem(`No verdict: ${error.message}`);
    document.body.dataset.state = "failed";
  }
}

function show(answer, characters) {
  Object.assign(state, { answer, characters });
  const names = Object.keys(Object.assign({}, answer.tokens, ...answer.views.map((view) => view.evidence)));
  const strongest = answer.verdict.alarms[0]?.behavior ?? answer.nearest[0]?.behavior ?? "";
  const shown = names.includes(state.chosen) ? state.chosen : strongest;
  at("behavior").replaceChildren(...names.map((name) => new Option(name, name, false, name === shown)));
  showAlarms(answer, characters);
  showEvidence(answer);
  showTokens(answer, characters, shown);
}

function setDials(rates) {
  state.rates = rates;
  for (const name of ["block", "review"]) {
    const channel = at("channel").value;
    const told = meaning(rates[name], channel, state.about);
    at(name).value = placeOf(rates[name], table());
    at(name).setAttribute("aria-valuetext", told);
    at(`${name}-means`).textContent = told;
  }
  showRarity(state.answer?.verdict ?? null, rates, table());
}

function moved(name) {
  const rates = { ...state.rates, [name]: rateAt(Number(at(name).value), table()) };
  // A review is never rarer than a block: the other slider is taken along.
  if (name === "block") rates.review = Math.max(rates.review, rates.block);
  else rates.block = Math.min(rates.block, rates.review);
  setDials(rates);
  soon(80);
}

function asSet() {
  const least = table().least;
  setDials({ block: Math.max(state.about.block, least), review: Math.max(state.about.review, least) });
}

function start(text, channel) {
  at("text").value = text;
  if (channel) at("channel").value = channel;
  asSet();
  soon(0);
}

async function open(file) {
  if (!file) return;
  if (file.size > 4 * state.about.most_chars) {
    showProblem(`The file is too large for this page: use alknet-firewall screen --file.`);
    return;
  }
  start(await file.text());
}

function wireTheme() {
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const use = (dark) => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    at("theme").setAttribute("aria-pressed", String(dark));
  };
  use(prefers.matches);
  prefers.addEventListener("change", () => use(prefers.matches));
  at("theme").addEventListener("click", () => use(document.documentElement.dataset.theme !== "dark"));
}

function wireText() {
  const field = at("text");
  field.addEventListener("input", () => soon());
  at("channel").addEventListener("change", () => { asSet(); soon(0); });
  at("behavior").addEventListener("change", (event) => {
    state.chosen = event.target.value;
    showTokens(state.answer, state.characters, state.chosen);
  });
  at("file").addEventListener("change", (event) => open(event.target.files[0]));
  for (const name of ["dragover", "dragenter"]) {
    addEventListener(name, (event) => { event.preventDefault(); field.classList.add("drop"); });
  }
  addEventListener("dragleave", () => field.classList.remove("drop"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    field.classList.remove("drop");
    const text = event.dataTransfer.getData("text/plain");
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
    else if (text) start(text);
  });
}

async function main() {
  wireTheme();
  try {
    state.about = await askAbout();
  } catch (error) {
    showProblem(`The playground cannot start: ${error.message}`);
    return;
  }
  const { about } = state;
  about.examples.forEach((one, index) => at("example").append(new Option(one.name, index)));
  at("example").addEventListener("change", (event) => {
    const one = about.examples[event.target.value];
    if (one) start(one.text, one.channel);
  });
  for (const name of ["block", "review"]) at(name).addEventListener("input", () => moved(name));
  at("reset").addEventListener("click", () => { asSet(); soon(0); });
  at("recall").textContent = recallInWords(about);
  at("about").textContent =
    `alknet-firewall ${about.version}, codebook for detector ${about.codebook}, ${about.detector}, taps ${about.taps.join(" and ")}. ` +
    "A score is not a promise: see what it cannot do in the documentation.";
  wireText();
  start(about.examples[1]?.text ?? "", about.examples[1]?.channel);
}

main();
