"use strict";
// What the scripts of the page share: elements, requests, and how parts of a score are drawn.

const byId = (id) => document.getElementById(id);
// The last colour is for all parts that have none of their own.
const PALETTE = 8;
const LARGEST = 3.4e38;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function showError(text) {
  byId("message").textContent = text || "";
  byId("message").hidden = !text;
}

async function answerOf(path, body) {
  // JSON has no NaN, which stands for a missing number; both servers read the bare word.
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body).replaceAll('"#NaN"', "NaN"),
  };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || `status ${response.status}`);
  return answer;
}

const model = () => byId("model").value;
const stem = () => `/v1/models/${encodeURIComponent(model())}`;

async function predict(signature, inputs) {
  const body = signature ? { signature_name: signature, inputs } : { inputs };
  const started = performance.now();
  // A signature's only output comes without its name.
  const { outputs } = await answerOf(`${stem()}:predict`, body);
  return { outputs, milliseconds: performance.now() - started };
}

const known = new Map();

async function learn(ids) {
  const missing = [...new Set(ids)].filter((id) => id && !known.has(id));
  if (!missing.length) return;
  const query = new URLSearchParams([["model", model()], ...missing.map((id) => ["id", id])]);
  const found = await answerOf(`/ui/items.json?${query}`).catch(() => ({}));
  for (const id of missing) known.set(id, found[id] || { title: "", labels: [], picture: false });
}

const titleOf = (id) => (known.get(id) && known.get(id).title) || id;

function thumbnail(id) {
  if (known.get(id) && known.get(id).picture) {
    const image = make("img", "thumb");
    image.alt = "";
    image.loading = "lazy";
    image.src = `/ui/picture.jpg?${new URLSearchParams({ model: model(), id })}`;
    return image;
  }
  const letters = titleOf(id).split(/\s+/).slice(0, 2).map((word) => [...word][0] || "").join("");
  const stand = make("span", "thumb", letters.toUpperCase());
  stand.setAttribute("aria-hidden", "true");
  return stand;
}

const colour = (name) => `var(--p${coloured.get(name)})`;
const signless = (score) => score.toFixed(4).replace("-", "−");
const signed = (share) => (share < 0 ? "−" : "+") + Math.abs(share).toFixed(4);
const words = (name) => (name === "base" ? "in general" : name.replace(/^context\//, "").replaceAll("_", " "));

// A part keeps the colour that it first got, so that lists can be compared by eye. Parts that never
// matter in a list are left out of its legend, so that colours stay few.
const coloured = new Map();

function chosenParts(names, rows) {
  const sizes = names.map((_, place) => Math.max(...rows.map((row) => Math.abs(row[place]))));
  const most = Math.max(...sizes, 1e-12);
  const parts = names
    .map((name, place) => ({ name, place, size: sizes[place] }))
    .filter((part) => part.size > 0.005 * most)
    .sort((a, b) => b.size - a.size);
  for (const { name } of parts) {
    if (!coloured.has(name)) coloured.set(name, Math.min(coloured.size, PALETTE - 1));
  }
  // Those that share the last colour stand together.
  return parts.sort((a, b) => coloured.get(a.name) - coloured.get(b.name));
}

function drawLegend(parts) {
  const named = parts.filter((part) => coloured.get(part.name) < PALETTE - 1);
  const entries = named.map((part) => [words(part.name), colour(part.name), ""]);
  const others = parts.slice(named.length);
  if (others.length) {
    const text = others.length > 1 ? "other parts" : words(others[0].name);
    entries.push([text, colour(others[0].name), ""]);
  }
  entries.push(["against it", "var(--faint)", "against"]);
  byId("legend").replaceChildren(...entries.map(([text, background, kind]) => {
    const entry = make("li", "", text);
    const swatch = make("span", `swatch ${kind}`);
    swatch.style.backgroundColor = background;
    entry.prepend(swatch);
    return entry;
  }));
  byId("legend").hidden = !parts.length;
}

function shareBar(parts, shares) {
  const bar = make("div", "bar");
  const total = parts.reduce((sum, part) => sum + Math.abs(shares[part.place]), 0) || 1;
  const told = [];
  for (const part of parts) {
    const share = shares[part.place];
    const piece = make("span", share < 0 ? "against" : "");
    piece.style.width = `${(100 * Math.abs(share)) / total}%`;
    piece.style.backgroundColor = colour(part.name);
    piece.title = `${words(part.name)} ${signed(share)}`;
    told.push(piece.title);
    bar.append(piece);
  }
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", `Parts of the score: ${told.join(", ")}`);
  return bar;
}

function shareTable(caption, pairs) {
  const table = make("table");
  table.append(make("caption", "", caption));
  for (const [name, share] of pairs) {
    const row = make("tr");
    row.append(make("td", "", name), make("td", "", signed(share)));
    table.append(row);
  }
  return table;
}

const bySize = (names, shares) => names
  .map((name, place) => [words(name), shares[place]])
  .filter(([, share]) => Math.abs(share) >= 5e-5)
  .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
