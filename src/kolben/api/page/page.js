// The page of an API: renders its document, and sends the requests that are tried. Text only ever becomes text.
"use strict";
const METHODS = ["get", "post", "put", "patch", "delete", "socket"];
const page = document.body;
let api = {};

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// Of Markdown only what is most common: `code`, **strong**, *emphasis*, [a link](/there).
const MARKS = /`([^`]+)`|\*\*([^*\s](?:[^*]*[^*\s])?)\*\*|\*([^*\s](?:[^*]*[^*\s])?)\*|\[([^\]]+)\]\(((?:https?:|mailto:|\/|#)[^)\s]*)\)/g;
function marked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(MARKS)) {
    const [whole, code, strong, emphasis, label, href] = match;
    parts.push(text.slice(end, match.index));
    parts.push(label ? make("a", { href, rel: "noreferrer" }, label) : make(code ? "code" : strong ? "strong" : "em", {}, code || strong || emphasis));
    end = match.index + whole.length;
  }
  return [...parts, text.slice(end)];
}

const prose = (text, attributes = {}) => make("p", attributes, ...marked(text));

function resolve(node) {
  for (let step = 0; node && node.$ref && step < 20; step++) {
    const found = node.$ref.slice(2).split("/").reduce((part, key) => (part || {})[key.replace(/~1/g, "/").replace(/~0/g, "~")], api);
    const { $ref, ...rest } = node;
    node = { ...found, ...rest };
  }
  return node || {};
}

const nameOf = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

function typeOf(schema) {
  const found = resolve(schema);
  const several = found.anyOf || found.oneOf;
  if (several) return several.map(typeOf).join(" | ");
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (found.type === "array") return found.items ? `${typeOf(found.items)}[]` : "array";
  return nameOf(schema) || [].concat(found.type || "any").join(" | ") + (found.format ? ` (${found.format})` : "");
}

const WORDS = { minimum: "≥ ", exclusiveMinimum: "> ", maximum: "≤ ", exclusiveMaximum: "< ", minLength: "length ≥ ", maxLength: "length ≤ ", minItems: "items ≥ ", maxItems: "items ≤ ", pattern: "matches ", default: "default " };
const limitsOf = (schema) => Object.entries(WORDS).filter(([key]) => resolve(schema)[key] !== undefined)
  .map(([key, word]) => word + (typeof resolve(schema)[key] === "string" ? resolve(schema)[key] : JSON.stringify(resolve(schema)[key]))).join(", ");

function show(schema, depth = 0) {
  const found = resolve(schema);
  const parts = found.allOf ? found.allOf.map(resolve) : [found];
  const properties = Object.assign({}, ...parts.map((part) => part.properties || {}));
  const required = parts.flatMap((part) => part.required || []);
  const inner = found.items || (typeof found.additionalProperties === "object" ? found.additionalProperties : null);
  const list = make("ul", { class: "schema" });
  for (const [name, property] of Object.entries(properties)) {
    const line = [make("code", { class: required.includes(name) && "needed" }, name), " ", make("span", { class: "type" }, [typeOf(property), limitsOf(property)].filter(Boolean).join(", "))];
    list.append(make("li", {}, nested(property, line, depth)));
  }
  for (const one of found.anyOf || found.oneOf || (inner ? [inner] : [])) list.append(make("li", {}, nested(one, [make("span", { class: "type" }, typeOf(one))], depth)));
  return list;
}

function nested(schema, line, depth) {
  const found = resolve(schema);
  const text = resolve(schema).description;
  const said = text ? [" ", make("span", { class: "soft" }, ...marked(text))] : [];
  const hasMore = found.properties || found.allOf || found.anyOf || found.oneOf || (found.items && found.items !== false) || typeof found.additionalProperties === "object";
  if (!hasMore || depth > 8) return make("span", {}, ...line, ...said);
  const details = make("details", {}, make("summary", {}, ...line, ...said));
  details.addEventListener("toggle", () => details.childElementCount === 1 && details.append(show(schema, depth + 1)));
  return details;
}

function example(schema, depth = 0) {
  const found = resolve(schema);
  if (found.default !== undefined) return found.default;
  if (found.examples) return found.examples[0];
  if (found.enum) return found.enum[0];
  const several = found.anyOf || found.oneOf;
  if (several || depth > 6) return several && depth <= 6 ? example(several[0], depth + 1) : null;
  if (found.allOf) return Object.assign({}, ...found.allOf.map((part) => example(part, depth + 1)));
  const type = [].concat(found.type)[0];
  if (type === "object") return Object.fromEntries(Object.entries(found.properties || {}).map(([name, part]) => [name, example(part, depth + 1)]));
  if (type === "array") return found.prefixItems ? found.prefixItems.map((part) => example(part, depth + 1)) : found.items && depth < 4 ? [example(found.items, depth + 1)] : [];
  const samples = { "date-time": "2026-01-01T00:00:00Z", date: "2026-01-01", time: "12:00:00Z", uuid: "00000000-0000-4000-8000-000000000000", duration: "PT1H", decimal: "1.00" };
  return { string: samples[found.format] || "", integer: found.minimum || 0, number: found.minimum || 0, boolean: false }[type] ?? null;
}

function field(name, schema, needed, description) {
  const found = resolve(schema);
  const label = { "data-name": name, "aria-label": name };
  let input = make("input", { ...label, placeholder: found.default === undefined ? "" : String(found.default) });
  if (found.format === "binary" || (found.items && resolve(found.items).format === "binary")) input = make("input", { ...label, type: "file", multiple: found.type === "array" });
  else if (found.enum || found.type === "boolean") input = make("select", label, make("option", { value: "" }, ""), ...(found.enum || [true, false]).map((value) => make("option", {}, String(value))));
  const said = [typeOf(schema), limitsOf(schema), description].filter(Boolean).join(", ");
  return [input, make("label", {}, make("code", { class: needed && "needed" }, name), input, make("span", { class: "soft" }, said))];
}

function values(input) {
  if (input.type === "file") return [...input.files];
  return input.value === "" ? [] : [input.value];
}

function operation(method, path, item, isCalled) {
  const inputs = [];
  const box = make("div", {}, item.description ? prose(item.description) : null);
  if (item.deprecated) box.append(make("p", { class: "soft" }, "Deprecated."));
  for (const name of new Set((item.security || []).flatMap(Object.keys))) box.append(credentials(name, inputs));
  if (item.parameters) box.append(make("h3", {}, "Parameters"));
  for (const parameter of item.parameters || []) {
    const [input, row] = field(parameter.name, parameter.schema, parameter.required, parameter.description);
    if (parameter.in === "cookie") Object.assign(input, { disabled: true, placeholder: "sent by the browser, if it has one" });
    inputs.push([parameter.in, parameter.name, input, [].concat(resolve(parameter.schema).type).includes("array")]);
    box.append(row);
  }
  const body = bodyOf(item, box, inputs);
  if (isCalled) {
    const reply = make("div", { "aria-live": "polite" });
    box.append(make("button", { class: "send", onclick: () => send(method, path, inputs, body, reply) }, "Send"), reply);
  }
  for (const [part, label] of [["receive", "Messages to it"], ["send", "Messages from it"]]) {
    if (item[part]) box.append(make("h3", {}, label), nested(item[part], [make("span", { class: "type" }, typeOf(item[part]))], 0));
  }
  if (item.responses) box.append(make("h3", {}, "Responses"));
  for (const [status, given] of Object.entries(item.responses || {})) {
    const response = resolve(given);
    box.append(make("h4", {}, `${status} ${response.description || ""}`));
    for (const [media, content] of Object.entries(response.content || {})) box.append(nested(content.schema || content.itemSchema, [make("code", {}, media), " ", make("span", { class: "type" }, typeOf(content.schema || content.itemSchema))], 0));
  }
  const head = make("summary", {}, make("span", { class: `method ${method}` }, method), make("span", { class: "path" }, path), make("span", { class: "soft" }, item.summary || ""));
  return make("article", { id: item.operationId, class: item.deprecated && "gone" }, make("details", {}, head, box));
}

function bodyOf(item, box, inputs) {
  const content = item.requestBody && resolve(item.requestBody).content;
  if (!content) return null;
  const [media, { schema }] = Object.entries(content)[0];
  box.append(make("h3", {}, "Body"), nested(schema, [make("code", {}, media), " ", make("span", { class: "type" }, typeOf(schema))], 0));
  if (media === "application/json") {
    const text = make("textarea", { "aria-label": "Body", spellcheck: "false" });
    text.value = JSON.stringify(example(schema), null, 2);
    box.append(text);
    return { media, text };
  }
  for (const [name, property] of Object.entries(resolve(schema).properties || {})) {
    const [input, row] = field(name, property, (resolve(schema).required || []).includes(name), resolve(property).description);
    inputs.push(["form", name, input]);
    box.append(row);
  }
  return { media };
}

function credentials(name, inputs) {
  const scheme = api.components.securitySchemes[name] || {};
  const input = make("input", { "aria-label": name, type: "password", autocomplete: "off", placeholder: scheme.scheme === "basic" ? "name:password" : "" });
  inputs.push(["security", scheme, input]);
  return make("label", {}, make("code", {}, name), input, make("span", { class: "soft" }, scheme.type));
}

async function send(method, path, inputs, body, reply) {
  const headers = {};
  const query = new URLSearchParams();
  const form = body && body.media === "multipart/form-data" ? new FormData() : new URLSearchParams();
  for (const [place, name, input, isList] of inputs) {
    for (const given of values(input)) for (const value of isList && typeof given === "string" ? given.split(",").map((one) => one.trim()) : [given]) {
      if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
      else if (place === "query") query.append(name, value);
      else if (place === "header") headers[name] = value;
      else if (place === "form") form.append(name, value);
      else if (place === "security" && name.type === "apiKey") { if (name.in === "query") query.append(name.name, value); else if (name.in === "header") headers[name.name] = value; }
      else if (place === "security") headers.Authorization = name.scheme === "basic" ? `Basic ${btoa(value)}` : `Bearer ${value}`;
    }
  }
  const options = { method: method.toUpperCase(), headers };
  if (body) options.body = body.text ? body.text.value : form;
  if (body && body.text) headers["Content-Type"] = "application/json";
  const url = page.dataset.root + path + (String(query) ? `?${query}` : "");
  const began = performance.now();
  try {
    const response = await fetch(url, options);
    let text = await response.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON, and shown as it is */ }
    const time = `${Math.round(performance.now() - began)} ms`;
    reply.replaceChildren(make("h3", {}, "Answer"), make("p", { class: "row" }, make("span", { class: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${response.statusText}`), make("span", { class: "soft" }, `${time} · ${response.headers.get("content-type") || "no body"}`)), make("pre", {}, text));
  } catch (error) {
    reply.replaceChildren(make("p", { class: "status bad" }, `The request failed: ${error.message}`));
  }
}

