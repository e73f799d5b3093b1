// Under an answer: which of its words stand in training texts, who wrote them, and under which licence.

import { ask, make } from "./elements.js";

const MARKED = 2000; // characters that are marked in a document: an address has its limits

// The server writes what is not printable as a space, character for character; so do we, to find a passage again.
const plain = (text) => text.replace(/[\s\p{C}]/gu, " ");

function source(found, text, texts) {
  const words = text.trim();
  const [before, after] = [text.slice(0, text.indexOf(words)), text.slice(text.indexOf(words) + words.length)];
  const link = make("a", { href: `/document?${new URLSearchParams({ where: found.where, id: found.id, words: words.slice(0, MARKED) })}` }, found.title || found.id);
  const facts = [found.authors.join("; ") || "author unknown", found.date || "no date", found.licence];
  if (texts.length > 1) facts.push(`in ${texts[found.where]}`);
  const seen = found.steps ? ` · seen at ${found.steps} steps, from ${found.first_step} to ${found.last_step}` : "";
  const context = make("p", { class: "context" }, `… ${found.before}${before}`, make("mark", {}, words), `${after}${found.after} …`);
  return make("li", {}, make("p", {}, link, make("span", { class: "quiet" }, ` · ${facts.join(" · ")}${seen}`)), context);
}

/** The spans of `text` that hold characters of `words`, at the first place where they stand. */
function spansOf(text, words) {
  const at = plain(text.textContent).indexOf(plain(words));
  if (at < 0) return { spans: [], inPrompt: false };
  const stop = at + words.length;
  let place = 0;
  const within = [...text.querySelectorAll(".given, .token")].filter((span) => {
    const start = place;
    place += span.textContent.length;
    return start < stop && place > at;
  });
  const spans = within.filter((span) => span.classList.contains("token"));
  return { spans, inPrompt: within.length > 0 && spans.length === 0 };
}

function light(item, spans) {
  const set = (on) => () => spans.forEach((span) => span.classList.toggle("lit", on));
  for (const name of ["pointerenter", "focusin"]) item.addEventListener(name, set(true));
  for (const name of ["pointerleave", "focusout"]) item.addEventListener(name, set(false));
}

function passage(found, text, texts) {
  const words = found.text.trim();
  const { spans, inPrompt } = spansOf(text, words);
  spans.forEach((span) => span.classList.add("verbatim"));
  const often = found.count === 1 ? "stands once" : `stands ${found.count} times`;
  const whose = inPrompt ? " · these are your own words" : "";
  const item = make(
    "li", { class: "passage" },
    make("p", {}, make("q", {}, words), make("span", { class: "quiet" }, ` ${found.tokens} tokens · ${often}${whose}`)),
    make("ul", {}, ...found.sources.map((one) => source(one, found.text, texts))),
  );
  light(item, spans);
  return item;
}

/** Fill `place` with what is found of `text`; resolves to how many passages there are. */
export async function trace(text, place) {
  const found = await ask("/api/trace", { text: text.textContent });
  const share = `${Math.round(100 * found.verbatim)} % of these ${found.query_tokens} tokens`;
  const texts = found.looked_into;
  const said = found.passages.length
    ? `${share} stand in ${texts.join(" or ")}, in passages of ${found.at_least} tokens or more.`
    : `No passage of ${found.at_least} tokens or more stands in ${texts.join(" or ")}.`;
  place.replaceChildren(make("p", {}, said), found.not_looked_into && make("p", {}, found.not_looked_into));
  if (found.passages.length) place.append(make("ol", {}, ...found.passages.map((one) => passage(one, text, texts))));
  place.append(make("p", { class: "caution" }, found.what_it_means));
  return found.passages.length;
}
