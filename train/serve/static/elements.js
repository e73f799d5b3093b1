// What all scripts here make pages of. Texts of models and of documents come from outside: they become text nodes, and
// nothing in this folder reads them as markup.

/** An element with attributes and children; a child that is a string is text. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export const find = (id) => document.getElementById(id);

/** A chance as a person reads it. */
export function percent(chance) {
  if (chance > 0 && chance < 0.001) return "< 0.1 %";
  return `${(100 * chance).toFixed(chance < 0.1 ? 1 : 0)} %`;
}

/** What the server says, or an error with its words. */
export async function ask(path, body) {
  const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const said = await response.json();
  if (!response.ok) throw new Error(said.error.message);
  return said;
}