// As the system has it, until the reader chooses.
function theme() {
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* not allowed here */ }
  document.documentElement.dataset.theme = kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function choose() {
  const value = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = value;
  try { localStorage.setItem("theme", value); } catch { /* not allowed here, so not kept */ }
}

async function render() {
  api = await (await fetch(page.dataset.document)).json();
  const main = document.querySelector("main");
  const nav = document.querySelector("nav");
  const title = make("h1", {}, api.info.title, make("small", {}, api.info.version));
  const toggle = make("button", { "aria-label": "Light or dark", onclick: choose }, "◐");
  main.replaceChildren(make("div", { class: "row end" }, title, toggle));
  if (api.info.description) main.append(prose(api.info.description));
  main.append(make("p", { class: "soft" }, "OpenAPI ", api.openapi, " · ", make("a", { href: page.dataset.document }, "the document")));
  const groups = new Map((api.tags || []).map((tag) => [tag.name, []]));
  const put = (path, item, kind) => {
    for (const method of METHODS) if (item[method]) for (const tag of item[method].tags || [kind]) groups.set(tag, [...(groups.get(tag) || []), [method, path, item[method], kind === "Operations"]]);
  };
  for (const [path, item] of Object.entries(api.paths)) put(path, item, "Operations");
  for (const [name, item] of Object.entries(api.webhooks || {})) put(name, item, "Webhooks");
  for (const [path, item] of Object.entries(api["x-websockets"] || {})) put(path, { socket: item }, "WebSockets");
  const search = make("input", { type: "search", placeholder: "Filter", "aria-label": "Filter", oninput: () => {
    for (const link of nav.querySelectorAll("a")) link.hidden = !link.textContent.toLowerCase().includes(search.value.toLowerCase());
  } });
  nav.replaceChildren(search);
  for (const [tag, operations] of groups) {
    if (!operations.length) continue;
    nav.append(make("h2", {}, tag));
    main.append(make("h2", {}, tag));
    const said = (api.tags || []).find((one) => one.name === tag);
    if (said && said.description) main.append(prose(said.description, { class: "soft" }));
    for (const [method, path, item, isCalled] of operations) {
      main.append(operation(method, path, item, isCalled));
      nav.append(make("a", { href: `#${item.operationId}`, onclick: () => { document.getElementById(item.operationId).firstChild.open = true; } }, make("span", { class: `method ${method}` }, method), make("span", {}, item.summary || path)));
    }
  }
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted && wanted.tagName === "ARTICLE") { wanted.firstChild.open = true; wanted.scrollIntoView(); }
}

theme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
render().catch((error) => { document.querySelector("main").replaceChildren(make("p", { class: "status bad" }, `The document could not be shown: ${error.message}`)); });
