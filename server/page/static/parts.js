// Shared by all parts of the page: elements, formatted numbers, requests to the server.
const PATIENCE_MS = 15000;

export const $ = (id) => document.getElementById(id);

export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/** Sets CSS variables on an element; the page's policy forbids the attribute `style`. */
export const variables = (element, values) => {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(`--${name}`, value);
  return element;
};

export const percent = (share, digits = 1) => {
  const text = (100 * share).toFixed(digits), least = 10 ** -digits;
  if (share > 0 && Number(text) === 0) return `< ${least}%`;
  return share < 1 && Number(text) === 100 ? `> ${(100 - least).toFixed(digits)}%` : `${text}%`;
};
export const count = (number) => number.toLocaleString("en");
export const counted = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;
export const listed = (words, type = "conjunction") => new Intl.ListFormat("en", { type }).format(words);

/** The server refused the request; the message is for people. */
export class Refused extends Error {}

/** The server did not answer. */
export class Away extends Error {}

/** The JSON of the server's response. Throws Refused, Away. */
export const ask = async (path, options = {}) => {
  const unreached = (cause) => { throw new Away("The server does not answer.", { cause }); };
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), ...options }).catch(unreached);
  if (response.ok) return response.json().catch(unreached);
  const problem = await response.json().catch(() => ({}));
  throw new Refused(problem.detail ?? `The server answered with status ${response.status}.`);
};
