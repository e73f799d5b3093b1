// A training document, with the words that were asked for marked in it.

import { ask, find, make } from "./elements.js";

const FACTS = [
  ["Author", (found) => found.authors.join("; ") || "unknown"],
  ["Date", (found) => found.date || "none stated"],
  ["Licence", (found) => found.licence],
  ["Why it may be used", (found) => found.licence_basis],
  ["Origin", (found) => found.url],
  ["Source", (found) => found.source],
  ["Language", (found) => found.language],
  ["Fetched", (found) => found.retrieved],
  ["Identifier", (found) => found.id],
];

function fill(found) {
  document.title = found.title || found.id;
  find("title").textContent = found.title || found.id;
  find("by").textContent = [found.authors.join("; "), found.date, found.licence].filter(Boolean).join(" · ");
  const rows = FACTS.map(([name, read]) => [name, read(found)]).filter(([, value]) => value);
  find("about").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  const cut = (count, where) => (count ? [make("p", { class: "caution" }, `(${count} characters ${where} are not shown)`)] : []);
  const parts = found.parts.map(([text, marked]) => (marked ? make("mark", {}, text) : text));
  find("text").replaceChildren(...cut(found.before, "before"), ...parts, ...cut(found.behind, "behind"));
}

async function open() {
  const asked = new URLSearchParams(location.search);
  const words = asked.get("words") ?? "";
  const found = await ask(`/api/document?${asked}`);
  fill(found);
  const marks = document.querySelectorAll("mark");
  const times = marks.length === 1 ? "once" : `${marks.length} times`;
  const said = marks.length
    ? `The words stand ${times} in this text, and are marked. That does not show that this text caused the answer.`
    : words && "The words could not be marked: what the model was given is written otherwise, by the tokenizer or the chat template.";
  find("status").textContent = said;
  marks[0]?.scrollIntoView({ block: "center" });
}

open().catch((error) => {
  find("status").textContent = error.message;
});
