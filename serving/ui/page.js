"use strict";
// The page speaks the public REST API only, so what it shows is what any client gets.

const lists = { history: [], exclude: [] };
let models = {};
let about = {};
let asked = 0;

function drawChips(name) {
  byId(`${name}-chips`).replaceChildren(...lists[name].map((id, index) => {
    const chip = make("li");
    chip.append(action(`${titleOf(id)} ×`, `remove ${titleOf(id)}`, () => {
      lists[name].splice(index, 1);
      drawChips(name);
      recommend();
    }));
    return chip;
  }));
}

async function add(name, text) {
  // A suggestion is "title · id"; what is pasted are ids.
  const ids = text.split(/[,\n]/).map((id) => id.trim().split(" · ").pop()).filter(Boolean);
  lists[name].push(...ids.filter((id) => !lists[name].includes(id)));
  byId(name).value = "";
  await learn(ids);
  drawChips(name);
}

function itemActions(id) {
  const buttons = [
    action("Liked", `add ${titleOf(id)} to the history`, () => add("history", id).then(recommend)),
    action("Hide", `never show ${titleOf(id)}`, () => add("exclude", id).then(recommend)),
  ];
  if (models[model()].similar_items) {
    buttons.push(action("Similar", `items like ${titleOf(id)}`, () => showSimilar(id)));
  }
  return buttons;
}

async function ask(run) {
  const turn = ++asked;
  showError("");
  try {
    await run(() => turn === asked);
  } catch (error) {
    if (turn === asked) showError(error.message);
  }
}

function userInputs() {
  return {
    user_id: [byId("user").value.trim() || "somebody new"],
    history: [lists.history],
    exclude: [lists.exclude],
    k: [Number(byId("k").value)],
  };
}

function recommend() {
  return ask(async (current) => {
    const user = byId("user").value.trim();
    const inputs = userInputs();
    const limits = conditionInputs();
    const filtered = limits.any_of[0].length + limits.range_of[0].length;
    const found = filtered
      ? await predict("recommend_filtered", { ...inputs, ...limits })
      : await predict("", inputs);
    if (!current()) return;
    const took = `${found.milliseconds.toFixed(1)} ms`;
    const rows = await drawResults(
      user ? `For ${user}` : "For somebody new", found.outputs, took, itemActions);
    if (!rows.size && filtered) byId("note").textContent += " Take a condition away.";
    if (!models[model()].explain || !rows.size || !current()) return;
    const why = await predict("explain", { ...inputs, item_ids: [[...rows.keys()]] });
    if (!current()) return;
    await drawReasons(rows, why.outputs);
    byId("note").textContent += `, explained in ${why.milliseconds.toFixed(1)} ms`;
    if (user && !isKnown(why.outputs)) {
      byId("note").textContent += `. Nothing is known of ${user}, so these suit anybody.`;
    }
  });
}

// Whether anything but what is said of anybody moved a score: an id, a past, a profile.
function isKnown(outputs) {
  const own = outputs.query_part[0].map((name) => name !== "base");
  return outputs.query_shares[0].some((row) => row.some((share, at) => own[at] && share !== 0));
}

function showSimilar(id) {
  return ask(async (current) => {
    const found = await predict("similar_items", { item_id: [id], k: [Number(byId("k").value)] });
    if (!current()) return;
    const took = `${found.milliseconds.toFixed(1)} ms`;
    await drawResults(`Like ${titleOf(id)}`, found.outputs, took, itemActions);
    byId("title").focus();
  });
}

function showFound() {
  return ask(async (current) => {
    const query = byId("words").value.trim();
    const found = await predict(
      "search", { query: [query], exclude: [lists.exclude], k: [Number(byId("k").value)] });
    if (!current()) return;
    const took = `${found.milliseconds.toFixed(1)} ms`;
    await drawResults(`Found for “${query}”`, found.outputs, took, itemActions);
    byId("title").focus();
  });
}

