// The page: a text goes to the model, its answer comes token by token, and under it whose words it is in.

import { openAbout } from "./about.js";
import { ask, find, make } from "./elements.js";
import { trace } from "./passages.js";
import { explain, tokenSpan } from "./tokens.js";

const CONTROLS = ["temperature", "top_k", "max_tokens", "seed"];
let about;
let stopping = null;
let before = []; // the messages of the conversation so far, of a model that was tuned to converse

const say = (words) => {
  find("status").textContent = words;
};

/** The lines of JSON in a response, as they come. */
async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const parts = (rest + read.value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

/** An answer on the page: the prompt's pieces, and between them the places where tokens come. */
function begin(pieces, asked) {
  const text = make("div", { class: "text", role: "group", "aria-label": "Prompt and answer, token by token" });
  const blanks = pieces.slice(1).map(() => make("span", { class: "blank" }));
  pieces.forEach((piece, number) => text.append(make("span", { class: "given" }, piece), blanks[number] ?? ""));
  if (about.converses) text.classList.add("converses");
  explain(text);
  const turn = asked.before.length ? `message ${asked.before.length / 2 + 1} of a conversation, ` : "";
  const how = `${turn}temperature ${asked.temperature}, top k ${asked.top_k}, seed ${asked.seed}`;
  const place = make("div", { class: "passages" });
  const article = make("article", { "aria-busy": "true" }, text, make("p", { class: "quiet how" }, how), place);
  find("answers").prepend(article);
  find("legend").hidden = false;
  return { article, text, blanks, place, pending: [], count: 0 };
}

/** Add a drawn token; its text may wait for the tokens that complete its character. */
function add(answer, step) {
  answer.count += 1;
  answer.pending.push(step.options);
  if (step.blank === null || !step.text) return;
  const span = tokenSpan(step.text, answer.pending);
  if (answer.text.querySelector('[tabindex="0"]') === null) span.tabIndex = 0;
  answer.blanks[step.blank].append(span);
  answer.pending = [];
}

async function receive(response, asked) {
  let answer = null;
  try {
    for await (const step of lines(response)) {
      if (step.pieces) {
        answer = begin(step.pieces, asked);
        say(step.ahead ? `Waiting: ${step.ahead} before you` : "Writing …");
      } else if (step.error) throw new Error(step.error.message);
      else if (step.options) {
        if (answer.count === 0) say("Writing …");
        add(answer, step);
      } else answer.cutShort = step.cut_short;
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    answer && (answer.stopped = true);
  } finally {
    answer?.article.setAttribute("aria-busy", "false");
  }
  return answer;
}

async function lookUp(answer) {
  if (about.untraceable) {
    answer.place.replaceChildren(make("p", { class: "caution" }, about.untraceable));
    return "";
  }
  answer.place.replaceChildren(make("p", { class: "quiet" }, "Looking the words up in the training texts …"));
  const found = await trace(answer.text, answer.place);
  return found === 1 ? " One passage stands in training texts." : found ? ` ${found} passages stand in training texts.` : "";
}

function ending(answer) {
  const tokens = answer.count === 1 ? "1 token" : `${answer.count} tokens`;
  if (answer.stopped) return `Stopped after ${tokens}.`;
  return answer.cutShort ? `${tokens}, the length that was asked for.` : `${tokens}.`;
}

/** What was said so far, after which the next message is put. */
function remember(messages) {
  before = messages;
  find("anew").hidden = !messages.length;
}

async function send() {
  const prompt = find("prompt").value;
  const asked = { before, ...Object.fromEntries(CONTROLS.map((name) => [name, Number(find(name).value)])) };
  stopping = new AbortController();
  find("go").disabled = true;
  find("stop").disabled = false;
  say("Asking …");
  try {
    const body = JSON.stringify({ prompt, ...asked, before: before.length ? before : null });
    const headers = { "content-type": "application/json" };
    const response = await fetch("/api/say", { method: "POST", headers, body, signal: stopping.signal });
    if (!response.ok) throw new Error((await response.json()).error.message);
    const answer = await receive(response, asked);
    if (!answer) return;
    if (about.converses) {
      const said = answer.blanks[0].textContent;
      remember([...before, { role: "user", content: prompt }, { role: "assistant", content: said }]);
    }
    const end = ending(answer);
    say(end);
    find("spoken").textContent = answer.text.textContent;
    say(end + (await lookUp(answer)));
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped." : `That did not work: ${error.message}`);
  } finally {
    find("go").disabled = false;
    find("stop").disabled = true;
  }
}

async function open() {
  about = await ask("/api/about");
  document.title = `${about.name} · Fusée`;
  find("name").textContent = about.name;
  const millions = (about.parameters / 1e6).toFixed(about.parameters < 1e7 ? 1 : 0);
  find("facts").textContent = [about.family, `${millions} million parameters`, about.licence].filter(Boolean).join(" · ");
  find("what").textContent = about.what;
  find("prompt").maxLength = about.limits.prompt;
  find("max_tokens").max = about.limits.max_tokens;
  for (const name of CONTROLS) find(name).value = about.sampling[name];
  find("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!find("go").disabled) send();
  });
  find("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
  });
  find("anew").addEventListener("click", () => {
    remember([]);
    say("A new conversation.");
    find("prompt").focus();
  });
  find("stop").addEventListener("click", () => stopping?.abort());
  openAbout();
}

open().catch((error) => say(`The server does not answer: ${error.message}`));
