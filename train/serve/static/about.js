// What is one click away: the audit's answer, and the model card. Both as text.

import { ask, find, make } from "./elements.js";

const LIBRE = "libre in practice";

function findings(rows) {
  const cells = (row) => [
    make("th", { scope: "row" }, row.id),
    make("td", { class: `status ${row.status === "failed" ? "no" : row.status === "verified" ? "yes" : ""}` }, row.status),
    make("td", {}, make("strong", {}, row.question), make("br"), row.found, row.to_do ? make("em", {}, ` To do: ${row.to_do}.`) : ""),
  ];
  const head = ["check", "answer", "what was found"].map((name) => make("th", { scope: "col" }, name));
  const body = rows.map((row) => make("tr", {}, ...cells(row)));
  return make("table", { class: "findings" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

function verdicts(found) {
  const others = Object.entries(found.verdicts).filter(([name]) => name !== LIBRE);
  const rows = others.flatMap(([name, said]) => [make("dt", {}, name), make("dd", {}, said)]);
  return make("dl", { class: "facts" }, ...rows, make("dt", {}, "Rebuild level"), make("dd", {}, found.level));
}

function showAudit(found) {
  const body = find("audit-body");
  if (found.state === "being computed") {
    find("verdict").textContent = "being computed";
    body.replaceChildren(make("p", {}, "The audit is being computed, on this machine. It takes a minute or more."));
  } else if (found.state === "failed") {
    find("verdict").textContent = "could not be made";
    body.replaceChildren(make("p", {}, `The audit could not be made: ${found.why}`));
  } else {
    const bad = found.failed.length;
    find("verdict").textContent = `${bad ? `${bad} ${bad === 1 ? "check" : "checks"} failed` : "no check failed"}, ${found.level}`;
    const libre = make("p", { class: "big" }, `Libre in practice: ${found.verdicts[LIBRE]}`);
    body.replaceChildren(libre, verdicts(found), findings(found.findings));
  }
}

async function watchAudit() {
  const found = await ask("/api/audit");
  showAudit(found);
  if (found.state === "being computed") setTimeout(watchAudit, 2000);
}

/** Let the two buttons open what they are named after. */
export function openAbout() {
  find("open-audit").addEventListener("click", () => find("audit").showModal());
  find("open-card").addEventListener("click", async () => {
    const card = await ask("/api/card");
    find("card-body").textContent = card.text || "This model has no card.";
    find("card").showModal();
  });
  watchAudit();
}
