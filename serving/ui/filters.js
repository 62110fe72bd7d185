"use strict";
// Conditions on items: buttons for values, two numbers for a range.

const OFFERED = 24;
const conditions = { values: new Map(), ranges: new Map() };

function conditionInputs() {
  const anyOf = [...conditions.values].flatMap(([name, values]) => values.map((v) => `${name}=${v}`));
  const ranges = [...conditions.ranges].filter(([, bounds]) => bounds.some((b) => b !== null));
  return {
    any_of: [anyOf],
    range_of: [ranges.map(([name]) => name)],
    at_least: [ranges.map(([, [low]]) => (low === null ? -LARGEST : low))],
    at_most: [ranges.map(([, [, high]]) => (high === null ? LARGEST : high))],
  };
}

// A number that isn't one, or bounds that hold nothing, would look like an empty catalogue.
function checkBounds(inputs, name) {
  const [low, high] = inputs.map((input) => Number(input.value || NaN));
  const wrong = inputs.map((input) => input.validity.badInput);
  const text = wrong.some(Boolean) ? `${words(name)}: not a number` : low > high
    ? `${words(name)}: from ${low} to ${high} holds nothing` : "";
  inputs.forEach((input, at) => {
    input.setCustomValidity(low > high ? text : "");
    input.setAttribute("aria-invalid", String(wrong[at] || low > high));
  });
  showError(text);
  return !text;
}

function countConditions() {
  const values = [...conditions.values.values()].reduce((sum, list) => sum + list.length, 0);
  const ranges = [...conditions.ranges.values()].filter((b) => b.some((n) => n !== null)).length;
  byId("filters-on").textContent = values + ranges ? `${values + ranges} on` : "";
}

// A field for the values that have no button; any text may be asked for.
function anotherValue(name, values, list, offer) {
  const field = make("input");
  const rest = make("datalist");
  rest.id = `values-${name}`;
  rest.append(...values.slice(OFFERED).map((value) => new Option(value, value)));
  field.setAttribute("list", rest.id);
  field.setAttribute("aria-label", `${words(name)}: another`);
  field.placeholder = "another …";
  field.addEventListener("change", () => {
    const value = field.value.trim();
    field.value = "";
    if (!value) return;
    const there = [...list.children].find((button) => button.textContent === value);
    (there || offer(value)).click();
  });
  return [field, rest];
}

function valueCondition(name, values) {
  const group = make("div");
  group.append(make("h3", "", words(name)));
  const list = make("div", "values");
  const offer = (value) => {
    const button = action(value, `${words(name)}: ${value}`, () => {
      const chosen = conditions.values.get(name) || [];
      const on = !chosen.includes(value);
      conditions.values.set(name, on ? [...chosen, value] : chosen.filter((v) => v !== value));
      button.setAttribute("aria-pressed", String(on));
      countConditions();
      recommend();
    });
    button.setAttribute("aria-pressed", "false");
    list.append(button);
    return button;
  };
  values.slice(0, OFFERED).forEach(offer);
  group.append(list);
  if (values.length > OFFERED) group.append(...anotherValue(name, values, list, offer));
  return group;
}

function rangeCondition(name, least, most) {
  const group = make("div");
  group.append(make("h3", "", words(name)));
  const range = make("div", "range");
  const inputs = [["from", least], ["to", most]].map(([text, bound]) => {
    const input = make("input");
    input.type = "number";
    input.step = "any";
    input.placeholder = String(Math.round(bound * 1000) / 1000);
    input.setAttribute("aria-label", `${words(name)} ${text}`);
    return input;
  });
  for (const input of inputs) {
    // A browser can't point at what is folded away.
    input.addEventListener("invalid", () => { byId("filters").open = true; });
    input.addEventListener("change", () => {
      if (!checkBounds(inputs, name)) return;
      conditions.ranges.set(name, inputs.map((i) => (i.value === "" ? null : Number(i.value))));
      countConditions();
      recommend();
    });
  }
  range.append(inputs[0], make("span", "quiet", "to"), inputs[1]);
  group.append(range);
  return group;
}

function drawConditions() {
  conditions.values.clear();
  conditions.ranges.clear();
  const features = Object.entries(about.features || {});
  byId("conditions").replaceChildren(...features.map(([name, feature]) => (
    feature.values
      ? valueCondition(name, feature.values)
      : rangeCondition(name, feature.least, feature.most))));
  byId("filters").hidden = !features.length || !models[model()].recommend_filtered;
  countConditions();
}
