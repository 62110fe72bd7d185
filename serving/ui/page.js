"use strict";
// The page speaks the public REST API only, so what it shows is what any client gets.

const byId = (id) => document.getElementById(id);
const lists = { history: [], exclude: [] };
let models = {};

function showError(text) {
  byId("message").textContent = text || "";
  byId("message").hidden = !text;
}

async function answerOf(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || `status ${response.status}`);
  return answer;
}

const stem = () => `/v1/models/${encodeURIComponent(byId("model").value)}`;

function drawChips(name) {
  const chips = lists[name].map((id, index) => {
    const chip = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${id} ×`;
    button.setAttribute("aria-label", `remove ${id}`);
    button.onclick = () => { lists[name].splice(index, 1); drawChips(name); recommend(); };
    chip.append(button);
    return chip;
  });
  byId(`${name}-chips`).replaceChildren(...chips);
}

function add(name, text) {
  const ids = text.split(/[,\n]/).map((id) => id.trim()).filter(Boolean);
  lists[name].push(...ids.filter((id) => !lists[name].includes(id)));
  byId(name).value = "";
  drawChips(name);
}

function action(text, label, run) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-label", label);
  button.onclick = run;
  return button;
}

function row(id, score, least, most, similar) {
  const entry = document.createElement("li");
  const item = document.createElement("span");
  item.className = "item";
  item.textContent = id;
  const bar = document.createElement("meter");
  bar.min = 0;
  bar.max = 1;
  bar.value = most > least ? 0.08 + 0.92 * (score - least) / (most - least) : 1;
  const number = document.createElement("span");
  number.className = "score";
  number.textContent = score.toFixed(4);
  const more = document.createElement("span");
  more.className = "more";
  more.append(
    action("liked", `add ${id} to the history`, () => { add("history", id); recommend(); }),
    action("hide", `never show ${id}`, () => { add("exclude", id); recommend(); }),
  );
  if (similar) more.append(action("similar", `items like ${id}`, () => showSimilar(id)));
  entry.append(item, bar, number, more);
  return entry;
}

function draw(title, outputs, milliseconds) {
  const pairs = outputs.item_ids[0]
    .map((id, index) => [id, outputs.scores[0][index]])
    .filter(([id]) => id !== "");
  const scores = pairs.map(([, score]) => score);
  const [least, most] = [Math.min(...scores), Math.max(...scores)];
  const similar = models[byId("model").value].similar_items;
  byId("results").replaceChildren(
    ...pairs.map(([id, score]) => row(id, score, least, most, similar)),
  );
  byId("title").textContent = title;
  byId("note").textContent = `${pairs.length} items in ${milliseconds.toFixed(1)} ms`;
}

async function ask(title, body) {
  showError("");
  const started = performance.now();
  try {
    const answer = await answerOf(`${stem()}:predict`, body);
    draw(title, answer.outputs, performance.now() - started);
  } catch (error) {
    showError(error.message);
  }
}

function recommend() {
  const user = byId("user").value.trim();
  const inputs = {
    user_id: [user],
    history: [lists.history],
    exclude: [lists.exclude],
    k: [Number(byId("k").value)],
  };
  return ask(user ? `For ${user}` : "For somebody new", { inputs });
}

function showSimilar(id) {
  const inputs = { item_id: [id], k: [Number(byId("k").value)] };
  return ask(`Like ${id}`, { signature_name: "similar_items", inputs })
    .then(() => byId("title").focus());
}

async function showState() {
  try {
    const answer = await answerOf(stem());
    const live = answer.model_version_status.filter((entry) => entry.state === "AVAILABLE");
    const bad = answer.model_version_status.filter((entry) => entry.status.error_message);
    byId("state").textContent = live.map((entry) => `version ${entry.version}`).join(", ")
      + (bad.length ? ` · version ${bad[0].version} was refused: ${bad[0].status.error_message}` : "");
  } catch (error) {
    byId("state").textContent = "";
    showError(error.message);
  }
}

async function start() {
  models = (await answerOf("/ui/models.json")).models;
  byId("model").replaceChildren(...Object.entries(models).map(([name, about]) => {
    const option = new Option(about.recommend ? name : `${name} (no recommender)`, name);
    option.disabled = !about.recommend;
    return option;
  }));
  const first = Object.keys(models).find((name) => models[name].recommend);
  if (first === undefined) {
    showError("No model here has the inputs user_id, history, exclude and k.");
    return;
  }
  byId("model").value = first;
  await showState();
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  for (const name of ["history", "exclude"]) if (byId(name).value) add(name, byId(name).value);
  // On a phone the list lies below the form.
  recommend().then(() => byId("title").scrollIntoView({ block: "nearest" }));
});
for (const name of ["history", "exclude"]) {
  byId(name).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && byId(name).value.trim()) {
      event.preventDefault();
      add(name, byId(name).value);
    } else if (event.key === "Backspace" && !byId(name).value && lists[name].length) {
      lists[name].pop();
      drawChips(name);
    }
  });
}
byId("k").addEventListener("input", () => { byId("k-shown").textContent = byId("k").value; });
byId("k").addEventListener("change", () => { if (byId("results").children.length) recommend(); });
byId("model").addEventListener("change", () => { byId("results").replaceChildren(); showState(); });
byId("reset").addEventListener("click", () => {
  for (const name of ["history", "exclude"]) { lists[name].length = 0; drawChips(name); }
  byId("user").value = "";
  byId("results").replaceChildren();
  byId("title").textContent = "Recommendations";
  byId("note").textContent = "";
  showError("");
  byId("user").focus();
});
start().catch((error) => showError(error.message));
