// The tokens of an answer, each with what could have stood in its place.
// One stop of the tab key for an answer; arrow keys walk within it (a "roving tabindex").

import { find, make, percent } from "./elements.js";

const visible = (text) => text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣") || "(nothing)";
const chosen = (options) => options.find((option) => option.drawn);

/** A span for a text that one token completed, or several: some characters take more than one. */
export function tokenSpan(text, draws) {
  const chance = Math.min(...draws.map((options) => chosen(options).chance));
  const sure = chance > 0.9 ? 4 : chance > 0.5 ? 3 : chance > 0.2 ? 2 : chance > 0.05 ? 1 : 0;
  const [, space, word] = text.match(/^(\s*)(.*)$/s); // the colour of a space that a line ends in would look odd
  const span = make("span", { class: `token sure-${sure}`, tabindex: "-1" }, space, make("span", { class: "ink" }, word));
  span.draws = draws;
  return span;
}

function row(option) {
  const bar = make("span", { class: "bar" });
  bar.style.width = `${(100 * option.chance).toFixed(1)}%`;
  return make(
    "tr", option.drawn ? { class: "drawn" } : {},
    make("th", { scope: "row" }, visible(option.text), option.drawn ? make("span", { class: "unseen" }, " (drawn)") : ""),
    make("td", { class: "bars", "aria-hidden": "true" }, bar),
    make("td", {}, percent(option.chance)),
    make("td", {}, option.share ? percent(option.share) : "–"),
  );
}

function table(options) {
  const head = ["token", "", "chance", "at these settings"].map((name) => make("th", { scope: "col" }, name));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...options.map(row)));
}

function show(span) {
  const box = find("chances");
  const several = span.draws.length > 1 ? [make("p", {}, `${span.draws.length} tokens make this`)] : [];
  box.replaceChildren(...several, ...span.draws.map(table));
  box.hidden = false;
  const at = span.getClientRects()[0] ?? span.getBoundingClientRect();
  const below = at.bottom + 8 + box.offsetHeight < window.innerHeight || at.top < box.offsetHeight + 8;
  box.style.top = `${(below ? at.bottom + 8 : at.top - 8 - box.offsetHeight) + window.scrollY}px`;
  box.style.left = `${Math.max(8, Math.min(at.left, window.innerWidth - box.offsetWidth - 8)) + window.scrollX}px`;
  span.setAttribute("aria-describedby", "chances");
}

function hide(span) {
  find("chances").hidden = true;
  span?.removeAttribute("aria-describedby");
}

/** The token that an event speaks of, if it does. */
const tokenOf = (event) => {
  const token = event.target.closest(".token");
  return token?.draws ? token : null;
};

function walk(text, event) {
  const spans = [...text.querySelectorAll(".token")];
  const at = spans.indexOf(event.target);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: spans.length - 1 }[event.key];
  if (event.key === "Escape") hide(event.target);
  if (at < 0 || !spans[to]) return;
  event.preventDefault();
  spans[at].tabIndex = -1;
  spans[to].tabIndex = 0;
  spans[to].focus();
}

/** Let the tokens within `text` be pointed at and walked through. */
export function explain(text) {
  for (const [name, act] of [["pointerover", show], ["pointerout", hide], ["focusin", show], ["focusout", hide]])
    text.addEventListener(name, (event) => tokenOf(event) && act(tokenOf(event)));
  text.addEventListener("keydown", (event) => walk(text, event));
}