function fileField(input, kind) {
  const field = make("label", "drop");
  const file = make("input");
  file.type = "file";
  file.accept = `${kind}/*`;
  file.dataset.input = input.name;
  const preview = make("img");
  preview.alt = "";
  preview.hidden = true;
  const show = () => {
    preview.hidden = kind !== "image" || !file.files.length;
    if (!preview.hidden) preview.src = URL.createObjectURL(file.files[0]);
  };
  file.addEventListener("change", show);
  for (const [type, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    field.addEventListener(type, (event) => {
      event.preventDefault();
      field.classList.toggle("over", over);
      if (type === "drop" && event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        show();
      }
    });
  }
  field.append(make("span", "", `Drop ${kind === "image" ? "a picture" : "a sound"} here, or choose one`), preview, file);
  return field;
}

function rawField(input) {
  const group = make("div");
  const label = make("label", "", `${words(input.name)} `);
  group.append(label);
  if (input.modality === "image" || input.modality === "audio") {
    group.append(fileField(input, input.modality));
    return group;
  }
  const field = make(input.modality === "text" ? "textarea" : "input");
  if (input.modality === "numeric") Object.assign(field, { type: "number", step: "any" });
  if (input.modality === "tags") label.append(make("small", "", "several, with commas"));
  field.id = `raw-${input.name}`;
  label.htmlFor = field.id;
  field.dataset.input = input.name;
  const feature = (about.features || {})[input.name];
  if (feature && feature.values) field.placeholder = feature.values.slice(0, 3).join(", ");
  group.append(field);
  return group;
}

async function rawValue(input) {
  const field = byId("inputs").querySelector(`[data-input="${CSS.escape(input.name)}"]`);
  if (input.modality === "video") return Array(input.width).fill("");
  if (input.modality === "embedding") return Array(input.width).fill("#NaN");
  if (input.modality === "numeric") return field.value === "" ? "#NaN" : Number(field.value);
  if (input.modality === "tags") return field.value.split(",").map((tag) => tag.trim());
  if (field.type !== "file") return field.value;
  if (!field.files.length) return "";
  const bytes = new Uint8Array(await field.files[0].arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return { b64: btoa(text) };
}

function findItsPlace() {
  return ask(async (current) => {
    const raw = {};
    for (const input of about.inputs) raw[input.name] = [await rawValue(input)];
    const k = [Number(byId("k").value)];
    const found = await predict("similar_to_content", { ...raw, k });
    if (!current()) return;
    const took = `${found.milliseconds.toFixed(1)} ms`;
    await drawResults("Nearest to the new item", found.outputs, took, itemActions);
    const { user_id: user, history } = userInputs();
    const [item, query, list] = await Promise.all([
      predict("embed_item", raw),
      predict("embed_user", { user_id: user, history }),
      predict("", { ...userInputs(), k: [50] }),
    ]);
    if (!current()) return;
    const vector = item.outputs.embedding[0];
    const score = query.outputs[0].reduce((sum, q, at) => sum + q * vector[at], 0);
    const better = list.outputs.scores[0].filter((other) => other > score).length;
    const place = better < 50 ? `place ${better + 1}` : "beyond place 50";
    const there = about.inputs.filter((_, at) => item.outputs.present[0][at] > 0);
    const read = there.map((input) => words(input.name)).join(", ") || "nothing";
    const who = byId("user").value.trim() || "somebody new";
    byId("note").textContent += `. Read: ${read}. For ${who} it would score ${signless(score)}: ${place}.`;
    byId("title").focus();
  });
}

function drawInputs() {
  const can = models[model()].similar_to_content && (about.inputs || []).length;
  byId("tab-item").hidden = !can;
  byId("search-form").hidden = !models[model()].search;
  if (!can) choose("user");
  const shown = (about.inputs || []).filter((i) => !["video", "embedding"].includes(i.modality));
  byId("inputs").replaceChildren(...shown.map(rawField));
}

function choose(which) {
  for (const [name, panel] of [["user", "form"], ["item", "item-form"]]) {
    const on = name === which;
    byId(`tab-${name}`).setAttribute("aria-selected", String(on));
    byId(`tab-${name}`).tabIndex = on ? 0 : -1;
    byId(panel).hidden = !on;
  }
}

async function showState() {
  const answer = await answerOf(stem());
  const live = answer.model_version_status.filter((entry) => entry.state === "AVAILABLE");
  const bad = answer.model_version_status.filter((entry) => entry.status.error_message);
  byId("state").textContent = live.map((entry) => `version ${entry.version}`).join(", ")
    + (bad.length ? ` · version ${bad[0].version} was refused: ${bad[0].status.error_message}` : "");
}

function clear() {
  asked += 1;
  for (const name of ["history", "exclude"]) { lists[name].length = 0; drawChips(name); }
  for (const name of ["user", "words"]) byId(name).value = "";
  byId("results").replaceChildren();
  byId("legend").hidden = true;
  byId("title").textContent = "Recommendations";
  byId("note").textContent = "Choose a user, or name what somebody liked.";
  showError("");
  drawConditions();
}

async function takeModel() {
  known.clear();
  coloured.clear();
  about = await answerOf(`/ui/about.json?${new URLSearchParams({ model: model() })}`).catch(() => ({}));
  byId("users").replaceChildren(...(about.users || []).map((id) => new Option(id, id)));
  clear();
  drawInputs();
  await showState().catch((error) => showError(error.message));
}

async function start() {
  models = (await answerOf("/ui/models.json")).models;
  byId("model").replaceChildren(...Object.entries(models).map(([name, found]) => {
    const option = new Option(found.recommend ? name : `${name} (no recommender)`, name);
    option.disabled = !found.recommend;
    return option;
  }));
  const first = Object.keys(models).find((name) => models[name].recommend);
  if (first === undefined) {
    showError("No model here has the inputs user_id, history, exclude and k.");
    return;
  }
  byId("model").value = first;
  await takeModel();
  await readAddress();
}

// `#user=42&history=a,b` asks at once, so that a finding can be sent as a link.
async function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  byId("user").value = given.get("user") || "";
  for (const name of ["history", "exclude"]) if (given.get(name)) await add(name, given.get(name));
  if ([...given.keys()].length) await recommend();
}

for (const name of ["history", "exclude"]) {
  const input = byId(name);
  let typed;
  input.addEventListener("input", () => {
    clearTimeout(typed);
    if (input.value.includes(" · ")) { add(name, input.value); return; }
    typed = setTimeout(async () => {
      const query = new URLSearchParams({ model: model(), text: input.value });
      const found = await answerOf(`/ui/search.json?${query}`).catch(() => []);
      const options = found.map((item) => new Option("", `${item.title || item.id} · ${item.id}`));
      byId(`${name}-found`).replaceChildren(...options);
    }, 150);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) {
      event.preventDefault();
      add(name, input.value);
    } else if (event.key === "Backspace" && !input.value && lists[name].length) {
      lists[name].pop();
      drawChips(name);
    }
  });
}
for (const [name, other] of [["user", "item"], ["item", "user"]]) {
  byId(`tab-${name}`).addEventListener("click", () => choose(name));
  byId(`tab-${name}`).addEventListener("keydown", (event) => {
    if (["ArrowLeft", "ArrowRight"].includes(event.key) && !byId("tab-item").hidden) {
      choose(other);
      byId(`tab-${other}`).focus();
    }
  });
}
byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  for (const name of ["history", "exclude"]) if (byId(name).value) await add(name, byId(name).value);
  await recommend();
  showList();
});
byId("search-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await showFound();
  showList();
});
byId("item-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await findItsPlace();
  showList();
});
byId("k").addEventListener("input", () => { byId("k-shown").textContent = byId("k").value; });
byId("k").addEventListener("change", () => { if (byId("results").children.length) recommend(); });
byId("model").addEventListener("change", takeModel);
byId("reset").addEventListener("click", () => { clear(); byId("user").focus(); });
byId("item-reset").addEventListener("click", drawInputs);
start().catch((error) => showError(error.message));
